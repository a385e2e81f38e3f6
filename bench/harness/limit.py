"""Limits a process to the memory of the worker's systemd unit."""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

BYTES = 900 << 20
"""Memory of a worker in bytes: that of a machine with 1 GiB, less its system's."""

_SCOPE = ("systemd-run", "--user", "--scope", "--quiet", "-p", f"MemoryMax={BYTES}", "-p", "MemorySwapMax=0", "--")
_JOIN = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"')
_BOUNDS = {"memory.limit_in_bytes": BYTES, "memory.memsw.limit_in_bytes": BYTES}
"""Files of a control group (version 1): memory, and memory with swap, which is missing without swap."""
_BOUNDS_2 = {"memory.max": BYTES, "memory.swap.max": 0}


@cache
def group() -> Path | None:
    """Create a memory control group below this process's own until it ends; None where that is not permitted."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            made = _made(Path(f"/sys/fs/cgroup/memory{path}"), _BOUNDS)
        elif not controllers:
            made = _made(Path(f"/sys/fs/cgroup{path}"), _BOUNDS_2)
        else:
            continue
        if made is not None:
            return made
    return None


def _made(parent: Path, bounds: dict[str, int]) -> Path | None:
    folder = parent / f"dualsync-bench-{os.getpid()}"
    first, second = bounds
    try:
        folder.mkdir()
    except OSError:
        return None
    atexit.register(_gone, folder)
    try:
        (folder / first).write_text(str(bounds[first]))
        with contextlib.suppress(OSError):
            (folder / second).write_text(str(bounds[second]))
        held = int((folder / first).read_text()) <= BYTES
    except (OSError, ValueError):
        held = False
    return folder if held else None


def _gone(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


@cache
def by_scope() -> bool:
    """Return whether systemd can create a control group for this user."""
    if shutil.which(_SCOPE[0]) is None:
        return False
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([*_SCOPE, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    return False


def command(plain: Sequence[str]) -> list[str]:
    """Return the command `plain` in a control group of `BYTES` where one can be created; the process keeps its id."""
    made = group()
    if made is not None:
        return [*_JOIN, str(made / "cgroup.procs"), *plain]
    return [*_SCOPE, *plain] if by_scope() else list(plain)


def enforce(pid: int) -> None:
    """Limit private writable memory, used or not, where there is no control group."""
    if group() is None and not by_scope():
        resource.prlimit(pid, resource.RLIMIT_DATA, (BYTES, BYTES))


def how() -> str:
    """Describe the limit for a note."""
    if group() is not None or by_scope():
        return f"a control group of {BYTES >> 20} MiB, swap included: it would be killed beyond"
    return (
        f"RLIMIT_DATA of {BYTES >> 20} MiB, because no control group is available: it counts what is requested, touched"
        " or not, so it is the stricter one, but for shared and file pages"
    )
