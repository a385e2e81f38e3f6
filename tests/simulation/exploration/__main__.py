"""Explore rows of histories: `python -m tests.simulation.exploration` explores all rows on all cores.

`--quick` explores those of the test suite. A report is printed per row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.pool import Pool

from tests.simulation.exploration.explorer import Exploration
from tests.simulation.exploration.rows import ROWS, Row, Runner
from tests.support.interrupts import ignore_interrupt

CHUNK = 4
"""Histories per job."""
MAX_CACHED = 400_000
"""Nodes that a process caches, at about 2 KiB each; a history that begins beyond them starts with an empty cache."""
PROGRESS_SECONDS = 60
"""Seconds between two lines of progress on stderr."""

_runners: dict[str, Runner] = {}
Job = tuple[str, tuple[tuple[str, tuple[tuple[str, str], ...], str], ...]]


def explore(job: Job) -> tuple[int, Exploration]:
    """Explore some histories of a row, in a process that caches the computed calls for the next ones."""
    name, histories = job
    total = Exploration()
    for start, sequence, timing in histories:
        if name not in _runners or _runners[name].cached > MAX_CACHED:
            _runners.clear()
            _runners[name] = Runner(next(row for row in ROWS if row.name == name))
        found = _runners[name].run(start, sequence, timing)
        title = f"{start}; {', '.join(' '.join(act) for act in sequence)}; {timing}"
        found.wrong = [(f"{title}: {text}", schedule) for text, schedule in found.wrong]
        total.add(found)
    return len(histories), total


def jobs(row: Row) -> Iterator[Job]:
    """Yield the histories of a row in chunks."""
    histories = tuple(row.histories())
    for at in range(0, len(histories), CHUNK):
        yield row.name, histories[at : at + CHUNK]


def report(row: Row, histories: int, found: Exploration, seconds: float) -> Iterator[str]:
    """Yield the lines of the report on a row."""
    yield (
        f"{row.name}: {histories:,} histories, {found.schedules:,} schedules in {found.states:,} states "
        f"({found.transitions:,} transitions, {found.again:,} to a known state, {found.eager:,} calls without "
        f"alternatives), {found.ends:,} ends, {len(found.wrong)} wrong, {found.needed_finder} right only with the "
        f"finder, {seconds:.0f} s{', CUT' if found.cut else ''}"
    )
    for name, count in found.excused.most_common():
        yield f"    documented exception: {count:,} ends, {name}"
    for title, schedule in found.wrong[:3]:
        yield f"    WRONG {title}"
        yield from (f"        {line}" for line in schedule)


def explore_row(row: Row, pool: Pool) -> tuple[int, Exploration, bool]:
    """Explore a row with progress on stderr. Ctrl-C ends it with the results so far.

    The last value is True if it was ended so.
    """
    todo = tuple(jobs(row))
    in_all = sum(len(histories) for _, histories in todo)
    done, found, told, interrupted = 0, Exploration(), time.monotonic(), False
    try:
        for count, part in pool.imap_unordered(explore, todo):
            done += count
            found.add(part)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                sys.stderr.write(f"{row.name}: {done:,} of {in_all:,} histories, {found.states:,} states\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the report covers the histories so far\n")
        found.cut = interrupted = True
    return done, found, interrupted


def main() -> int:
    """Run the command and return its exit code: 0 if nothing was wrong and no history was cut."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.exploration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the rows of the test suite")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    failed = False
    total, histories_in_all = Exploration(), 0
    with multiprocessing.Pool(options.processes, initializer=ignore_interrupt) as pool:
        for row in ROWS:
            if (options.quick and not row.quick) or options.row not in row.name:
                continue
            began = time.monotonic()
            histories, found, interrupted = explore_row(row, pool)
            for line in report(row, histories, found, time.monotonic() - began):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
            failed = failed or bool(found.wrong) or found.cut
            histories_in_all += histories
            total.add(found)
            if interrupted:
                break
    sys.stdout.write(
        f"in all: {histories_in_all:,} histories, {total.schedules:,} schedules, {total.states:,} states, "
        f"{len(total.wrong)} wrong\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
