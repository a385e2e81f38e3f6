"""Stops the provider at the creation of resources, so that a test can kill the engine at that moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

VARIABLE = "DUALSYNC_SANDBOX_HOLD"
"""Environment variable with the folder of both files."""

REQUESTED, REACHED, PASSED = "hold", "held", "held-before"
"""File in which a test names the moment, names at which the provider waits now, and names of all earlier waits."""

EVERY = "*"
"""Name of every resource at which the provider has not waited yet."""

_LOCK = threading.Lock()


class Moment(StrEnum):
    """Where to stop."""

    BEFORE = "before"
    """Before the resource is created."""
    AFTER = "after"
    """After it is created, before the engine receives its id."""


class KilledError(LookupError):
    """The engine was killed while the provider waited."""


def request_stop(folder: Path, moment: Moment, name: str) -> None:
    """Request that the provider stops at a resource, given by its logical name, or at `EVERY` one.

    With `EVERY`, each creation that the engine begins is held, so one kill interrupts all that run in parallel.
    """
    (folder / REACHED).unlink(missing_ok=True)
    (folder / REQUESTED).write_text(f"{moment} {name}")


def withdraw(folder: Path) -> None:
    """Withdraw the request."""
    (folder / REQUESTED).unlink(missing_ok=True)


def reached(folder: Path) -> list[str]:
    """Return the logical names of the resources at which the provider waits."""
    file = folder / REACHED
    return file.read_text().splitlines() if file.exists() else []


def wait(moment: Moment, name: str, is_active: Callable[[], bool]) -> None:
    """Block until the engine ends, if a test requested a stop at this moment.

    Raises `KilledError` afterwards, so that nothing is created after the engine ended.
    """
    given = os.environ.get(VARIABLE)
    if given is None or not _take(Path(given), moment, name):
        return
    while is_active():
        time.sleep(0.05)
    raise KilledError(f"{name}: the engine was killed")


def _take(folder: Path, moment: Moment, name: str) -> bool:
    """Return True if a test requested a stop at this moment, and record that it is reached."""
    passed = folder / PASSED
    with _LOCK:
        requested = _lines(folder / REQUESTED)
        held = _lines(passed)
        if requested == [f"{moment} {name}"]:
            (folder / REQUESTED).unlink(missing_ok=True)
        elif requested != [f"{moment} {EVERY}"] or name in held:
            return False
        _write_whole(passed, [*held, name])
        _write_whole(folder / REACHED, [*_lines(folder / REACHED), name])
        return True


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _write_whole(file: Path, lines: list[str]) -> None:
    whole = file.with_suffix(".new")
    whole.write_text("\n".join(lines))
    whole.replace(file)
