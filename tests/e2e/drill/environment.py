"""One case's sandbox, and what its author needs: users, the command line, the alarms, and waiting with an end."""

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
from sandbox.demo.comparison import Expected, Side, settled, wait_for
from sandbox.environment.environment import Stage
from tests.e2e.drill import pulumi, shell
from tests.e2e.drill.case_report import Answer, Check, Told

SETTINGS = {
    "DUALSYNC_RETRY_DELAY_SECONDS": "2",
    "DUALSYNC_VISIBILITY_SECONDS": "10",
    "DUALSYNC_FINDER_GRACE_SECONDS": "0",
    "DUALSYNC_KEEP_LOSER": "true",
}
"""Shorter waits than the deployed ones, so that a night fits into minutes."""

WRITERS = 8
SETTLE_SECONDS = 240.0
PATIENCE = 180.0
"""Seconds until what should be there at once is given up: a machine may have other work."""
BASELINE = 10
"""Objects a side before anything happens."""


class NotInTime(Exception):
    """Something that had to happen did not; the text says what, and how it stood."""


class Night:
    """A running pair. Leaving it ends all processes; the folder stays after a failure."""

    def __init__(self, told: Told, settings: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self.told = told
        self._config = config
        self.expected = Expected()
        self.stage = Stage.open("drill", settings={**SETTINGS, **settings})
        self.stage.make_buckets()
        self.sides = {side: Side(side, bucket, self.stage.s3(side)) for side, bucket in self.stage.buckets.items()}
        self.watch = Watch(self.stage)
        self.pair = Path()

    def begin(self, changes: Mapping[SideName, Mapping[str, str]] | None = None) -> None:
        """Deploy both stacks, start the workers (`changes` of their settings), and see that all is well."""
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
        self.status_until("all is well before anything happens", lambda status: status["healthy"])

    # users

    def put(self, side: SideName, objects: Mapping[str, bytes]) -> None:
        """A user of that side writes."""
        place = self.sides[side]

        def one(item: tuple[str, bytes]) -> None:
            place.s3.put_object(Bucket=place.bucket, Key=item[0], Body=item[1])

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(one, objects.items()))
        for key, content in objects.items():
            self.expected.write(key, content)

    def delete(self, side: SideName, keys: Iterable[str]) -> None:
        """A user of that side deletes, a thousand a request. What should be there then is the caller's to say."""
        place, names = self.sides[side], list(keys)
        for at in range(0, len(names), 1000):
            objects = [{"Key": key} for key in names[at : at + 1000]]
            place.s3.delete_objects(Bucket=place.bucket, Delete={"Objects": objects, "Quiet": True})

    # the command line

    def dualsync(self, *arguments: str, gist: Callable[[Answer], str] | None = None, told: bool = True) -> Answer:
        """Call the command line as a person's shell would; `gist` puts its answer into words for the report."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DUALSYNC", "PULUMI_"))}
        environment = keep | self.stage.workspace.environment | {"PATH": self._path, pulumi.PAIR: str(self.pair)}
        done = shell.dualsync(["--pair", str(self.pair), *arguments, "--json"], environment)
        try:
            data = json.loads(done.out)
        except ValueError:
            data = None
        answer = Answer(arguments, done.code, done.out, done.err, data)
        if told:
            words = gist(answer) if gist is not None and data is not None else ""
            self.told.asked.append((answer, words or (done.err.strip().splitlines() or [""])[-1]))
        return answer

    def status_until(self, what: str, condition: Callable[[Any], bool], seconds: float = PATIENCE) -> Answer:
        """Ask `status` until it shows what it should; the answer. Raises `NotInTime`."""
        answer = self.dualsync("status", told=False)

        def shown() -> bool:
            nonlocal answer
            answer = self.dualsync("status", told=False)
            return answer.data is not None and condition(answer.data)

        if not wait_for(shown, seconds, 0.5):
            problems = [p["what"] for p in (answer.data or {}).get("problems", ())]
            states = [d["state"] for d in (answer.data or {}).get("directions", ())]
            raise NotInTime(f"status did not show in {seconds:.0f} s: {what}; {states} {problems} {answer.err}")
        return answer

    # looking

    def until(self, what: str, condition: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
        """Wait, but not for ever. Raises `NotInTime`."""
        if not wait_for(condition, seconds, 0.2):
            backlog = {str(side): self.stage.backlog(side) for side in SideName}
            raise NotInTime(f"not in {seconds:.0f} s: {what}; (waiting, dead) {backlog}")

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Until both sides hold what users expect and no message waits."""
        self.until("the queues are empty", lambda: not any(self.stage.backlog(s)[0] for s in SideName), seconds)
        self.until("both sides hold what users expect", lambda: not self.late(), 60)

    def late(self) -> list[str]:
        """Keys that are not as users expect; kept losers of conflicts are nobody's expectation."""
        return [key for key in settled(self.sides.values(), self.expected) if not is_conflict_name(key)]

    def check(self, text: str, good: bool, detail: object = "") -> None:
        """Note whether something is as it should be; the case goes on."""
        self.told.check(Check(text, good, "" if good else str(detail)))

    def alarms(self, now: Iterable[str] = (), lasting: Iterable[str] | None = None) -> None:
        """Exactly these alarms are raised at once, and those if it lasts (default: the same). Names as `cn-lag`."""
        told, now = self.told, {*now}
        later = now if lasting is None else {*lasting}

        def raised() -> bool:
            told.now, told.lasting = self.watch.raised(), self.watch.raised(lasting=True)
            return now <= _names(told.now) and later == _names(told.lasting)

        # The watch looks once a second: what it saw last may be a queue on its way to empty, or one whose messages a
        # command that reads it hides for a moment.
        wait_for(raised, 15)
        for when, verdicts, wanted in (("at once", told.now, now), ("if it lasts", told.lasting, later)):
            found = _names(verdicts)
            self.check(f"alarms {when}: {', '.join(sorted(wanted)) or 'none'}", found == wanted, sorted(found))

    def woken(self, alarm: str, seconds: float = 600) -> None:
        """Wait for an alarm, as the person does whom it wakes. Raises `NotInTime`."""
        self.until(f"alarm {alarm}", lambda: alarm in _names(self.watch.raised()), seconds)

    def same(self) -> None:
        """Both sides are the same, and the pair is well again, as the commands say and as users see it."""
        self.settle()
        answer = self.dualsync("verify", "--grace", "0", gist=_verdict)
        self.check("verify: both sides are the same", answer.code == 0, answer.out[-300:] + answer.err)
        self.check("users find everything as they left it", not self.late(), self.late()[:5])

    def well(self) -> None:
        """Status says that nothing is stopped and nobody has to do anything."""
        answer = self.status_until("all is well at the end", lambda status: status["healthy"])
        self.check("status at the end: exit code 0", answer.code == 0)

    def __enter__(self) -> Night:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.watch.stop()
        self.stage.keep = error is not None and not isinstance(error, KeyboardInterrupt)
        self.stage.close()


def _names(verdicts: Iterable[Verdict]) -> set[str]:
    """Of alarms, without the pair's: `cn-lag`."""
    return {verdict.name.removeprefix("dth-dual-") for verdict in verdicts}


def _verdict(answer: Answer) -> str:
    return f"{answer.data['verdict']} {answer.data['keys']['equal']} keys"


def timed() -> Callable[[], float]:
    """A stopwatch, in seconds."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun
