"""`python -m sandbox` with `demo`, `serve`, `empty` or `drill`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """The exit code: 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="deploy both stacks, sync real files both ways, compare everything")
    demo.add_argument("--objects", type=int, default=1000, help="files uploaded to A (default 1000); B gets a quarter")
    demo.add_argument("--kill-worker", action="store_true", help="kill a worker with -9 in the middle of it")
    demo.add_argument("--picture", type=Path, help="draw both dashboards at the end: FILE-cn.png, FILE-global.png")
    serve = commands.add_parser("serve", help="the same deployment, left running for you to play with")
    serve.add_argument("--port", type=int, default=0, help="port of the stand-in cloud (default: a free one)")
    serve.add_argument("--file", type=Path, help="where to describe it for programs (default .sandbox/sandbox.json)")
    empty = commands.add_parser("empty", help="two empty accounts, and a project folder to run `pulumi` in yourself")
    empty.add_argument("--port", type=int, default=0, help="port of the stand-in cloud (default: a free one)")
    empty.add_argument("--file", type=Path, help="where to describe it for programs (default .sandbox/empty.json)")
    drill = commands.add_parser("drill", help="the night drill: faults, what is shown, what mends them")
    drill.add_argument("--case", action="append", default=[], help="only this one; may be given again")
    drill.add_argument("--deletions", type=int, default=10_000, help="deletions by mistake (default 10000)")
    drill.add_argument("--conflicts", type=int, default=200, help="keys of the conflict storm (default 200)")
    drill.add_argument("--letters", type=int, default=300, help="dead letters of the full queue (default 300)")
    drill.add_argument("--scale", type=float, default=1.0, help="a share of all these numbers: 0.1 for a quick look")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if given.command == "demo":
            from sandbox.demo.demo import run

            return run(given.objects, given.kill_worker, given.picture)
        if given.command == "drill":
            return _drill(given)
        if given.command == "empty":
            from sandbox.demo import empty as sandbox_empty

            return sandbox_empty.serve(given.port, given.file or sandbox_empty.DESCRIPTION)
        from sandbox.demo import serve as sandbox_serve

        return sandbox_serve.serve(given.port, given.file or sandbox_serve.DESCRIPTION)
    except KeyboardInterrupt:
        return 130


def _drill(given: argparse.Namespace) -> int:
    from tests.e2e.drill.case import Sizes
    from tests.e2e.drill.run import CASES
    from tests.e2e.drill.run import run as drill

    unknown = [name for name in given.case if name not in CASES]
    if unknown:
        print(f"--case {unknown[0]}: use one of {', '.join(CASES)}", file=sys.stderr)
        return 2
    if not 0 < given.scale <= 10:
        print(f"--scale {given.scale}: use more than 0, at most 10", file=sys.stderr)
        return 2
    return drill(given.case, Sizes(given.deletions, given.conflicts, given.letters).scaled(given.scale))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
