"""Stops the provider at the creation of one resource, so that a test can kill the engine at that moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

VARIABLE = "DUALSYNC_SANDBOX_HOLD"
"""Environment variable with the folder of both files."""

ASKED, REACHED, PASSED = "hold", "held", "held-before"
"""File in which a test names the moment, file that the provider writes when it is there, and names held so far."""

ANY = "*"
"""Name that stands for the first resource at which no test has held the provider yet."""


class Moment(StrEnum):
    """Where to stop."""

    BEFORE = "before"
    """Before the resource is created."""
    AFTER = "after"
    """After it is created, and before the engine learns its id."""


class KilledError(LookupError):
    """The engine was killed while the provider waited."""


def ask(folder: Path, moment: Moment, name: str) -> None:
    """Ask the provider to stop at a resource, by its logical name or at `ANY` one."""
    (folder / REACHED).unlink(missing_ok=True)
    (folder / ASKED).write_text(f"{moment} {name}")


def withdraw(folder: Path) -> None:
    """Ask for nothing any more."""
    (folder / ASKED).unlink(missing_ok=True)


def reached_name(folder: Path) -> str:
    """Return the logical name of the resource at which the provider has stopped."""
    return (folder / REACHED).read_text()


def is_reached(folder: Path) -> bool:
    """Return whether the provider has stopped."""
    return (folder / REACHED).exists()


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
    try:
        asked = (folder / ASKED).read_text()
        held = passed.read_text().splitlines() if passed.exists() else []
        if asked not in (f"{moment} {name}", f"{moment} {ANY}") or (asked.endswith(f" {ANY}") and name in held):
            return False
        (folder / ASKED).unlink()  # the engine creates in parallel: one of the resources gets it
    except FileNotFoundError:
        return False
    passed.write_text("\n".join([*held, name]))
    _write_whole(folder / REACHED, name)
    return True


def _write_whole(file: Path, text: str) -> None:
    whole = file.with_suffix(".new")
    whole.write_text(text)
    whole.replace(file)
