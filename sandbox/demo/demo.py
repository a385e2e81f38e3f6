"""`make demo`: deploy both stacks, run workers and finders, sync real files both ways, compare everything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import CloudError
from sandbox.demo.comparison import Lull, Side, compare, unsettled, wait_for
from sandbox.demo.report import Result, show
from sandbox.demo.scenario import BEFORE, CONFLICT_KEY, A, B, Scenario, library
from sandbox.demo.steps import Steps
from sandbox.environment.deploy import DeployError
from sandbox.environment.environment import ESTIMATED_RESOURCES, Stage
from sandbox.environment.workers import ProcessFailedError

VISIBILITY_SECONDS = 10
"""Visibility timeout of the queues: a killed worker's messages are received again after this time."""

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)}
"""Settings of the runtime (variables) for the demo: shorter delays than the deployed ones."""

FIND_NOW = {"DUALSYNC_FINDER_GRACE_SECONDS": "0"}
"""Settings of the finder, which by default skips young objects because their events may be under way."""

SETTLE_SECONDS = 90
"""Deadline for both sides to become equal after a step, in seconds."""

TYPICAL_SECONDS = 120
"""Estimated duration of the default run in seconds on two free cores: it takes 140 seconds of CPU time."""

ARCHIVE_BYTES = 20 << 20
"""Size of the object that is copied in parts."""


class NotSettledError(Exception):
    """The two sides did not become equal in time; the text holds the keys and what was logged about them."""


@dataclass
class Demo:
    """One run of the demo."""

    console: Console
    """Console on which progress is printed."""

    objects: int = 1000
    """Files uploaded to A; B gets a quarter as many."""

    kill_worker: bool = False
    """Kill a worker with SIGKILL during the uploads."""

    at_start: Callable[[Stage], None] = lambda stage: None
    """Called when the workers run, before the first upload."""

    at_end: Callable[[Stage], None] = lambda stage: None
    """Called when the queues are empty, before the comparison."""

    steps: Steps = field(init=False)
    """Steps so far."""

    def __post_init__(self) -> None:
        self.steps = Steps(self.console)

    def run(self) -> Result:
        """Run every step. Raises `NotSettledError`, `ProcessFailedError`, `DeployError` and `CloudError`."""
        with self.steps.run("local cloud emulator"):
            stage = Stage.open("demo", settings=SETTINGS)
        with stage:
            try:
                return self._play(stage)
            except Exception:
                self.console.print(f"logs: {stage.workspace.folder / 'logs'}", style="yellow", soft_wrap=True)
                raise

    def _play(self, stage: Stage) -> Result:
        sides = {side: Side(side, bucket, stage.s3(side)) for side, bucket in stage.buckets.items()}
        scenario = Scenario(sides)
        with self.steps.run("two buckets with an object each"):
            stage.make_buckets()
            scenario.before_set_up()
        with self.steps.run("runtime packed into bundles"):
            stage.build_bundles()
        with self.steps.run("both stacks deployed", 2 * ESTIMATED_RESOURCES, "resources") as report:
            stage.deploy_both(report)
        stage.hide_for(VISIBILITY_SECONDS)
        with self.steps.run("workers running"):
            for side in SideName:
                stage.fleet.start(side)
            stage.fleet.wait_until_running()
        self.at_start(stage)
        started = time.monotonic()
        self._write(stage, scenario)
        self._change(stage, scenario)
        self._conflict(stage, scenario)
        self._find(stage, scenario)
        with self.steps.run("queues empty"):
            self._drained(stage)
        synced = time.monotonic() - started
        self.at_end(stage)
        with self.steps.run("compared byte for byte", len(scenario.expected.contents)) as report:
            comparison = compare(sides.values(), scenario.expected, report)
        return Result(
            comparison=comparison,
            expected=scenario.expected,
            writes=scenario.writes,
            deletions=scenario.deletions,
            journal=stage.fleet.journal,
            conflict_won=sides[A].read(CONFLICT_KEY) == sides[B].read(CONFLICT_KEY) == scenario.winner,
            foreign_kept=stage.foreign_notification_is_there(),
            dead_letters={side: stage.backlog(side)[1] for side in SideName},
            killed=self.kill_worker,
            seconds=synced,
            steps=self.steps.finished,
        )

    def _write(self, stage: Stage, scenario: Scenario) -> None:
        files = library(self.objects + self.objects // 4)
        to_a, to_b = files[: self.objects], files[self.objects :] or files[: self.objects // 4]
        half = len(to_a) // 2
        with self.steps.run(f"{len(to_a)} files uploaded to A", len(to_a)) as report:
            scenario.upload(A, "library", to_a[:half], report)
            if self.kill_worker:
                self._kill(stage)
            scenario.upload(A, "library", to_a[half:], lambda n: report(half + n))
        with self.steps.run(f"{len(to_b)} files uploaded to B", len(to_b)) as report:
            scenario.upload(B, "tools", to_b, report)
        with self.steps.run("an object in parts, odd keys, empty objects"):
            scenario.upload_archive(A, to_a, ARCHIVE_BYTES)
            scenario.odd_keys()
        self._settle(stage, scenario, "everything arrived")

    def _kill(self, stage: Stage) -> None:
        worker = stage.fleet.workers[A]
        worker.kill()
        stage.fleet.log_exit(A)
        stage.fleet.start(A)
        self.console.print(f"  [yellow]worker {A} killed (SIGKILL) during the uploads, another one started[/]")

    def _change(self, stage: Stage, scenario: Scenario) -> None:
        n = max(1, self.objects // 20)
        edited_a = scenario.pick(n, 1)
        edited_b = scenario.pick(n, 2, edited_a)
        gone_a = scenario.pick(n, 3, [*edited_a, *edited_b])
        gone_b = scenario.pick(n, 4, [*edited_a, *edited_b, *gone_a])
        with self.steps.run(f"{2 * n} edits on both sides, {2 * n} deletions on both sides", 4 * n) as report:
            scenario.edit(A, edited_a, report)
            scenario.edit(B, edited_b, lambda k: report(n + k))
            scenario.delete(A, gone_a, lambda k: report(2 * n + k))
            scenario.delete(B, gone_b, lambda k: report(3 * n + k))
        self._settle(stage, scenario, "edits and deletions arrived")

    def _conflict(self, stage: Stage, scenario: Scenario) -> None:
        def signal_workers(number: signal.Signals) -> None:
            for running in stage.fleet.workers.values():
                os.kill(running.process.pid, number)

        with self.steps.run("one key written on both sides at once"):
            scenario.conflict(signal_workers)
        self._settle(stage, scenario, "conflict settled")

    def _find(self, stage: Stage, scenario: Scenario) -> None:
        with self.steps.run("both finders compared the buckets"):
            stage.find_both(FIND_NOW)
        self._settle(stage, scenario, "objects from before set-up arrived", before=True)

    def _settle(self, stage: Stage, scenario: Scenario, text: str, before: bool = False) -> None:
        """Wait until both listings are as users expect. With `before`, objects from before set-up count too."""
        ignored = set() if before else set(BEFORE.values())
        late: list[str] = []
        lull = Lull(stage.fleet.journal.mark)

        def done() -> bool:
            stage.fleet.check()
            if not lull():
                return False
            late[:] = [k for k in unsettled(scenario.sides.values(), scenario.expected) if k not in ignored]
            return not late

        with self.steps.run(text):
            if not wait_for(done, SETTLE_SECONDS):
                raise NotSettledError(self._why(stage, scenario, late))

    def _why(self, stage: Stage, scenario: Scenario, late: list[str]) -> str:
        lines = [f"{len(late)} keys are not the same after {SETTLE_SECONDS} s:"]
        for key in late[:5]:
            wanted = scenario.expected.contents.get(key)
            lines.append(f"  {key}: wanted {f'{wanted[1]} bytes' if wanted else 'nothing'}")
            lines += [f"    {s} holds {side.listing().get(key) or 'nothing'}" for s, side in scenario.sides.items()]
            logged = stage.fleet.journal.of_key(key)[-4:]
            lines += [f"    worker {line['side']}: {line['outcome']}, {line.get('reason', '')}" for line in logged]
        for side in SideName:
            waiting, dead = stage.backlog(side)
            lines.append(f"  queue {side}: {waiting} messages waiting or in flight, {dead} dead letters")
        return "\n".join(lines)

    def _drained(self, stage: Stage) -> None:
        if not wait_for(lambda: not any(stage.backlog(side)[0] for side in SideName), SETTLE_SECONDS, 0.2):
            left = ", ".join(f"{side} {stage.backlog(side)[0]}" for side in SideName)
            raise NotSettledError(f"messages are left in the queues after {SETTLE_SECONDS} s: {left}")


def run(objects: int, kill_worker: bool, console: Console | None = None) -> int:
    """Run the demo as a command and return its exit code: 0 when both sides are equal at the end."""
    console = console or Console(highlight=False)
    console.print("[bold]Two buckets in two AWS partitions, kept identical[/] (all of it on this machine)")
    if objects == Demo.objects:
        console.print(f"About {TYPICAL_SECONDS} seconds on two free cores.")
    return play(Demo(console, objects, kill_worker))


def play(demo: Demo) -> int:
    """Run a demo, print its result or why it failed, and return the exit code."""
    try:
        result = demo.run()
    except (NotSettledError, ProcessFailedError, DeployError, CloudError) as e:
        demo.console.print("[red bold]failed:[/]", end=" ")
        demo.console.print(str(e), markup=False, soft_wrap=True)
        return 1
    show(demo.console, result)
    return 0 if not result.failures() else 1
