"""`python -m dualsync.runtime worker` and `python -m dualsync.runtime finder`: settings from `DUALSYNC_*`, one JSON
line an outcome.

All other words are the operator's commands (`dualsync`), which a worker never imports.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from dualsync.runtime.errors import FatalError
from dualsync.runtime.settings import Settings, describe

ROLES = ("worker", "finder", "settings")


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed or stopped by something a person must mend, 2 wrong usage or settings."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in ROLES:
        return operate(arguments)
    parser = argparse.ArgumentParser(prog="python -m dualsync.runtime", description=__doc__)
    parser.add_argument("role", choices=ROLES, help="settings: list all variables")
    role = parser.parse_args(arguments).role
    if role == "settings":
        for variable, default, help_text in describe():
            sys.stdout.write(f"{variable}  [{default or 'empty'}]\n    {help_text}\n")
        return 0
    try:
        settings = Settings.from_environment(os.environ)
    except FatalError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    # boto3 takes most of a second to import: not for --help, not for a wrong setting.
    from dualsync.runtime.app.finder import find
    from dualsync.runtime.app.worker import work

    try:
        if role == "finder":
            return asyncio.run(find(settings))
        asyncio.run(work(settings))
    except FatalError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    return 0


def operate(arguments: list[str]) -> int:
    """The operator's commands; their exit code."""
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
    """Entry point of the script `dualsync`."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A long poll may still sit in a thread for 20 s; nothing is left that waits for its answer.
    os._exit(code)


if __name__ == "__main__":
    console()
