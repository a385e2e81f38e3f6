"""Progress of long work, on stderr, and only where somebody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dualsync.runtime.commands.session import Session


@contextmanager
def counting(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A counter that is told how many more are done."""
    if cli.json or not cli.err.is_terminal:
        yield lambda more: None
        return
    with _bar(cli) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


@contextmanager
def showing(cli: Session, what: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
    """A counter that is told how many are done, and in which words."""
    if cli.json or not cli.err.is_terminal:
        yield lambda done, words: None
        return
    with _bar(cli) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, words: bar.update(task, completed=done, description=words or what)


def _bar(cli: Session) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=cli.err,
        transient=True,
    )
