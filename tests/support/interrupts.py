"""Leave Ctrl-C to the parent process."""

from __future__ import annotations

import signal


def ignore_interrupt() -> None:
    """Ignore Ctrl-C, for the processes of a pool whose parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
