"""The servers and peers, fetched once into `.bench/` by the package managers that are there. What can't be had is
missing, and said to be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
POMS = Path(__file__).with_name("poms")

GO = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "rclone": "github.com/rclone/rclone@v1.71.0",
}
JAVA = ("elasticmq", "dynamodb")

peers_wanted = True
"""Whether peers are built and run; False measures this program alone."""


def program(name: str) -> Path | None:
    """An executable: on the path, or built from its Go module (once, minutes). None when there is no way to it, or when
    it is a peer and peers are not wanted."""
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
    """An executable on the path that is nobody's business to build."""
    found = shutil.which(name) if peers_wanted else None
    return Path(found) if found else None


def jars(name: str) -> Path | None:
    """A folder with a Java server and all it needs, by Maven. None when there is no way to it."""
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
    """Servers without which nothing can be measured."""
    absent = [name for name in JAVA if jars(name) is None]
    return absent if program("versitygw") else ["versitygw", *absent]


def present() -> bool:
    """Whether the servers are there already: nothing is fetched."""
    fetched = all((HOME / "jars" / name).exists() for name in JAVA) and shutil.which("java") is not None
    return fetched and ((HOME / "bin" / "versitygw").exists() or shutil.which("versitygw") is not None)
