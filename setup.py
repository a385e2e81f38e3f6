"""What `pip install` makes of the top-level folders: packages under names that clash with nobody's.

In the project the folders are `components` and `runtime`; installed they are `dualsync_components` and
`dualsync_runtime`, their imports rewritten on the way. Beside the components lies what they need of the project: the
declared config, and the runtime as it stands there, which goes into the bundle that workers boot from. An editable
install leaves everything where it is. The rest is in pyproject.toml.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
FOLDERS = ("components", "runtime")
PREFIX = "dualsync_"
ALIAS = f"{PREFIX}runtime"
"""The command's entry point names it; in an editable install it is another name for `runtime`."""

_IMPORT = re.compile(r"^(\s*(?:from|import)\s+)(components|runtime)\b", re.MULTILINE)


class Renamed(build_py):
    """Copies the folders under their installed names."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        target = Path(self.build_lib)
        for name in FOLDERS:
            place = target / f"{PREFIX}{name}"
            copy(ROOT / name, place)
            for path in place.rglob("*.py"):
                path.write_text(_IMPORT.sub(rf"\1{PREFIX}\2", path.read_text(encoding="utf-8")), encoding="utf-8")
        project = target / f"{PREFIX}components" / "project"
        copy(ROOT / "runtime", project / "runtime")
        (project / "requirements").mkdir()
        shutil.copy(ROOT / "requirements" / "runtime.lock", project / "requirements")
        shutil.copy(ROOT / "Pulumi.yaml", project)
        plugin = target / f"{PREFIX}components" / "PulumiPlugin.yaml"
        # From site-packages up to the environment that it belongs to.
        plugin.write_text(plugin.read_text().replace("../.venv", "../../../.."))


def copy(source: Path, target: Path) -> None:
    """All of a folder but what Python compiled."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


setup(
    packages=[*find_packages(include=[f"{name}*" for name in FOLDERS]), ALIAS],
    package_dir={ALIAS: "runtime"},
    cmdclass={"build_py": Renamed},
)
