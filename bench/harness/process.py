"""Starts, watches, measures and ends processes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Wait until the process answers at `port`. Raises `RuntimeError` when it ends or takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen: see {log}\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environment: dict[str, str] | None = None,
    *,
    output: IO[bytes] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process during the block, with its errors (and output) in `log` and its working folder `folder`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            list(command),
            stdout=output or file,
            stderr=file,
            env=None if environment is None else environment,
            cwd=folder,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout:
                process.stdout.close()


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources that a process has used: CPU in seconds, largest resident memory in bytes."""

    cpu: float
    rss: int


def usage(pid: int) -> Usage:
    """Return what a running process and its ended children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = sum(int(field) for field in fields[11:15]) / _TICKS
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Usage(cpu, int(peak.split()[1]) * 1024)


def reset_peak(pid: int) -> None:
    """Reset the largest resident memory of a process."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished command: wall seconds, and the resources it used."""

    seconds: float
    usage: Usage


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Finished:
    """Run a peer to its end. Raises `RuntimeError` with its last output when it fails."""
    start = time.monotonic()
    process = subprocess.Popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    output = process.stdout.read() if process.stdout else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout:
        process.stdout.close()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {output[-500:].decode(errors='replace')}")
    return Finished(time.monotonic() - start, Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
