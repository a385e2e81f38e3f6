"""`python -m dualsync.runtime worker`, `workers` (one worker per vCPU) and `finder`.

Settings come from `DUALSYNC_*`; the log has one JSON line per outcome.

All other words are the operator's commands (`dualsync`), which a worker never imports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Callable

from dualsync.runtime.errors import FatalError
from dualsync.runtime.settings import Settings, describe, variable

ROLES = ("worker", "workers", "finder", "settings")
"""What this program runs in the cloud; `settings` lists the variables."""
SERVICES = ROLES[:3]
"""Those that run until they are stopped, with a log instead of an operator."""


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 1 failed or stopped by an error that an operator must fix, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in ROLES:
        return operate(arguments)
    parser = argparse.ArgumentParser(prog="python -m dualsync.runtime", description=__doc__)
    parser.add_argument("role", choices=ROLES, help="workers: one worker per vCPU; settings: list all variables")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--content-bytes", type=int, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.role == "settings":
        for variable, default, help_text in describe():
            sys.stdout.write(f"{variable}  [{default or 'empty'}]\n    {help_text}\n")
        return 0
    try:
        settings = Settings.from_environment(os.environ)
    except FatalError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    try:
        return run(given.role, settings, given.content_bytes, supervised=given.supervised)
    except FatalError as e:
        sys.stderr.write(f"{e}\n")
        return 1


def run(role: str, settings: Settings, content_bytes: int | None, *, supervised: bool) -> int:
    """Run a role and return its exit code. Raises `FatalError` at a one-way pair's destination, which has none."""
    if not settings.carries:
        raise FatalError(
            f"{variable('direction')}={str(settings.direction)!r}: side {settings.side} is the destination, where"
            f" nothing runs; run it at {settings.side.peer}"
        )
    # boto3 takes most of a second to import: not for --help, not for a wrong setting, not in the supervisor.
    if role == "workers":
        from dualsync.runtime.app.supervisor import run_workers

        return asyncio.run(run_workers(["-m", "dualsync.runtime"], os.environ))
    if role == "finder":
        from dualsync.runtime.app.finder import run_finder

        return asyncio.run(run_finder(settings))
    from dualsync.runtime.app.worker import run_worker

    asyncio.run(run_worker(settings, content_bytes, supervised=supervised))
    return 0


def operate(arguments: list[str]) -> int:
    """Run an operator's command and return its exit code."""
    try:
        from dualsync.runtime.commands.app import app
    except ModuleNotFoundError as e:
        sys.stderr.write(f"{e}: the operator's commands need `pip install 'dualsync[cli]'`\n")
        return 2
    try:
        # The name is fixed, so that help and completion are the same however it was started.
        app(arguments, prog_name="dualsync")
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 1
    return 0


def console() -> None:
    """Run `main` as the script `dualsync`."""
    if sys.argv[1:2] and sys.argv[1] in SERVICES:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    else:
        code = run_in_shell(main)
    # A long poll may still be open in a thread for 20 s; its answer is not needed any more.
    os._exit(code)


def run_in_shell(function: Callable[[], int]) -> int:
    """Return the exit code of `function`, 1 if its output could not be written, or 130 after Ctrl-C.

    A reader that has gone, as `head` does, is no error of ours. Any other is one line.
    """
    prepare_streams()
    try:
        code = function()
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except OSError as e:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"error: {f'{e.filename!r}: ' if e.filename else ''}{e.strerror or e}\n")
            sys.stderr.flush()
        return 1
    return code


def prepare_streams() -> None:
    """Let every text be written: a stream that the caller closed leads nowhere, and no character is too odd for one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    console()
