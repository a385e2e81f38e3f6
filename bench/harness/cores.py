"""Which cores a program runs on, and which share of them it may use."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterator
from pathlib import Path

PERIOD_MICROSECONDS = 10_000
"""Period of a CPU quota: short, so that a throttled program does not pause for long."""


def all_cores() -> set[int]:
    """Return the cores that this process was started with."""
    return set(_ALL)


_ALL = frozenset(os.sched_getaffinity(0))
_NUMBERS = itertools.count(1)
"""Numbers in the names of control groups, so that a group which an ending program still uses is not used again."""


def split() -> tuple[set[int], set[int]] | None:
    """Return cores for a client and others for the servers; None on a machine with one core."""
    cores = sorted(_ALL)
    half = len(cores) // 2
    return (set(cores[:half]), set(cores[half:])) if half else None


@contextlib.contextmanager
def on(cores: Collection[int] | None) -> Iterator[None]:
    """Start programs on these cores during the block; None for all."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, cores: Collection[int]) -> None:
    """Move a running program with all its threads to these cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Quota:
    """A control group whose programs get `share` of a core together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, pid: int) -> None:
        """Put a program into the group."""
        (self._folder / "cgroup.procs").write_text(str(pid))


@contextlib.contextmanager
def quota(share: float | None, name: str = "") -> Iterator[Quota | None]:
    """Make a control group for `share` of a core; None without a share or where no such group can be made."""
    folder = _made(share, name) if share else None
    try:
        yield None if folder is None else Quota(folder)
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()


def can_limit() -> bool:
    """Return whether CPU quotas work on this machine."""
    with quota(0.5, "probe") as group:
        return group is not None


def _made(share: float, name: str) -> Path | None:
    limit = int(PERIOD_MICROSECONDS * share)
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            values = {"cpu.cfs_period_us": f"{PERIOD_MICROSECONDS}", "cpu.cfs_quota_us": f"{limit}"}
            root = Path("/sys/fs/cgroup") / controllers
        elif not controllers:
            values, root = {"cpu.max": f"{limit} {PERIOD_MICROSECONDS}"}, Path("/sys/fs/cgroup")
            if not (root / "cgroup.controllers").exists():
                continue  # not version 2's hierarchy, where any folder could be made and would limit nothing
        else:
            continue
        folder = root / path.strip("/") / f"dualsync-bench-{os.getpid()}-{next(_NUMBERS)}-{name}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for file, value in values.items():
                (folder / file).write_text(value)
        except OSError:
            folder.rmdir()
            continue
        return folder
    return None
