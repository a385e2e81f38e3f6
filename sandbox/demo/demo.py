"""`make demo`: the real program deployed for both sides, the real runtime at work, everything checked at the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dualsync.runtime.log import Outcome
from dualsync.runtime.settings import SideName
from sandbox.cloudwatch.watch import Watch
from sandbox.demo.comparison import Side, compare, settled, wait_for
from sandbox.demo.report import Result, Step, show
from sandbox.demo.scenario import ARCHIVE_KEY, BEFORE, CONFLICT_KEY, A, B, Scenario, library
from sandbox.environment.environment import Stage
from sandbox.environment.workers import ProcessFailed

VISIBILITY_SECONDS = 10
SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)}
"""The runtime's, for this demo: shorter waits, so that a killed worker's messages come back within seconds."""

FIND_NOW = {"DUALSYNC_FINDER_GRACE_SECONDS": "0"}
"""The finder leaves young objects to their events; here everything is young."""

SETTLE_SECONDS = 90
ARCHIVE_BYTES = 20 << 20
RESOURCES = 62
"""About how many resources a stack has, for the progress bar."""


class NotSettled(Exception):
    """The two sides did not come to agree in time; the text says which keys and what was said of them."""


@dataclass
class Demo:
    """One run. `objects` are uploaded to A, a quarter as many to B."""

    console: Console
    objects: int = 1000
    kill_worker: bool = False
    picture: Path | None = None
    """Where the dashboards are drawn at the end: `NAME-cn.png` and `NAME-global.png` for `NAME.png`."""

    steps: list[Step] = field(default_factory=list)

    def run(self) -> Result:
        """Play everything; what came of it. Raises `NotSettled`, `ProcessFailed`, `DeployError`, `CloudError`."""
        with self._step("stand-in cloud"):
            stage = Stage.open("demo", settings=SETTINGS)
        with stage:
            try:
                return self._play(stage)
            except Exception:
                self.console.print(f"logs: {stage.workspace.folder / 'logs'}", style="yellow")
                raise

    def _play(self, stage: Stage) -> Result:
        sides = {side: Side(side, bucket, stage.s3(side)) for side, bucket in stage.buckets.items()}
        scenario = Scenario(sides)
        with self._step("two buckets, with an object each and another team's notification"):
            stage.make_buckets()
            scenario.before_set_up()
        with self._step("bundle"):
            stage.build_bundles()
        for side in SideName:
            with self._step(f"stack {side} deployed", RESOURCES) as told:
                stage.deploy(side, told)
        stage.hide_for(VISIBILITY_SECONDS)
        with self._step("workers running"):
            for side in SideName:
                stage.fleet.start(side)
            stage.fleet.wait_until_running()
        watch = Watch(stage)
        if self.picture is not None:
            watch.start()
        started = time.monotonic()
        self._write(stage, scenario)
        self._change(stage, scenario)
        self._conflict(stage, scenario)
        self._find(stage, scenario)
        with self._step("queues empty"):
            self._drained(stage)
        synced = time.monotonic() - started
        if self.picture is not None:
            self._draw(watch, self.picture)
        with self._step("compared byte for byte", len(scenario.expected.contents)) as told:
            comparison = compare(sides.values(), scenario.expected, told)
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
            steps=self.steps,
        )

    def _draw(self, watch: Watch, file: Path) -> None:
        from tools.docs.dashboard_picture import draw

        watch.stop()
        for side in SideName:
            with self._step(f"dashboard {side} drawn"):
                draw(watch, side, file.with_stem(f"{file.stem}-{side}"))

    def _write(self, stage: Stage, scenario: Scenario) -> None:
        files = library(self.objects + self.objects // 4)
        to_a, to_b = files[: self.objects], files[self.objects :] or files[: self.objects // 4]
        half = len(to_a) // 2
        with self._step(f"{len(to_a)} files uploaded to A", len(to_a)) as told:
            scenario.upload(A, "library", to_a[:half], told)
            if self.kill_worker:
                self._kill(stage)
            scenario.upload(A, "library", to_a[half:], lambda n: told(half + n))
        with self._step(f"{len(to_b)} files uploaded to B", len(to_b)) as told:
            scenario.upload(B, "tools", to_b, told)
        with self._step("an object in parts, odd keys, empty objects"):
            scenario.upload_archive(A, to_a, ARCHIVE_BYTES)
            scenario.odd_keys()
        self._settle(stage, scenario, "everything arrived")

    def _kill(self, stage: Stage) -> None:
        worker = stage.fleet.workers[A]
        worker.kill()
        stage.fleet.mourn(A)
        stage.fleet.start(A)
        self.console.print(f"  [yellow]killed worker {A} with -9 in the middle, and started another[/]")

    def _change(self, stage: Stage, scenario: Scenario) -> None:
        n = max(1, self.objects // 20)
        edited_a = scenario.pick(n, 1)
        edited_b = scenario.pick(n, 2, edited_a)
        gone_a = scenario.pick(n, 3, [*edited_a, *edited_b])
        gone_b = scenario.pick(n, 4, [*edited_a, *edited_b, *gone_a])
        with self._step(f"{2 * n} edits on both sides, {2 * n} deletions on both sides", 4 * n) as told:
            scenario.edit(A, edited_a, told)
            scenario.edit(B, edited_b, lambda k: told(n + k))
            scenario.delete(A, gone_a, lambda k: told(2 * n + k))
            scenario.delete(B, gone_b, lambda k: told(3 * n + k))
        self._settle(stage, scenario, "edits and deletions arrived")

    def _conflict(self, stage: Stage, scenario: Scenario) -> None:
        def signal_workers(number: signal.Signals) -> None:
            for running in stage.fleet.workers.values():
                os.kill(running.process.pid, number)

        with self._step("one key written on both sides at once"):
            scenario.conflict(signal_workers)
        self._settle(stage, scenario, "conflict settled")

    def _find(self, stage: Stage, scenario: Scenario) -> None:
        for side in SideName:
            with self._step(f"finder {side} compared the buckets"):
                stage.fleet.find(side, FIND_NOW)
        self._settle(stage, scenario, "objects from before set-up arrived", before=True)

    def _settle(self, stage: Stage, scenario: Scenario, text: str, before: bool = False) -> None:
        """Until both listings are as the users expect; what was there before set-up counts once the finder has run."""
        ignored = set() if before else set(BEFORE.values())
        late: list[str] = []

        def done() -> bool:
            stage.fleet.check()
            late[:] = [k for k in settled(scenario.sides.values(), scenario.expected) if k not in ignored]
            return not late

        with self._step(text):
            if not wait_for(done, SETTLE_SECONDS):
                raise NotSettled(self._why(stage, scenario, late))

    def _why(self, stage: Stage, scenario: Scenario, late: list[str]) -> str:
        lines = [f"{len(late)} keys are not the same after {SETTLE_SECONDS} s:"]
        for key in late[:5]:
            wanted = scenario.expected.contents.get(key)
            lines.append(f"  {key}: wanted {f'{wanted[1]} bytes' if wanted else 'nothing'}")
            lines += [f"    {s} holds {side.listing().get(key) or 'nothing'}" for s, side in scenario.sides.items()]
            said = stage.fleet.journal.of_key(key)[-4:]
            lines += [f"    {line['side']} said: {line['outcome']}, {line.get('reason', '')}" for line in said]
        for side in SideName:
            waiting, dead = stage.backlog(side)
            lines.append(f"  queue {side}: {waiting} waiting or in flight, {dead} dead")
        return "\n".join(lines)

    def _drained(self, stage: Stage) -> None:
        if not wait_for(lambda: not any(stage.backlog(side)[0] for side in SideName), SETTLE_SECONDS, 0.2):
            raise NotSettled(f"messages are left: {[stage.backlog(side) for side in SideName]}")

    @contextmanager
    def _step(self, text: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        begun = time.monotonic()
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as progress:
            task = progress.add_task(text, total=total)
            yield lambda done: progress.update(task, completed=done)
        self.steps.append(Step(text, time.monotonic() - begun))
        self.console.print(f"  [green]✓[/] {text} [dim]({self.steps[-1].seconds:.1f} s)[/]")


def run(objects: int, kill_worker: bool, picture: Path | None = None) -> int:
    """The demo as a command; its exit code."""
    console = Console(highlight=False)
    console.print("[bold]Two buckets, two partitions, kept the same[/] (all of it on this machine)")
    try:
        result = Demo(console, objects, kill_worker, picture).run()
    except (NotSettled, ProcessFailed) as e:
        console.print("[red bold]failed:[/]", end=" ")
        console.print(str(e), markup=False)
        return 1
    show(console, result)
    return 0 if not result.failures() else 1


__all__ = ["ARCHIVE_KEY", "Demo", "NotSettled", "Outcome", "run"]
