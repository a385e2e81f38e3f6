"""A process that may have no more memory than the worker's unit gives it."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

BYTES = 900 << 20
"""What a worker must live with: a machine of 1 GiB, less what its system takes."""

_SCOPE = ("systemd-run", "--user", "--scope", "--quiet", "-p", f"MemoryMax={BYTES}", "-p", "MemorySwapMax=0", "--")


@cache
def by_scope() -> bool:
    """Whether a control group of one's own can be had here, by systemd."""
    if shutil.which(_SCOPE[0]) is None:
        return False
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([*_SCOPE, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    return False


def command(plain: Sequence[str]) -> list[str]:
    """`plain` in a control group of `BYTES`, where one can be had; the process keeps its id."""
    return [*_SCOPE, *plain] if by_scope() else list(plain)


def enforce(pid: int) -> None:
    """The stand-in where there is no control group: the kernel refuses more private writable memory, touched or not."""
    if not by_scope():
        resource.prlimit(pid, resource.RLIMIT_DATA, (BYTES, BYTES))


def how() -> str:
    """For a note."""
    if by_scope():
        return f"a control group of {BYTES >> 20} MiB without swap"
    return (
        f"RLIMIT_DATA of {BYTES >> 20} MiB, since no control group could be had: it counts what is asked for, touched"
        " or not, so it is the stricter one, but for shared and file pages"
    )
