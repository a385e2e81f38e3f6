"""Starts child processes that end with this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""


def tied_to_parent(command: list[str]) -> list[str]:
    """Return the command line that runs `command` until this process ends, also by SIGKILL (Linux only)."""
    return [sys.executable, "-m", "sandbox.environment.die_with_parent", str(os.getpid()), *command]
