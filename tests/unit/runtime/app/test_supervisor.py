"""Test the supervisor of one worker process per vCPU: number, shutdown and systemd's watchdog."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dualsync.runtime.app.supervisor import (
    MIN_CONTENT_BYTES,
    PROCESS_BYTES,
    Supervisor,
    content_budget,
    process_count,
    run_workers,
    vcpus,
)
from dualsync.runtime.aws.http.body_memory import BUDGET_BYTES

GIB = 1 << 30
WAITS = """
import os, signal, sys
def drained(*_): open(sys.argv[1] + str(os.getpid()), "w").close(); sys.exit(0)
signal.signal(signal.SIGTERM, drained)
open(sys.argv[1] + "up" + str(os.getpid()), "w").close()
while True: signal.pause()
"""
ONE_FAILS = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    os.mkdir(sys.argv[1] + "first")
except FileExistsError:
    while True: signal.pause()
else:
    {end}
"""
FEEDS = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
def feed():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])
mute = os.environ["NOTIFY_SOCKET"].endswith("-1") and sys.argv[2] == "mute"
while True:
    if not mute: feed()
    signal.sigtimedwait([signal.SIGUSR1], 0.02)
"""


@pytest.mark.parametrize(
    ("cpus", "memory", "processes"),
    [(1, GIB, 1), (2, GIB, 2), (2, 2 * GIB, 2), (8, 16 * GIB, 8), (2, GIB // 4, 1), (64, 4 * GIB, 16)],
)
def test_process_count_is_one_per_vcpu_limited_by_memory(cpus: int, memory: int, processes: int) -> None:
    assert process_count(cpus, memory) == processes
    budget = content_budget(processes, memory)
    assert MIN_CONTENT_BYTES <= budget <= BUDGET_BYTES
    assert processes == 1 or processes * (budget + PROCESS_BYTES) <= 0.7 * memory


def test_vcpu_count_is_that_of_the_cpu_affinity() -> None:
    assert vcpus() == len(os.sched_getaffinity(0))


def supervisor(program: str, folder: Path, *arguments: str, **environment: str) -> Supervisor:
    command = [sys.executable, "-c", program, f"{folder}/", *arguments]
    return Supervisor(command, 3, {**os.environ, **environment}, folder)


def files(folder: Path, pattern: str) -> int:
    return len(list(folder.glob(pattern)))


async def until(folder: Path, pattern: str, count: int) -> None:
    while files(folder, pattern) < count:  # noqa: ASYNC110 - other processes write the files
        await asyncio.sleep(0.01)


async def test_stop_signals_all_processes_and_waits_until_they_have_drained(tmp_path: Path) -> None:
    made = supervisor(WAITS, tmp_path)
    running = asyncio.create_task(made.run())
    await asyncio.wait_for(until(tmp_path, "up*", 3), 20)
    made.stop()
    assert await asyncio.wait_for(running, 20) == 0
    assert files(tmp_path, "[0-9]*") == 3


@pytest.mark.parametrize(("end", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
async def test_failed_process_stops_the_others_and_its_code_is_returned(tmp_path: Path, end: str, code: int) -> None:
    made = supervisor(ONE_FAILS.format(end=end), tmp_path)
    assert await asyncio.wait_for(made.run(), 20) == code
    assert all(child.process.returncode is not None for child in made._children)


@pytest.mark.parametrize("mute", [False, True])
async def test_systemd_watchdog_is_notified_only_while_all_processes_are_alive(tmp_path: Path, mute: bool) -> None:
    fed: list[str] = []
    done = asyncio.Event()

    def send(address: str) -> None:
        fed.append(address)
        if len(fed) >= 3:
            done.set()

    made = supervisor(FEEDS, tmp_path, "mute" if mute else "", NOTIFY_SOCKET="@systemd", WATCHDOG_USEC="600000")
    made.send = send
    running = asyncio.create_task(made.run())
    if mute:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(done.wait(), 1.5)
        assert fed == ["@systemd"], "once at the start, and never after"
    else:
        await asyncio.wait_for(done.wait(), 20)
    made.stop()
    await asyncio.wait_for(running, 20)


async def test_process_ends_with_its_supervisor() -> None:
    program = (
        "import asyncio, os, sys\n"
        "from dualsync.runtime.app.supervisor import end_with_parent\n"
        "asyncio.run(end_with_parent(lambda: os._exit(7)))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 30) == 7


def test_sigusr1_does_not_end_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Supervisor) -> int:
        os.kill(os.getpid(), signal.SIGUSR1)
        return 0

    monkeypatch.setattr(Supervisor, "run", run)
    before = signal.getsignal(signal.SIGUSR1)
    try:
        assert asyncio.run(run_workers([], {})) == 0
    finally:
        signal.signal(signal.SIGUSR1, before)
