"""Earlier releases of the runtime, taken from the project's history."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

from sandbox.environment.processes import ROOT
from sandbox.environment.workers import Release

COMMITS = {"0.1.0": "7495fe3ec62c"}
"""The commit of each release that may still run beside this one."""

FORMATS = ROOT / "tests" / "contract" / "formats" / "v0_1"


def commit_of(version: str) -> str | None:
    """Return the full id of a release's commit; None where the history does not reach it (a shallow clone)."""
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{COMMITS[version]}^{{commit}}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def version_0_1(folder: Path) -> Release:
    """Unpack the runtime of version 0.1.0 into `folder`."""
    _unpack(folder, "runtime")
    written = json.loads((FORMATS / "environment.json").read_text())["cases"]
    return Release("runtime", folder, frozenset(name for case in written for name in case["bytes"]))


def program_0_1(folder: Path) -> Path:
    """Unpack what `pulumi up` of version 0.1.0 reads into `folder`, and return it."""
    _unpack(folder, "__main__.py", "Pulumi.yaml", "components", "runtime", "requirements", "policy")
    return folder


def _unpack(folder: Path, *names: str) -> None:
    """Unpack files and folders of version 0.1.0 into `folder`."""
    commit = commit_of("0.1.0")
    assert commit is not None
    archive = subprocess.run(["git", "archive", commit, *names], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder)
