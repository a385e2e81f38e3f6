"""`python -m sandbox demo` and `python -m sandbox serve`."""

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
    serve = commands.add_parser("serve", help="the same deployment, left running for you to play with")
    serve.add_argument("--port", type=int, default=0, help="port of the stand-in cloud (default: a free one)")
    serve.add_argument("--file", type=Path, help="where to describe it for programs (default .sandbox/sandbox.json)")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if given.command == "demo":
            from sandbox.demo import run

            return run(given.objects, given.kill_worker)
        from sandbox import serve as sandbox_serve

        return sandbox_serve.serve(given.port, given.file or sandbox_serve.DESCRIPTION)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
