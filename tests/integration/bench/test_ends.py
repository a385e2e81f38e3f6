"""Test that the benchmark harness ends its processes at deadlines and signals, and isolates a peer's failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.harness import cores
from bench.harness.peers.programs import attempt, failed, missing
from bench.harness.process import DeadlineError, run
from bench.harness.report.figures import Figure, Section, over_rounds
from bench.harness.servers import tools
from bench.harness.stage import Stage

SCRIPT = """
import signal, sys
from pathlib import Path
from bench.__main__ import _end
from bench.harness.process import run, running
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, _end)
peer = [sys.executable, "-c", "import os, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"]
peer[2] = "import sys; " + peer[2]
with running(peer, Path(sys.argv[1]) / "server.log") as server:
    print(server.pid, flush=True)
    run(peer, take=lambda pid: print(pid, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_servers_and_peers(number: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(tools.ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, env=environment, start_new_session=True
    )
    try:
        assert process.stdout is not None
        children = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        process.stdout.close()
    finally:
        process.kill()
        process.wait()
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_a_peer_beyond_its_deadline_is_killed_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    started: list[int] = []
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert attempt("slow", lambda: run(command, seconds=0.3, take=started.append)) is None
    assert capsys.readouterr().out == "slow: no result within 0 s\n"
    assert missing("slow") == "slow: no result within 0 s"
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
    failed.clear()
    with pytest.raises(DeadlineError):
        run(command, seconds=0.1)


def test_a_failed_peer_is_reported_with_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    code = "print('first'); raise SystemExit('panic: the last')"
    assert attempt("broken", lambda: run([sys.executable, "-c", code])) is None
    assert capsys.readouterr().out.endswith("failed: panic: the last\n")
    assert attempt("fine", lambda: run([sys.executable, "-c", ""])) is not None
    failed.clear()


def test_a_failed_benchmark_keeps_the_results_of_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(stage: Stage, *, quick: bool) -> Section:
        raise RuntimeError("the servers ended")

    def fine(stage: Stage, *, quick: bool) -> Section:
        return Section("fine", [Figure("count", 1, "")])

    monkeypatch.setattr("bench.__main__.stage", lambda folder, secure: _NoServers())
    monkeypatch.setattr(tools, "missing", list)
    monkeypatch.setitem(BENCHMARKS, "broken", broken)
    monkeypatch.setitem(BENCHMARKS, "fine", fine)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main(["broken", "fine"]) == 3
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    printed = capsys.readouterr()
    assert "broken: not measured: the servers ended" in printed.err
    assert "count" in printed.out


class _NoServers:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def test_a_target_is_met_only_if_the_median_of_every_round_meets_it() -> None:
    good = over_rounds("rate", [[1.0, 9.0, 3.1], [3.0]], "x", 3, more=True)
    assert (good.value, good.rounds, good.met) == (3.05, [3.1, 3.0], True)
    bad = over_rounds("rate", [[5.0], [5.0], [2.9, 2.9, 9.0]], "x", 3, more=True)
    assert (bad.value, bad.met) == (5.0, False)
    assert "(2.9 to 5)" in bad.row()[1]


def test_programs_start_on_their_cores() -> None:
    with cores.on({min(cores.all_cores())}):
        done = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == str({min(cores.all_cores())})
    assert os.sched_getaffinity(0) == cores.all_cores()


@pytest.mark.skipif(not cores.can_limit(), reason="no control group for CPU can be made here")
def test_a_quota_bounds_a_program() -> None:
    code = "import time\nend = time.perf_counter() + 1\nwhile time.perf_counter() < end: pass"
    with cores.quota(0.2, "test") as group:
        assert group is not None
        used = run([sys.executable, "-c", code], take=group.take).usage.cpu
    assert used < 0.6


@pytest.mark.skipif(not cores.can_limit(), reason="no control group for CPU can be made here")
def test_a_quota_bounds_a_program_while_the_group_before_is_still_held() -> None:
    code = "import time\nend = time.perf_counter() + 1\nwhile time.perf_counter() < end: pass"
    with cores.quota(0.2, "held") as before, subprocess.Popen(["sleep", "60"]) as sleeper:
        assert before is not None
        before.take(sleeper.pid)
        with cores.quota(0.2, "held") as group:
            assert group is not None
            used = run([sys.executable, "-c", code], take=group.take).usage.cpu
        sleeper.kill()
    assert used < 0.6


def test_measured_memory_is_that_of_the_program_alone() -> None:
    ours = bytearray(300 << 20)
    ours[:: 1 << 12] = b"x" * len(ours[:: 1 << 12])
    used = run([sys.executable, "-c", "import time\nheld = b'x' * (64 << 20)\ntime.sleep(0.5)"]).usage.rss
    assert len(ours) > 2 * used > 2 * (64 << 20)
