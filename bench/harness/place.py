"""Where the servers keep their data while they are measured."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.harness import tools

ROOM = 12 << 30
"""Bytes that all benchmarks together never need."""

_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def data() -> Iterator[Path]:
    """A folder for the time of a `with`: in memory, where there is room, so that no disk is what is measured."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_MEMORY if in_memory() else tools.HOME) as folder:
        yield Path(folder)


def in_memory() -> bool:
    """Whether there is a file system in memory that is large enough, and keeps the attributes that versitygw needs."""
    try:
        if shutil.disk_usage(_MEMORY).free < ROOM or _available() < ROOM:
            return False
        with tempfile.NamedTemporaryFile(dir=_MEMORY) as probe:
            os.setxattr(probe.name, "user.bench", b"1")
    except OSError:
        return False
    return True


def how() -> str:
    """For a note."""
    return "in memory (tmpfs)" if in_memory() else "on disk"


def _available() -> int:
    """Memory that could be had, in bytes."""
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 1024
