"""Progress of a long command: one bar per step while it runs, one line per step when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


@dataclass(frozen=True, slots=True)
class Step:
    """A finished step."""

    text: str
    """Description of the step."""

    seconds: float
    """Duration."""


class Bar:
    """The bar of a running step. Call it with the count so far.

    The bar pulses until the first count, so that a step whose first result takes long is seen to run. `total` is an
    estimate: a larger count raises it, and the end of the step sets the bar to 100 %.
    """

    def __init__(self, progress: Progress, task: TaskID, total: int | None) -> None:
        self._progress, self._task, self._total = progress, task, total
        self.done = 0

    def __call__(self, done: int) -> None:
        self.done = done
        if self._total is not None:
            self._progress.update(self._task, completed=done, total=max(done, self._total))

    def finish(self) -> None:
        """Show 100 %."""
        self._progress.update(self._task, completed=max(self.done, 1), total=max(self.done, 1))


class Steps:
    """The steps of one command, printed to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.finished: list[Step] = []
        """Finished steps in the order of their end."""

    @contextmanager
    def run(self, text: str, total: int | None = None, unit: str = "") -> Iterator[Bar]:
        """Show a bar during the block and a line after it; `unit` adds the final count to that line."""
        begun = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        counted = (*columns[:-1], MofNCompleteColumn(), columns[-1])
        with Progress(
            *(columns if total is None else counted),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as progress:
            bar = Bar(progress, progress.add_task(text, total=None), total)
            yield bar
            bar.finish()
        line = f"{text}, {bar.done} {unit}" if unit else text
        self.finished.append(Step(line, time.monotonic() - begun))
        self._console.print(f"  [green]✓[/] {line} [dim]({self.finished[-1].seconds:.1f} s)[/]", soft_wrap=True)
