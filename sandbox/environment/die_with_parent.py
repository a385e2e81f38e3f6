"""Runs a command that dies with its parent, even when the parent is killed with -9.

`python -m sandbox.environment.die_with_parent PARENT_PID COMMAND ...` asks the kernel for the parent's death as a
signal (prctl(2),
PR_SET_PDEATHSIG), which outlives exec. Only Linux has it; elsewhere the command is run as it is.
The kernel means the parent's *thread*: start leashed commands from a thread that lives as long as they may.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit("the parent died before the command could be started")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
