"""List every config key at the top, in the order of `Pulumi.yaml`."""

from __future__ import annotations

from collections.abc import Mapping

from dualsync.components.config.model import PAIR_OPTIONS, SIDE_OPTIONS, STACK_KEYS
from dualsync.components.config.options import Option
from dualsync.runtime.settings import SideName

SIDES = tuple(map(str, SideName))
"""Keys at the top that hold a side each."""


def keys() -> Mapping[str, Option]:
    """Return the keys with a value of their own, by name; the sides' are `model.SIDE_FACTS`."""
    return {**PAIR_OPTIONS, **STACK_KEYS, **SIDE_OPTIONS}


def all_keys() -> tuple[str, ...]:
    """Return the name of every key at the top."""
    return (*SIDES, *keys())
