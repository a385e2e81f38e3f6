"""The command line as a person's shell would start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment.processes import ROOT

COMMAND_SECONDS = 1800.0


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def dualsync(arguments: Sequence[str], environment: Mapping[str, str]) -> Said:
    """A process of its own, with this environment and no other."""
    script = Path(sys.executable).parent / "dualsync"
    start = [str(script)] if script.exists() else [sys.executable, "-m", "dualsync.runtime"]
    done = subprocess.run(
        [*start, *arguments],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
