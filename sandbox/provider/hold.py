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

ASKED, REACHED, PASSED = "hold", "held", "held-before"
"""File in which a test names the moment, names at which the provider waits now, and names of all earlier waits."""

EVERY = "*"
"""Name of every resource at which the provider has not waited yet."""

_LOCK = threading.Lock()


class Moment(StrEnum):
    """Where to stop."""

    BEFORE = "before"
    """Before the resource is created."""
    AFTER = "after"
    """After it is created, and before the engine learns its id."""


class KilledError(LookupError):
    """The engine was killed while the provider waited."""


def ask(folder: Path, moment: Moment, name: str) -> None:
    """Ask the provider to stop at a resource, by its logical name, or at `EVERY` one.

    With `EVERY`, each creation that the engine begins is held, so one kill interrupts all that run in parallel.
    """
    (folder / REACHED).unlink(missing_ok=True)
    (folder / ASKED).write_text(f"{moment} {name}")


def withdraw(folder: Path) -> None:
    """Ask for nothing any more."""
    (folder / ASKED).unlink(missing_ok=True)


def reached(folder: Path) -> list[str]:
    """Return the logical names of the resources at which the provider waits."""
    file = folder / REACHED
    return file.read_text().splitlines() if file.exists() else []


def wait(moment: Moment, name: str, is_active: Callable[[], bool]) -> None:
    """Block while the engine lives if a test asked for this moment.

    Raises `KilledError` afterwards, so that nothing is created for a dead engine.
    """
    given = os.environ.get(VARIABLE)
    if given is None or not _take(Path(given), moment, name):
        return
    while is_active():
        time.sleep(0.05)
    raise KilledError(f"{name}: the engine was killed")


def _take(folder: Path, moment: Moment, name: str) -> bool:
    """Return whether this is the moment that a test asked for, and note that it is reached."""
    passed = folder / PASSED
    with _LOCK:
        asked = _lines(folder / ASKED)
        held = _lines(passed)
        if asked == [f"{moment} {name}"]:
            (folder / ASKED).unlink(missing_ok=True)
        elif asked != [f"{moment} {EVERY}"] or name in held:
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
