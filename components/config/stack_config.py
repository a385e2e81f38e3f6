"""Read config and make a `PairModel` of it. Nothing else in the program reads config.

The keys, their types and defaults are those that the model declares (`options`). An option of a side may be at the
top, for the sides that a stack manages, or inside `cn` or `global`, where it wins.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from pulumi.runtime import config as pulumi_config

from dualsync.components.config.declared import SIDES, all_keys, keys
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, SIDE_OPTIONS, STACK_KEYS, PairModel, SideModel
from dualsync.components.config.options import Option
from dualsync.components.config.partitions import partition_of
from dualsync.components.config.validation import check, check_value
from dualsync.runtime.settings import SideName

PROJECT = "dualsync"
"""Namespace of the keys."""


class Source(Protocol):
    """The part of `pulumi.Config` that is used here."""

    def get(self, key: str) -> str | None:
        """Return a key's text, or None if it is not set."""


E_ = TypeVar("E_", bound=StrEnum)


def names_set() -> set[str]:
    """Return the names of all keys in the project's namespace, declared or not."""
    found = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    return {key.removeprefix(f"{PROJECT}:") for key in found if key.startswith(f"{PROJECT}:")}


def text_of(error: ConfigError) -> str:
    """Return an error's line, without the value if the stack's config holds its key as a secret.

    A hand-over that is set under a wrong key must not be printed.
    """
    key = f"{PROJECT}:{error.key.partition('.')[0]}"
    secret = pulumi_config.is_config_secret(key) or key in pulumi_config.get_config_secret_keys_env()
    return error.without_value() if secret else str(error)


def read(source: Source, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the keys that are set, typed.

    `names` are the names of all keys that the namespace holds. Raises `ConfigError` for one that is not declared, and
    for a value that is not of its key's type.
    """
    for name in names:
        if name not in all_keys():
            inside = "give it inside cn or global" if name in SIDE_FACTS else _nearest(name, all_keys())
            raise ConfigError(name, source.get(name), "no such key at the top", inside)
    values: dict[str, Any] = {}
    for key in all_keys():
        text = source.get(key)
        if text is not None:
            values[key] = text if key == "peerCredential" else _typed(key, text, _kind(key))
    return values


def pair_of(values: Mapping[str, Any]) -> PairModel:
    """Return the checked model. Raises `ConfigError` naming key, value and remedy; nothing has been created by then."""
    check_value("peerStack", STACK_KEYS["peerStack"].declared, _cast("peerStack", values.get("peerStack", ""), str))
    manages = tuple(_choice("manages", m, SideName) for m in _cast("manages", values.get("manages", []), tuple))
    if len(set(manages)) != len(manages) or not manages:
        raise ConfigError("manages", list(map(str, manages)), "not a choice of sides", "use [cn], [global], or both")
    pair: dict[str, Any] = {
        option.path: _cast(key, values[key], option.kind) for key, option in PAIR_OPTIONS.items() if key in values
    }
    sides = {name: _side(name, values, manages) for name in SideName}
    model = PairModel(cn=sides[SideName.CN], global_=sides[SideName.GLOBAL], manages=manages, **pair)
    check(model)
    return model


def _side(name: SideName, values: Mapping[str, Any], manages: Sequence[SideName]) -> SideModel:
    own = values.get(str(name), {})
    if not isinstance(own, Mapping):
        raise ConfigError(str(name), own, "is not an object", "give an object")
    known = {**SIDE_FACTS, **SIDE_OPTIONS}
    for key in own:
        if key not in known:
            raise ConfigError(f"{name}.{key}", own[key], "no such key", _nearest(key, known))
    for key in ("accountId", "region", "bucket"):
        if not own.get(key):
            raise ConfigError(
                f"{name}.{key}",
                own.get(key, ""),
                "is missing",
                f"give it under {PROJECT}:{name} (which, in a stack's file, replaces Pulumi.yaml's as a whole)",
            )
    # A stack's own options apply to what it manages. Of the other side it needs only the facts.
    options = {k: values[k] for k in SIDE_OPTIONS if k in values} if name in manages else {}
    at_top = (frozenset(SIDE_OPTIONS) if list(manages) == [name] else frozenset(options)) - frozenset(own)
    model = SideModel(side=name, account_id="", region="", bucket="", at_top=at_top, given=frozenset(own))
    for key, value in {**options, **own}.items():
        shown = f"{name}.{key}" if key in own else key
        if key == "partition":
            _partition(shown, str(value), own["region"])
        else:
            model = _with(model, shown, known[key], value)
    return model


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f"use {near[0]}" if near else "see Pulumi.yaml for the keys"


def _partition(key: str, value: str, region: str) -> None:
    actual = partition_of(region)
    if value and actual is not None and actual.id != value:
        side = key.split(".")[0]
        raise ConfigError(
            f"{side}.region", region, f"is in partition {actual.id}, not in {value}", f"correct it, or {key}"
        )


def _with(model: SideModel, key: str, option: Option, value: Any) -> SideModel:
    group, _, name = option.path.rpartition(".")
    if not group:
        return replace(model, **{name: _cast(key, value, option.kind)})
    changed = replace(getattr(model, group), **{name: _cast(key, value, option.kind)})
    return replace(model, **{group: changed})


def _kind(key: str) -> type[Any]:
    """Return how a key's text is read: as str, int, bool, list or dict."""
    if key in SIDES:
        return dict
    return {"integer": int, "boolean": bool, "array": list, "object": dict}.get(keys()[key].type, str)


def _typed(key: str, text: str, kind: type[Any]) -> Any:
    if kind is str:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if type(value) is not kind:
        raise ConfigError(key, text, f"is not {_A[kind]}", f"give {_A[kind]}")
    return value


_A: dict[type[Any], str] = {
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    str: "text",
    tuple: "a list",
}


def _cast(key: str, value: Any, kind: type[Any]) -> Any:
    """Return a JSON value as the model's type."""
    if issubclass(kind, StrEnum):
        return _choice(key, value, kind)
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise ConfigError(key, value, "holds a lone surrogate, which is no character", "remove it")
    if kind is tuple:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ConfigError(key, value, "is not a list of texts", "give a list, each in quotes")
        return tuple(_cast(key, v, str) for v in value)
    if issubclass(kind, Mapping):
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise ConfigError(key, value, "is not an object of texts", "give each value in quotes")
        return {_cast(key, k, str): _cast(f"{key}.{k}", v, str) for k, v in value.items()}
    if type(value) is not kind:
        remedy = "put it in quotes" if kind is str and isinstance(value, (int, float)) else f"give {_A[kind]}"
        raise ConfigError(key, value, f"is not {_A[kind]}", remedy)
    return value


def _choice(key: str, value: Any, choices: type[E_]) -> E_:
    for choice in choices:
        if choice.value == value:
            return choice
    raise ConfigError(key, value, "unknown choice", f"use one of {', '.join(choices)}")
