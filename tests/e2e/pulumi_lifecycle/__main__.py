"""`make engine-demo`: the lifecycle of a pair under the real `pulumi`, on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sandbox.environment.workers import ProcessFailedError
from tests.e2e.pulumi_lifecycle.command import MISSING, EngineError, is_available
from tests.e2e.pulumi_lifecycle.life import FILES, SETTINGS, Life, LifecycleError
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

HEAD = """# A pair's life under the real engine

The transcript of `make engine-demo`, written by it on {date}: the `pulumi` command with the real program, on a local
file backend, against the sandbox's two accounts; workers and finder are the real ones. Every remark was checked;
lines are trimmed.
"""


def main(arguments: list[str]) -> int:
    """Run the lifecycle and return the exit code: 0 when every check held, 1 when one failed, 3 without an engine."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.pulumi_lifecycle", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES, help=f"files per side and step (default {FILES})")
    parser.add_argument("--transcript", type=Path, help="write a transcript to this file, as Markdown")
    parser.add_argument("--check", action="store_true", help="only check that the engine is there")
    given = parser.parse_args(arguments)
    if not is_available():
        print(MISSING)
        return 3
    if given.check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    page = Transcript(lambda line: print(line, flush=True))
    try:
        with EngineStage.open("engine", SETTINGS) as engine:
            Life(engine, page, given.files).play()
    except (LifecycleError, EngineError, ProcessFailedError) as e:
        print(f"failed: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nEvery check held ({time.monotonic() - begun:.0f} s).")
    if given.transcript:
        given.transcript.write_text(HEAD.format(date=datetime.now(UTC).date()) + "\n" + page.text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
