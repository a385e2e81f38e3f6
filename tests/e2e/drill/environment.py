"""The sandbox of one case, with users, the command line, the alarms, and waits that have a deadline."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.conflict_copy import is_conflict_name
from sandbox.cloudwatch.alarms import Verdict
from sandbox.cloudwatch.watch import Watch
from sandbox.demo.comparison import Expected, Side, unsettled, wait_for
from sandbox.environment.environment import Stage
from tests.e2e.drill import pulumi, shell
from tests.e2e.drill.case_report import Answer, CaseReport, Check

SETTINGS = {
    "DUALSYNC_RETRY_DELAY_SECONDS": "2",
    "DUALSYNC_VISIBILITY_SECONDS": "10",
    "DUALSYNC_FINDER_GRACE_SECONDS": "0",
    "DUALSYNC_KEEP_LOSER": "true",
}
"""Shorter delays than the deployed ones, so that a case takes minutes."""

WRITERS = 8
"""Threads that upload for a user."""

SETTLE_SECONDS = 240.0
"""Deadline for empty queues, in seconds."""

STATUS_SECONDS = 180.0
"""Deadline for a status, in seconds. Generous, because the machine may be busy with other work."""

BASELINE = 10
"""Objects per side that are written and copied before the fault."""


class DeadlineError(Exception):
    """An expected change did not happen in time; the text holds the expectation and the last state."""


class Drill:
    """A pair in a sandbox. Its exit ends all processes; after a failure the folder stays."""

    def __init__(self, report: CaseReport, settings: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self.report = report
        self._config = config
        self.expected = Expected()
        self.stage = Stage.open("drill", settings={**SETTINGS, **settings})
        self.stage.make_buckets()
        self.sides = {side: Side(side, bucket, self.stage.s3(side)) for side, bucket in self.stage.buckets.items()}
        self.watch = Watch(self.stage)
        self.pair = Path()

    def begin(self, changes: Mapping[SideName, Mapping[str, str]] | None = None) -> None:
        """Deploy both stacks, start the workers with `changes` of their settings, wait until the pair is healthy."""
        stage = self.stage
        stage.build_bundles()
        for side in SideName:
            stage.deploy(side, config=self._config)
        stage.hide_for(int(stage.fleet.changes["DUALSYNC_VISIBILITY_SECONDS"]))
        for side in SideName:
            stage.fleet.start(side, (changes or {}).get(side))
        stage.fleet.wait_until_running()
        self.pair = stage.write_pair()
        self._path = f"{pulumi.install(stage.workspace.folder)}{os.pathsep}{os.environ['PATH']}"
        self.watch.start()
        for side in SideName:
            stage.fleet.find(side, {}, shell.COMMAND_SECONDS)
            self.put(side, {f"before/{side}/{n}.txt": f"{side} {n}".encode() for n in range(BASELINE)})
        self.settle()
        self.status_until("healthy before the fault", lambda status: status["healthy"])

    def put(self, side: SideName, objects: Mapping[str, bytes]) -> None:
        """Write objects as a user of that side."""
        place = self.sides[side]

        def one(item: tuple[str, bytes]) -> None:
            place.s3.put_object(Bucket=place.bucket, Key=item[0], Body=item[1])

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(one, objects.items()))
        for key, content in objects.items():
            self.expected.write(key, content)

    def delete(self, side: SideName, keys: Iterable[str]) -> None:
        """Delete objects as a user of that side, 1,000 per request. The caller updates `expected`."""
        place, names = self.sides[side], list(keys)
        for at in range(0, len(names), 1000):
            objects = [{"Key": key} for key in names[at : at + 1000]]
            place.s3.delete_objects(Bucket=place.bucket, Delete={"Objects": objects, "Quiet": True})

    def dualsync(self, *arguments: str, gist: Callable[[Answer], str] | None = None, reported: bool = True) -> Answer:
        """Run the command line as an operator's shell does; `gist` summarises the answer for the report."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DUALSYNC", "PULUMI_"))}
        environment = keep | self.stage.workspace.environment | {"PATH": self._path, pulumi.PAIR: str(self.pair)}
        done = shell.dualsync(["--pair", str(self.pair), *arguments, "--json"], environment)
        try:
            data = json.loads(done.out)
        except ValueError:
            data = None
        answer = Answer(arguments, done.code, done.out, done.err, data)
        if reported:
            words = gist(answer) if gist is not None and data is not None else ""
            self.report.commands.append((answer, words or (done.err.strip().splitlines() or [""])[-1]))
        return answer

    def status_until(self, what: str, condition: Callable[[Any], bool], seconds: float = STATUS_SECONDS) -> Answer:
        """Run `status` until `condition` holds for its document, and return it. Raises `DeadlineError`."""
        answer = self.dualsync("status", reported=False)

        def shown() -> bool:
            nonlocal answer
            answer = self.dualsync("status", reported=False)
            return answer.data is not None and condition(answer.data)

        if not wait_for(shown, seconds, 0.5):
            problems = [p["what"] for p in (answer.data or {}).get("problems", ())]
            states = [d["state"] for d in (answer.data or {}).get("directions", ())]
            raise DeadlineError(f"status after {seconds:.0f} s is not {what!r}: {states} {problems} {answer.err}")
        return answer

    def note(self, text: str) -> None:
        """Add an event to the report."""
        self.report.happened.append(text)

    def until(self, what: str, condition: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
        """Wait until `condition` holds. Raises `DeadlineError` after `seconds`."""
        if not wait_for(condition, seconds, 0.2):
            backlog = {str(side): self.stage.backlog(side) for side in SideName}
            raise DeadlineError(f"not within {seconds:.0f} s: {what}; messages (waiting, dead): {backlog}")

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until the queues are empty and both sides have the objects that users wrote last."""
        self.until("the queues are empty", lambda: not any(self.stage.backlog(s)[0] for s in SideName), seconds)
        self.until("both sides have the objects that users wrote last", lambda: not self.unsettled_keys(), 60)

    def unsettled_keys(self) -> list[str]:
        """Return the keys whose objects are not those that users wrote last; conflict copies do not count."""
        return [key for key in unsettled(self.sides.values(), self.expected) if not is_conflict_name(key)]

    def check(self, text: str, good: bool, detail: object = "") -> None:
        """Add a check to the report; the case continues if it fails, too."""
        self.report.check(Check(text, good, "" if good else str(detail)))

    def alarms(self, now: Iterable[str] = (), lasting: Iterable[str] | None = None) -> None:
        """Check that exactly these alarms are raised at once, and `lasting` if the fault lasts (default: the same).

        Names are those of the deployed alarms without the pair's: `cn-lag`.
        """
        report, now = self.report, {*now}
        later = now if lasting is None else {*lasting}

        def raised() -> bool:
            report.now, report.lasting = self.watch.raised(), self.watch.raised(lasting=True)
            return now <= _names(report.now) and later == _names(report.lasting)

        # The watch samples once per second. Its last sample may be of a queue that is about to be empty, or whose
        # messages are hidden for a moment by a command that reads them.
        wait_for(raised, 15)
        for when, verdicts, wanted in (("at once", report.now, now), ("if it lasts", report.lasting, later)):
            found = _names(verdicts)
            self.check(f"alarms {when}: {', '.join(sorted(wanted)) or 'none'}", found == wanted, sorted(found))

    def wait_for_alarm(self, alarm: str, seconds: float = 600) -> None:
        """Wait until an alarm is raised. Raises `DeadlineError`."""
        self.until(f"alarm {alarm}", lambda: alarm in _names(self.watch.raised()), seconds)

    def check_same(self) -> None:
        """Check that both sides are equal: by `dualsync verify`, and against what users wrote last."""
        self.settle()
        answer = self.dualsync("verify", "--grace", "0", gist=_verdict)
        self.check("verify: both sides are equal", answer.code == 0, answer.out[-300:] + answer.err)
        self.check("users find what they wrote last", not self.unsettled_keys(), self.unsettled_keys()[:5])

    def check_healthy(self) -> None:
        """Check that `dualsync status` reports a healthy pair."""
        answer = self.status_until("healthy at the end", lambda status: status["healthy"])
        self.check("status at the end: exit code 0", answer.code == 0)

    def __enter__(self) -> Drill:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.watch.stop()
        self.stage.keep = error is not None and not isinstance(error, KeyboardInterrupt)
        self.stage.close()


def _names(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the alarms' names without the pair's: `cn-lag`."""
    return {verdict.name.removeprefix("dth-dual-") for verdict in verdicts}


def _verdict(answer: Answer) -> str:
    return f"{answer.data['verdict']} {answer.data['keys']['equal']} keys"


def timed() -> Callable[[], float]:
    """Start a stopwatch and return a function that reads it, in seconds."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun
