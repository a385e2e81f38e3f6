"""What `Pulumi.yaml` says of each config key: its type, default and description. Said there once, for all readers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PLACES = (HERE.parent / "Pulumi.yaml", HERE / "project" / "Pulumi.yaml")
"""Beside the folder in the project; inside the package where it is installed."""


@dataclass(frozen=True, slots=True)
class Key:
    """One config key. `type` is string, integer, boolean, array or object."""

    type: str
    description: str
    default: Any


@functools.cache
def keys() -> Mapping[str, Key]:
    """The project's keys, by name. Raises `FileNotFoundError` for a folder copied without the project's file."""
    path = next((p for p in PLACES if p.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{PLACES[0]} is missing: have the whole project beside yours, or install it with pip")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return {
        name: Key(entry["type"], " ".join(str(entry["description"]).split()), entry.get("default"))
        for name, entry in entries.items()
        if "type" in entry
    }
