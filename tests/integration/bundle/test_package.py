"""Test the contents of the wheel: all modules of components and runtime, their data, and the command."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("components", "runtime")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Build the wheel from a copy without a network; return its files, with the content of text files."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for name in ("pyproject.toml", "setup.py", "README.md", "Pulumi.yaml"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "dualsync", "requirements"):
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
    ]
    command += ["--no-build-isolation", f"--wheel-dir={made}", str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {n: archive.read(n).decode() if n.endswith(".txt") else "" for n in archive.namelist()}


def test_every_module_and_every_data_file_is_in_the_wheel(names: dict[str, str]) -> None:
    wanted = {
        f"dualsync/{path.relative_to(ROOT).as_posix()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert wanted - set(names) == set()
    assert "dualsync/components/workers/templates/boot.sh" in wanted


def test_the_wheel_has_no_other_files(names: dict[str, str]) -> None:
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"dualsync"}


def test_the_command_is_installed(names: dict[str, str]) -> None:
    (points,) = [content for name, content in names.items() if name.endswith("entry_points.txt")]
    assert "dualsync = dualsync.runtime.__main__:console" in points
