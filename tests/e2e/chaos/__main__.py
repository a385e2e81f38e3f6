"""`make chaos MINUTES=30`: users and processes under kills, stops and a faulty proxy; two judges check the result."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.e2e.chaos.run import Result, chaos


def report(result: Result, seconds: float) -> str:
    """Return the result as text."""
    verdict = result.verdict
    lines = [
        f"seed {result.seed}, buckets {'with' if result.versioned else 'without'} versions, {seconds:.0f} s in all",
        f"users: {_counts(result.actions)}",
        f"processes: {_counts(result.process_faults)}; finder runs that failed: {result.failed_finders}",
        f"proxy: {sum(result.faults.values())} faults in {result.requests} requests: {_counts(result.faults)}",
        f"dead letters sent again: {result.letters}",
    ]
    for key, why in verdict.wrong.items():
        lines += [f"WRONG {key}", *(f"    {line}" for line in why)]
    excused = f"; exceptions: {_counts(verdict.excused)}" if verdict.excused else ""
    lines.append(f"{verdict.judged} keys, {verdict.changes} changes, {len(verdict.wrong)} keys wrong{excused}")
    return "\n".join(lines)


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def main(arguments: list[str]) -> int:
    """Run and return the exit code: 0 when nothing is wrong, 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long users write (default 30)")
    parser.add_argument("--seed", type=int, help="seed of all choices (default: a new one)")
    parser.add_argument("--unversioned", action="store_true", help="buckets that keep no versions")
    given = parser.parse_args(arguments)
    if not 0.2 <= given.minutes <= 600:
        print(f"--minutes {given.minutes}: out of range; use a number from 0.2 to 600", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = secrets.randbelow(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    begun = time.monotonic()
    try:
        result = chaos(seed, given.minutes * 60, versioned=not given.unversioned)
    except KeyboardInterrupt:
        return 130
    print(report(result, time.monotonic() - begun))
    return 0 if result.good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
