"""Installs servers and peers once into `.bench/` by the available package managers.

What can't be installed is reported as missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / ".bench"
POMS = Path(__file__).with_name("poms")

GO = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "rclone": "github.com/rclone/rclone@v1.71.0",
}
JAVA = ("elasticmq",)
PYTHON = ("obstore==0.12.1", "awscrt==0.38.0")
"""Peers from the package index, in an environment of their own."""

peers_wanted = True
"""Whether peers are built and run; False measures only this program."""


def program(name: str) -> Path | None:
    """Return an executable on PATH or built from its Go module (once, minutes).

    None when it can't be built, or when it is a peer and peers are not wanted.
    """
    if name == "rclone" and not peers_wanted:
        return None
    found = shutil.which(name)
    if found:
        return Path(found)
    target = HOME / "bin" / name
    if target.exists():
        return target
    if shutil.which("go") is None:
        return None
    print(f"building {GO[name]} (once)", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(["go", "install", GO[name]], env=os.environ | {"GOBIN": str(target.parent)}, check=False)
    return target if built.returncode == 0 and target.exists() else None


def installed(name: str) -> Path | None:
    """Return an executable on PATH, which is never built."""
    found = shutil.which(name) if peers_wanted else None
    return Path(found) if found else None


def python() -> Path | None:
    """Return an interpreter whose environment has the Python peers (made once). None when that fails."""
    if not peers_wanted:
        return None
    folder = HOME / "python"
    interpreter, done = folder / "bin" / "python", folder / ".done"
    if done.exists() and done.read_text() == " ".join(PYTHON):
        return interpreter
    print(f"installing {', '.join(PYTHON)} (once)", flush=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
        if subprocess.run(command, check=False).returncode != 0:
            return None
    done.write_text(" ".join(PYTHON))
    return interpreter


def jars(name: str) -> Path | None:
    """Return a folder with a Java server and its dependencies, by Maven. None when that fails."""
    target = HOME / "jars" / name
    if target.exists():
        return target
    if shutil.which("mvn") is None or shutil.which("java") is None:
        return None
    print(f"fetching {name} (once)", flush=True)
    partial = target.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POMS / f"{name}.pom.xml"), "dependency:copy-dependencies"]
    if subprocess.run([*command, f"-DoutputDirectory={partial}"], check=False).returncode != 0:
        return None
    partial.rename(target)
    return target


def missing() -> list[str]:
    """Return the missing servers without which nothing can be measured."""
    absent = [name for name in JAVA if jars(name) is None]
    return absent if program("versitygw") else ["versitygw", *absent]


def present() -> bool:
    """Return whether all servers are installed, without installing any."""
    fetched = all((HOME / "jars" / name).exists() for name in JAVA) and shutil.which("java") is not None
    return fetched and ((HOME / "bin" / "versitygw").exists() or shutil.which("versitygw") is not None)
