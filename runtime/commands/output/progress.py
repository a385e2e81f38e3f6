"""Progress of long work, on stderr: a bar on a terminal, else a line per minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dualsync.runtime.commands.output.formatting import duration, number
from dualsync.runtime.commands.session import Session

LINE_SECONDS = 60.0
"""Seconds between two lines where there is no terminal, so that the log of a CI job shows progress."""


@contextmanager
def counting(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a counter. The yielded function adds to it."""
    done = 0
    with showing(cli, what, total) as show:

        def add(more: int) -> None:
            nonlocal done
            done += more
            show(done, "")

        yield add


@contextmanager
def showing(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
    """Show a counter. The yielded function sets it, with words in place of `what` if there are any."""
    if cli.json:
        yield lambda done, words: None
        return
    if not cli.err.is_terminal:
        yield _Lines(cli, what, total).show
        return
    columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=12)]
    with Progress(
        *columns, MofNCompleteColumn(), TimeElapsedColumn(), console=cli.err, transient=True, expand=False
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, words: bar.update(task, completed=done, description=words or what)


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
