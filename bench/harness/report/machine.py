"""The machine of a measurement, and the versions of the programs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from bench.harness import place
from bench.harness.servers import tools

LOOPS = 10_000_000
"""Additions that show how fast this Python is: one that was compiled with profiles is about a third faster."""


def facts() -> dict[str, str]:
    """Return names and values for a table; a missing program has the value `missing`."""
    return {
        "machine": f"{os.cpu_count()} cores, {_model()}, {_memory()} GiB of memory",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "servers' data": place.how(),
        "Python": f"{platform.python_version()}, {LOOPS:,} additions in a loop take {_loop_seconds():.2f} s of CPU",
        "boto3": _package("boto3"),
        "versitygw": _go("versitygw"),
        "ElasticMQ": _jar("elasticmq", "elasticmq-server_2.13"),
        "rclone": _go("rclone"),
        "obstore": _python("obstore"),
        "awscrt": _python("awscrt"),
        "dthcli": _dthcli(),
        "program": _first_line("git", "-C", str(tools.ROOT), "rev-parse", "--short", "HEAD"),
    }


def _model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _loop_seconds() -> float:
    begin = time.process_time()
    total = 0
    for number in range(LOOPS):
        total += number
    return time.process_time() - begin


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _go(name: str) -> str:
    """Return the pinned version, or that of a program found on PATH by running it."""
    if tools.installed(name):
        return _first_line(name, "version" if name == "rclone" else "--version")
    return tools.GO[name].rpartition("@")[2] if (tools.HOME / "bin" / name).exists() else "missing"


def _jar(folder: str, name: str) -> str:
    found = sorted((tools.HOME / "jars" / folder).glob(f"{name}-*.jar"))
    return found[0].stem.removeprefix(f"{name}-") if found else "missing"


def _python(name: str) -> str:
    """Return the pinned version of a peer in the environment of Python peers, if that has been made."""
    if not (tools.HOME / "python" / ".done").exists():
        return "missing"
    return next(pinned.partition("==")[2] for pinned in tools.PYTHON if pinned.startswith(name))


def _dthcli() -> str:
    return _first_line("dthcli", "version") if tools.installed("dthcli") else "missing"


def _first_line(*command: str) -> str:
    """Return the first line that a command prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip().partition("\n")[0] or "unknown"
