"""What `Pulumi.yaml` says of each config key: its type, default and description. Said there once, for all readers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dualsync.components.project_files import project_folder


@dataclass(frozen=True, slots=True)
class Key:
    """One config key. `type` is string, integer, boolean, array or object."""

    type: str
    description: str
    default: Any


@functools.cache
def keys() -> Mapping[str, Key]:
    """The project's keys, by name. Raises `FileNotFoundError` for a folder copied without the project's file."""
    path = project_folder() / "Pulumi.yaml"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: have the whole project beside yours, or install it with pip")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return {
        name: Key(entry["type"], " ".join(str(entry["description"]).split()), entry.get("default"))
        for name, entry in entries.items()
        if "type" in entry
    }
