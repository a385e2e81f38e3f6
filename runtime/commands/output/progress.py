"""Progress of long work, on stderr: a bar on a terminal, else a line per minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from dualsync.runtime.commands.output.formatting import duration, number
from dualsync.runtime.commands.session import Session

LINE_SECONDS = 60.0
"""Seconds between two lines where there is no terminal, so that the log of a CI job shows progress."""


@contextmanager
def show_count(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a counter. The yielded function adds to it."""
    done = 0
    with show_progress(cli, what, total) as show:

        def add(more: int) -> None:
            nonlocal done
            done += more
            show(done, "")

        yield add


@contextmanager
def show_progress(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
    """Show a counter. The yielded function sets it, with words in place of `what` if there are any."""
    if cli.json:
        yield lambda done, words: None
        return
    if not cli.err.is_terminal:
        yield _Lines(cli, what, total).show
        return
    # The time left needs the total; without it the time that has passed is shown. 80 columns have room for one.
    known: list[ProgressColumn] = [BarColumn(bar_width=10), _Count(), _Rate(), TimeRemainingColumn(compact=True)]
    unknown: list[ProgressColumn] = [_Count(), _Rate(), TimeElapsedColumn()]
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    with Progress(*columns, *(known if total else unknown), console=cli.err, transient=True, expand=False) as bar:
        task = bar.add_task(what, total=total)

        def show(done: int, words: str) -> None:
            # The total is an earlier count: there may be more by now.
            most = max(total, done) if total else None
            bar.update(task, completed=done, description=words or what, total=most)

        yield show


class _Count(ProgressColumn):
    """What is done, and of how many where that is known."""

    def render(self, task: Task) -> Text:
        of = f"/{number(int(task.total))}" if task.total else ""
        return Text(f"{number(int(task.completed))}{of}")


class _Rate(ProgressColumn):
    """How many per second, lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


class _Lines:
    """Prints a line per `LINE_SECONDS`, with count, rate and, where the total is known, the time left."""

    def __init__(self, cli: Session, what: str, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._cli = cli
        self._what = what
        self._total = total
        self._clock = clock
        self._start = self._last = clock()

    def show(self, done: int, words: str) -> None:
        """Print a line if it is time for one."""
        now = self._clock()
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        rate = done / (now - self._start)
        of = f" of {number(self._total)}" if self._total else ""
        left = f", about {duration((self._total - done) / rate)} left" if self._total and 0 < done < self._total else ""
        text = f"{self._what}: {words or number(done) + of}, {duration(now - self._start)}, {rate:.0f}/s{left}"
        self._cli.err.print(text, markup=False)
