"""The folder in which the servers keep their data during a measurement."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.harness.servers import tools

ROOM = 12 << 30
"""Bytes that are more than all benchmarks need together."""

_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def data() -> Iterator[Path]:
    """Yield a folder, in memory if there is space, so that the disk is not measured."""
    parent = _MEMORY if in_memory() else tools.HOME
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        yield Path(folder)


def in_memory() -> bool:
    """Return whether a large enough file system in memory exists that keeps the attributes versitygw needs."""
    try:
        if shutil.disk_usage(_MEMORY).free < ROOM or _available() < ROOM:
            return False
        with tempfile.NamedTemporaryFile(dir=_MEMORY) as probe:
            os.setxattr(probe.name, "user.bench", b"1")
    except OSError:
        return False
    return True


def how() -> str:
    """Describe the folder for a note."""
    return "in memory (tmpfs)" if in_memory() else "on disk"


def _available() -> int:
    """Return the available memory in bytes."""
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 1024
