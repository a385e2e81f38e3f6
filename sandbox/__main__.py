"""The sandbox's commands: `python -m sandbox demo`, `serve` or `empty`."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from pathlib import Path

from sandbox.cloud.handle import CloudError
from sandbox.environment.deploy import DeployError
from sandbox.environment.processes import ROOT
from sandbox.environment.workers import ProcessFailedError


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0 after success, 1 after a failure, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Local cloud emulator with both stacks in it."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="deploy both stacks, sync real files both ways, compare everything")
    demo.add_argument("--objects", type=int, default=1000, help="files uploaded to A (default 1000); B gets a quarter")
    demo.add_argument("--kill-worker", action="store_true", help="kill a worker with SIGKILL during the uploads")
    serve = commands.add_parser("serve", help="deploy both stacks and leave them running until Ctrl-C")
    serve.add_argument("--port", type=int, default=0, help="port of the local cloud emulator (default: a free one)")
    serve.add_argument("--file", type=Path, help="JSON description for programs (default .sandbox/sandbox.json)")
    empty = commands.add_parser("empty", help="two empty accounts and a project folder in which to run `pulumi`")
    empty.add_argument("--port", type=int, default=0, help="port of the local cloud emulator (default: a free one)")
    empty.add_argument("--file", type=Path, help="JSON description for programs (default .sandbox/empty.json)")
    given = parser.parse_args(arguments)
    if given.command == "demo" and given.objects < 1:
        parser.error(f"--objects {given.objects}: out of range; use a number above 0")
    if given.command != "demo" and not 0 <= given.port <= 65535:
        parser.error(f"--port {given.port}: out of range; use a port, or 0 for a free one")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _run(given)
    except KeyboardInterrupt:
        return 130
    except (DeployError, CloudError, ProcessFailedError) as e:
        print(f"failed: {e}", file=sys.stderr)
        return 1
    except Exception as e:
        print(f"failed: {type(e).__name__}: {e}; details: {_record()}", file=sys.stderr)
        return 1


def _record() -> Path:
    """Write the traceback of the current exception to a file, and return its path."""
    file = ROOT / ".sandbox" / "error.log"
    file.parent.mkdir(exist_ok=True)
    file.write_text(traceback.format_exc())
    return file


def _run(given: argparse.Namespace) -> int:
    """Import only what the command needs: the Pulumi SDK takes seconds."""
    if given.command == "demo":
        from sandbox.demo.demo import run

        return run(given.objects, given.kill_worker)
    if given.command == "empty":
        from sandbox.demo import empty as sandbox_empty

        return sandbox_empty.serve(given.port, given.file or sandbox_empty.DESCRIPTION)
    from sandbox.demo import serve as sandbox_serve

    return sandbox_serve.serve(given.port, given.file or sandbox_serve.DESCRIPTION)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
