"""Runs one worker process per vCPU.

An event loop uses one vCPU, so a machine with several of them runs several workers side by side. They share the queue,
and the ledger keeps them apart as it keeps machines apart. Each process writes a heartbeat of its own, so that the
operator's limits are divided among all of them, and holds its share of the machine's memory for contents.

The supervisor passes SIGTERM and SIGINT on and waits until all processes have drained. When one of them ends by itself,
the others drain and the supervisor ends with the same exit code: systemd starts all of them again, counts the failed
starts, and logs the end. It feeds systemd's watchdog only while every process feeds its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dualsync.runtime.aws.http.body_memory import BUDGET_BYTES
from dualsync.runtime.service.systemd_watchdog import notify

PROCESS_BYTES = 140 << 20
"""Bytes that a worker process takes besides contents."""
MEMORY_SHARE = 0.7
"""Share of the machine's memory for all worker processes; the unit is limited to 80 %."""
MIN_CONTENT_BYTES = 32 << 20
"""Least bytes of contents that a process can work with."""


def vcpus() -> int:
    """Return the number of vCPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def process_count(cpus: int, memory: int) -> int:
    """Return how many worker processes to run: one per vCPU as far as the memory (bytes) allows."""
    return max(1, min(cpus, int(memory * MEMORY_SHARE) // (PROCESS_BYTES + MIN_CONTENT_BYTES)))


def content_budget(processes: int, memory: int) -> int:
    """Return the bytes of contents that each of `processes` may hold; `memory` is the machine's, in bytes."""
    each = int(memory * MEMORY_SHARE) // processes - PROCESS_BYTES
    return max(MIN_CONTENT_BYTES, min(BUDGET_BYTES, each))


@dataclass(slots=True)
class _Child:
    """A worker process."""

    process: asyncio.subprocess.Process
    """The process."""

    beats: socket.socket | None
    """Where it feeds its watchdog; None where systemd sets none."""

    fed: bool = False
    """It has fed the watchdog since the supervisor has fed systemd's."""

    stopped: bool = False
    """It was asked to drain."""


@dataclass(slots=True)
class Supervisor:
    """Runs several processes of one command until a signal or until one of them ends."""

    command: Sequence[str]
    """The command of a process."""

    count: int
    """Number of processes."""

    environment: Mapping[str, str]
    """Their environment, with systemd's variables for the watchdog."""

    folder: Path
    """Where the sockets of their watchdogs are."""

    send: Callable[[str], None] = notify
    """Feeds systemd's watchdog at an address."""

    _children: list[_Child] = field(default_factory=list)
    """The processes that were started."""
    _stopping: bool = False
    """The processes were asked to drain."""

    async def run(self) -> int:
        """Return the exit code: 0, or that of the first process that failed."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        try:
            for number in range(self.count):
                self._children.append(await self._start(number))
            if self._stopping:  # a signal came between two starts
                self.stop()
            ends = [asyncio.create_task(child.process.wait()) for child in self._children]
            watching = asyncio.create_task(self._watch())
            code = 0
            for ended in asyncio.as_completed(ends):
                one = await ended
                code = code or one
                self.stop()
            watching.cancel()
            return code if code >= 0 else 128 - code
        finally:
            for child in self._children:
                _signal(child, signal.SIGKILL)
                if child.beats is not None:
                    child.beats.close()

    def stop(self) -> None:
        """Let every process drain."""
        self._stopping = True
        for child in self._children:
            if not child.stopped:  # a second signal, while the interpreter ends, would kill the process
                child.stopped = True
                _signal(child, signal.SIGTERM)

    async def _start(self, number: int) -> _Child:
        environment = dict(self.environment)
        beats = None
        if environment.get("NOTIFY_SOCKET") and environment.get("WATCHDOG_USEC", "").isdigit():
            path = self.folder / f"watchdog-{number}"
            beats = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            beats.setblocking(False)
            beats.bind(str(path))
            environment["NOTIFY_SOCKET"] = str(path)
        # The pipe closes with the supervisor, however it ends: a process whose pipe is closed ends, too.
        process = await asyncio.create_subprocess_exec(*self.command, env=environment, stdin=asyncio.subprocess.PIPE)
        return _Child(process, beats)

    async def _watch(self) -> None:
        """Feed systemd's watchdog while all processes feed theirs. Return at once where systemd sets none."""
        address, period = self.environment.get("NOTIFY_SOCKET", ""), self.environment.get("WATCHDOG_USEC", "")
        if not address or not period.isdigit():
            return
        self.send(address)
        while True:
            await asyncio.sleep(int(period) / 6e6)
            for child in self._children:
                if child.beats is None or child.process.returncode is not None:
                    child.fed = True
                    continue
                with contextlib.suppress(BlockingIOError):
                    while child.beats.recv(64):
                        child.fed = True
            if all(child.fed for child in self._children):
                self.send(address)
                for child in self._children:
                    child.fed = False


def _signal(child: _Child, number: signal.Signals) -> None:
    """Send a signal to a process that has not ended.

    `Process.terminate` would first poll, and so take the exit code of a process that has just ended from asyncio.
    """
    if child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.process.pid, number)


async def end_with_parent(lost: Callable[[], None]) -> None:
    """Call `lost` when the supervisor's end of standard input is closed, which also happens when it is killed."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while await reader.read(64):
            pass
        lost()
    finally:
        transport.close()


async def run_workers(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one worker process per vCPU and return the exit code. `arguments` come before a process's own."""
    memory = machine_memory()
    count = process_count(vcpus(), memory)
    budget = str(content_budget(count, memory))
    command = [sys.executable, *arguments, "worker", "--supervised", "--content-bytes", budget]
    # A worker logs what it holds at this signal. It must end neither the supervisor nor a worker that is starting.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with tempfile.TemporaryDirectory(prefix="dualsync-") as folder:
        return await Supervisor(command, count, environment, Path(folder)).run()
