"""Stops the provider at the creation of one resource, so that a test can kill the engine at that moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

VARIABLE = "DUALSYNC_SANDBOX_HOLD"
"""Environment variable with the folder of both files."""

ASKED, REACHED = "hold", "held"
"""File in which a test names the moment, and file that the provider writes when it is there."""


class Moment(StrEnum):
    """Where to stop."""

    BEFORE = "before"
    """Before the resource is created."""
    AFTER = "after"
    """After it is created, and before the engine learns its id."""


class KilledError(LookupError):
    """The engine was killed while the provider waited."""


def ask(folder: Path, moment: Moment, name: str) -> None:
    """Ask the provider to stop at a resource, by its logical name."""
    (folder / REACHED).unlink(missing_ok=True)
    (folder / ASKED).write_text(f"{moment} {name}")


def is_reached(folder: Path) -> bool:
    """Return whether the provider has stopped."""
    return (folder / REACHED).exists()


def wait(moment: Moment, name: str, is_active: Callable[[], bool]) -> None:
    """Block while the engine lives if a test asked for this moment.

    Raises `KilledError` afterwards, so that nothing is created for a dead engine.
    """
    given = os.environ.get(VARIABLE)
    if given is None or not (asked := Path(given) / ASKED).exists() or asked.read_text() != f"{moment} {name}":
        return
    asked.unlink()
    (Path(given) / REACHED).touch()
    while is_active():
        time.sleep(0.05)
    raise KilledError(f"{name}: the engine was killed")
