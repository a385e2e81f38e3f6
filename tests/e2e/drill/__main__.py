"""Run every case of the failure drill, or those that `--case` names: `make drill`."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.e2e.drill.case import Sizes
from tests.e2e.drill.run import CASES, run


def main(arguments: list[str]) -> int:
    """Run the cases and return the exit code: 0 when every case passed, 2 for a wrong argument."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.drill",
        description="Failure drill: inject a fault, check status and alarms, apply the remedy, compare both sides.",
    )
    parser.add_argument("--case", action="append", default=[], help="run only this case; repeat for several")
    parser.add_argument("--deletions", type=int, default=10_000, help="deletions by mistake (default 10000)")
    parser.add_argument("--conflicts", type=int, default=200, help="keys written on both sides (default 200)")
    parser.add_argument("--letters", type=int, default=300, help="messages in the dead-letter queue (default 300)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply these three numbers, e.g. 0.1")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.case if name not in CASES]
    if unknown:
        print(f"--case {unknown[0]}: unknown case; use one of {', '.join(CASES)}", file=sys.stderr)
        return 2
    if not 0 < given.scale <= 10:
        print(f"--scale {given.scale}: out of range; use a number above 0 and at most 10", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(given.case, Sizes(given.deletions, given.conflicts, given.letters).scaled(given.scale))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
