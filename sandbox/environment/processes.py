"""Child processes that leave nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""


def leashed(command: list[str]) -> list[str]:
    """The command line that runs `command` so that it dies with this process, also by kill -9 (Linux)."""
    return [sys.executable, "-m", "sandbox.environment.die_with_parent", str(os.getpid()), *command]
