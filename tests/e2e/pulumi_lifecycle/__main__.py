"""`make engine-demo`: the lifecycle of a pair under the real `pulumi`, on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sandbox.environment.workers import ProcessFailedError
from tests.e2e.pulumi_lifecycle.checks import LifecycleError
from tests.e2e.pulumi_lifecycle.command import MISSING, EngineError, is_available
from tests.e2e.pulumi_lifecycle.sections import SECTIONS, Section, merged


def main(arguments: list[str]) -> int:
    """Run the sections and return the exit code: 0 when every check held, 1 when one failed, 3 without an engine."""
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.pulumi_lifecycle", description=__doc__)
    parser.add_argument("--section", choices=names, action="append", help="one section only; repeat for several")
    parser.add_argument("--transcript", type=Path, help="write the sections into this file, as Markdown; others stay")
    parser.add_argument("--check", action="store_true", help="only check that the engine is there")
    given = parser.parse_args(arguments)
    if not is_available():
        print(MISSING)
        return 3
    if given.check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for section in SECTIONS:
            if not given.section or section.name in given.section:
                _run(section, given.transcript)
    except (LifecycleError, EngineError, ProcessFailedError) as e:
        print(f"failed: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(section: Section, transcript: Path | None) -> None:
    begun = time.monotonic()
    print(f"\n## {section.title}", flush=True)
    page = section.run(lambda line: print(line, flush=True))
    print(f"\n{section.name}: every check held ({time.monotonic() - begun:.0f} s).", flush=True)
    if transcript:
        before = transcript.read_text() if transcript.exists() else ""
        transcript.write_text(merged(before, {section.name: page}, datetime.now(UTC).date()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
