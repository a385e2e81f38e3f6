"""Sync two seeded buckets: `python -m tests.simulation.seeding N` runs both finders over N keys and counts the work."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.seeding.world import first_contact


def main() -> int:
    """Print the counts. Return 1 if anything was transferred, conflicted, or not recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.seeding")
    parser.add_argument("keys", type=int, nargs="?", default=1_000_000)
    keys = parser.parse_args().keys
    begun = time.monotonic()
    counts, reports = first_contact(keys)
    for side, report in reports.items():
        sys.stdout.write(f"{side}: {report.counters.here} keys, {dict(report.found)}, {counts.synced[side]} recorded\n")
    sys.stdout.write(
        f"{counts.messages} messages, {counts.transfers} transfers, {counts.across} reads across the border,"
        f" {counts.conflicts} conflicts, {counts.dead} dead letters; {time.monotonic() - begun:.0f} s\n"
    )
    for call, count in sorted(counts.calls.items()):
        sys.stdout.write(f"  {call}: {count}\n")
    right = set(counts.synced.values()) == {keys}
    return 0 if right and not (counts.transfers or counts.across or counts.conflicts or counts.dead) else 1


if __name__ == "__main__":
    sys.exit(main())
