"""Runs a command that the kernel kills when its parent ends, even when the parent is killed with SIGKILL.

`python -m sandbox.environment.die_with_parent PARENT_PID COMMAND ...` uses prctl(2), PR_SET_PDEATHSIG, which survives
exec. Only Linux has it; elsewhere the command runs without it. The signal is sent when the parent's *thread* ends, so
start such commands from a thread that runs as long as they may.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Number of the prctl operation (linux/prctl.h)."""


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(f"process {parent} ended before the command could be started")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
