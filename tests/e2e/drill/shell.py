"""Run the command line as an operator's shell does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment.processes import ROOT

COMMAND_SECONDS = 1800.0
"""Seconds after which a command is stopped."""


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    """Exit code."""

    out: str
    """Standard output."""

    err: str
    """Standard error."""


def dualsync(arguments: Sequence[str], environment: Mapping[str, str]) -> CommandResult:
    """Run `dualsync` as a process whose environment is exactly `environment`."""
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
    return CommandResult(done.returncode, done.stdout, done.stderr)
