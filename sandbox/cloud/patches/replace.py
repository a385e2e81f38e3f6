"""Replaces a function of moto by a patch."""

from __future__ import annotations

from typing import Any


def replace(owner: Any, name: str, function: Any) -> Any:
    """Set `owner.name` to `function` and return the former value. Raises `AttributeError` for an unknown name."""
    original = getattr(owner, name)
    setattr(owner, name, function)
    return original
