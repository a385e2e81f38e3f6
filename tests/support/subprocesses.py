"""Run commands in the root of the project, with an environment that holds what a test names and the path alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_here(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return its exit code and output."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python."""
    return run_here(sys.executable, "-c", code, **environment)
