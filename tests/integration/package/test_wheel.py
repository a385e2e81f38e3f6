"""Test the installed wheel: own top-level names, complete files, and use outside the project."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.environment.processes import ROOT

pytest.importorskip("setuptools", reason="builds a wheel: `pip install setuptools`")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the unpacked wheel, as in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # Built from links: the project's own folder stays clean, and the build finds nothing of an older one.
    for name in (
        "components",
        "runtime",
        "dualsync",
        "requirements",
        "Pulumi.yaml",
        "pyproject.toml",
        "setup.py",
        "README.md",
    ):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)], check=True
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python outside the project."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(installed)},
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_has_one_top_level_name_of_its_own(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"dualsync"}


def test_the_wheels_python_files_equal_the_projects(installed: Path) -> None:
    here = {path.relative_to(ROOT): path for name in ("components", "runtime") for path in (ROOT / name).rglob("*.py")}
    there = {path.relative_to(installed / "dualsync") for path in (installed / "dualsync").rglob("*.py")}
    assert there - {Path("__init__.py")} == set(here)
    for name, path in here.items():
        assert (installed / "dualsync" / name).read_bytes() == path.read_bytes(), name


def test_the_component_and_its_schema_work_when_installed(installed: Path) -> None:
    code = (
        "import dualsync.components.plugin.plugin as p, dualsync.components.pair\n"
        "import dualsync.components.bundle.builder as b\n"
        "from dualsync.components.workers.userdata import template\n"
        "s = p.schema()\n"
        "assert 'dualsync:index:DualSyncPair' in s['resources'], s\n"
        "assert template('boot.sh')\n"
        "made = b.default_builder()\n"
        "names = made._sources()\n"
        "assert 'dualsync/runtime/__main__.py' in names and 'dualsync/runtime/settings.py' in names, names\n"
        "assert made.lock.exists()\n"
        "import sys; assert not [m for m in sys.modules if m in ('components', 'runtime')]\n"
    )
    done = run(installed, "-c", code)
    assert done.returncode == 0, done.stderr


def test_the_command_works_when_installed(installed: Path) -> None:
    done = run(installed, "-m", "dualsync.runtime", "settings")
    assert done.returncode == 0, done.stderr
    assert "DUALSYNC_OWN_USER_IDS" in done.stdout
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "dualsync = dualsync.runtime.__main__:console" in entry.read_text()
    assert "pulumi-resource-dualsync = dualsync.components.plugin.console:main" in entry.read_text()


def test_the_engine_can_start_the_installed_package(installed: Path) -> None:
    plugin = (installed / "dualsync" / "components" / "PulumiPlugin.yaml").read_text()
    assert "virtualenv: ../../../../.." in plugin
    process = subprocess.Popen(
        [sys.executable, str(installed / "dualsync" / "components"), "127.0.0.1:1"],
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(installed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_commands_need_no_pulumi(installed: Path) -> None:
    """`pip install 'dualsync[cli]'` brings neither Pulumi nor its providers: every command loads without them."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pulumi', 'pulumi_aws', 'grpc'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import importlib, pkgutil, dualsync.runtime as r\n"
        "for m in pkgutil.walk_packages(r.__path__, 'dualsync.runtime.'):\n"
        "    if not m.name.endswith('__main__'):\n"
        "        importlib.import_module(m.name)\n"
        "from dualsync.runtime.__main__ import main\n"
        "assert main(['--version']) == 0\n"
    )
    done = run(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dualsync ")
