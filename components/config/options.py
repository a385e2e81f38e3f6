"""Declare a config key once, at the model's field that it fills.

Everything else follows from the declaration: how config is read (`stack_config`), the checks of a single value
(`validation`), the keys in `Pulumi.yaml`, the component's schema, the reference in the documentation, and the setting
of worker and finder that carries the value (`workers.worker_settings`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What is declared of one config key."""

    key: str
    """Name of the key."""
    description: str
    """What the key decides, for `Pulumi.yaml`, the schema and the documentation."""
    default: Any = ""
    """Value where the key is not set."""
    unset: str = ""
    """What applies where the key is not set, if the default does not show it."""
    low: int | None = None
    """Smallest allowed number."""
    high: int | None = None
    """Largest allowed number."""
    choices: Sequence[object] = ()
    """Allowed values; empty if not a closed list."""
    pattern: str = ""
    """Regular expression that a text, or each text of a list, must match unless it is empty."""
    remedy: str = ""
    """What to do about a value that does not match the pattern."""
    setting: str = ""
    """Field of the runtime's `Settings` that carries the value; empty if the runtime does not read it."""


@dataclass(frozen=True, slots=True)
class Option:
    """A declared key and the field of the model that it fills."""

    declared: Declaration
    """The declaration."""
    path: str
    """Field of `SideModel` or `PairModel`, like `bucket` or `fleet.instance_type`."""
    kind: type[Any]
    """The field's type: str, int, bool, tuple, Mapping or an enumeration."""

    def value(self, model: Any) -> Any:
        """Return the field's value in a model."""
        for name in self.path.split("."):
            model = getattr(model, name)
        return model

    @property
    def type(self) -> str:
        """The key's type as `Pulumi.yaml` and the schema call it."""
        names: Mapping[Any, str] = {int: "integer", bool: "boolean", tuple: "array", Mapping: "object", dict: "object"}
        return names.get(self.kind, "string")

    @property
    def has_default(self) -> bool:
        """Whether a value of the key's type applies where the key is not given. If not, its absence has a meaning."""
        return self.type == "string" or self.declared.default != ""

    @property
    def default(self) -> Any:
        """The default as JSON."""
        value = self.declared.default
        if isinstance(value, tuple):
            return list(value)
        return dict(value) if isinstance(value, Mapping) else str(value) if isinstance(value, StrEnum) else value


def option(key: str, description: str, *, default: Any = dataclasses.MISSING, **more: Any) -> Any:
    """Return a dataclass field that a config key fills. `more` are other fields of `Declaration`."""
    shown = "" if default in (dataclasses.MISSING, None) else default
    metadata = {"declared": Declaration(key=key, description=description, default=shown, **more)}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def options_of(owner: type[Any], group: str = "") -> list[Option]:
    """Return the declared keys of a dataclass in its fields' order; `group` is the field that holds the dataclass."""
    hints = get_type_hints(owner)
    return [
        Option(field.metadata["declared"], f"{group}.{field.name}" if group else field.name, _plain(hints[field.name]))
        for field in dataclasses.fields(owner)
        if "declared" in field.metadata
    ]


def by_key(options: Sequence[Option]) -> dict[str, Option]:
    """Return the options by their keys."""
    return {option.declared.key: option for option in options}


def _plain(hint: Any) -> type[Any]:
    if get_origin(hint) is UnionType:
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    plain: type[Any] = get_origin(hint) or hint
    return Mapping if isinstance(plain, type) and issubclass(plain, Mapping) else plain
