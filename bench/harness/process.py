"""Starts, watches, measures and ends processes."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TICKS = os.sysconf("SC_CLK_TCK")

END_SECONDS = 15.0
"""How long a process may take to end after SIGTERM, before it is killed."""


SAMPLE_SECONDS = 0.05
"""Time between two samples of a program's memory, in seconds."""


class DeadlineError(RuntimeError):
    """A program had no result by its deadline."""


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
            end(process)
            if process.stdout:
                process.stdout.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: by SIGTERM, and by SIGKILL after `END_SECONDS` or if this wait is interrupted."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except BaseException as error:
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources that a process has used."""

    cpu: float
    """CPU in seconds."""
    rss: int
    """Largest resident memory in bytes."""


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
    """A finished command."""

    seconds: float
    """Wall seconds."""
    usage: Usage
    """The resources it used."""


def run(
    command: Sequence[str],
    environment: dict[str, str] | None = None,
    *,
    seconds: float = 1800,
    take: Callable[[int], None] | None = None,
) -> Finished:
    """Run a peer to its end.

    Args:
        command: The program with its arguments.
        environment: Its variables; None for those of this process.
        seconds: Its deadline.
        take: Called with its process id, once it runs.

    Raises:
        DeadlineError: It had no result by its deadline, and was killed.
        RuntimeError: It failed; the text has its last output.
    """
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(list(command), stdout=output, stderr=subprocess.STDOUT, env=environment)
        late = threading.Event()

        def kill() -> None:
            late.set()
            os.kill(process.pid, 9)

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            if take is not None:
                take(process.pid)
            # The process is not reaped before the timer has ended, so its id is not reused.
            peak = _peak_until_end(process.pid)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            timer.cancel()
            timer.join()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0, os.SEEK_END)
        output.seek(max(0, output.tell() - 500))
        last = output.read().decode(errors="replace")
    if late.is_set():
        raise DeadlineError(f"no result within {seconds:.0f} s")
    if process.returncode != 0:
        lines = [line.strip() for line in last.splitlines() if line.strip()]
        raise RuntimeError(f"{Path(command[0]).name} failed: {lines[-1] if lines else 'without output'}")
    rss = peak or used.ru_maxrss * 1024
    return Finished(time.monotonic() - begin, Usage(used.ru_utime + used.ru_stime, rss))


def _peak_until_end(pid: int) -> int:
    """Wait until a process ends, without reaping it, and return its largest resident memory in bytes.

    The memory that `wait4` reports includes this process's own, from which the other one was forked (getrusage(2)). It
    serves as an upper bound for a process that ends before the first sample, for which this function returns 0.
    """
    peak = 0
    handle = os.pidfd_open(pid)
    try:
        ended = False
        while not ended:
            with contextlib.suppress(OSError, StopIteration):
                peak = max(peak, usage(pid).rss)
            ended = bool(select.select([handle], [], [], SAMPLE_SECONDS)[0])
    finally:
        os.close(handle)
    return peak
