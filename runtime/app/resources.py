"""What this process holds at the moment: for an operator (SIGUSR1), and for the soak, which compares it over time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from dualsync.runtime.aws.http.pool import open_pools
from dualsync.runtime.log import Log


def resources() -> dict[str, int]:
    """Return memory in bytes, and the numbers of descriptors, tasks, pools and connections."""
    pools, connections = open_pools()
    return {
        "memory_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "pools": pools,
        "connections": connections,
    }


def log_resources(log: Log) -> None:
    """Log them in one line."""
    log.line("INFO", "resources", **resources())
