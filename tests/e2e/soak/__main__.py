"""`make soak MINUTES=30`: load with faults and key rotations; print memory, connections and tasks of the workers."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.e2e.soak.soak import Pace, Result, soak


def table(result: Result) -> str:
    """Return a table with start, end, slope and verdict of each figure."""
    rows: list[tuple[str, ...]] = [("side", "figure", "at the start", "at the end", "per hour", "")]
    for side, found in result.trends().items():
        for trend in found:
            mib = trend.name == "memory_bytes"
            numbers = [
                f"{value / 2**20:,.1f} MiB" if mib else f"{value:,.1f}"
                for value in (trend.start, trend.end, trend.per_hour)
            ]
            rows.append((str(side), trend.name.removesuffix("_bytes"), *numbers, "flat" if trend.flat else "GROWS"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    equal = "equal" if result.equal else "NOT EQUAL"
    happened = f"{result.writes} writes, {result.cuts} cuts, {result.rotations} rotations; both sides are {equal}"
    return "\n".join([*lines, happened])


def main(arguments: list[str]) -> int:
    """Run the soak and return the exit code: 0 when nothing grew and both sides were equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="length of the load (default 30)")
    given = parser.parse_args(arguments)
    if not 1 <= given.minutes <= 600:
        print(f"--minutes {given.minutes}: out of range; use a number from 1 to 600", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seconds = given.minutes * 60
    pace = Pace(seconds, rotate_every=max(60, seconds / 6), sample_every=max(2, seconds / 180))
    try:
        result = soak(pace)
    except KeyboardInterrupt:
        return 130
    print(table(result))
    return 0 if result.good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
