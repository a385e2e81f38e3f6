"""How a patch puts its function in place of moto's."""

from __future__ import annotations

from typing import Any


def replace(owner: Any, name: str, function: Any) -> Any:
    """Set `owner.name` to `function` and give what was there. A name that is not there is an AttributeError."""
    original = getattr(owner, name)
    setattr(owner, name, function)
    return original
