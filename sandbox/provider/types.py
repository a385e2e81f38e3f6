"""Checks inputs against pulumi_aws's own classes (names and types), without the provider's plugin."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import typing
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import pulumi
import pulumi_aws
from pulumi import _types


@functools.cache
def _modules() -> dict[str, tuple[str, str]]:
    """Return module and class by resource token, from the table with which pulumi_aws registers itself."""
    source = inspect.getsource(pulumi_aws)
    text = source.split('resource_modules="""', 1)[1].split('"""', 1)[0]
    return {token: (m["fqn"], name) for m in json.loads(text) for token, name in m["classes"].items()}


@functools.cache
def arguments(token: str) -> type | None:
    """Return the class of a resource's inputs, None for a type that pulumi_aws does not have."""
    found = _modules().get(token)
    if found is None:
        return None
    module, name = found
    package = importlib.import_module(module)
    # Where an object of another resource has the name already, the arguments are called so.
    kind: type = getattr(package, f"{name}InitArgs", None) or getattr(package, f"{name}Args")
    return kind


@functools.cache
def outputs(token: str) -> frozenset[str]:
    """Return the names of all properties of a created resource; none for a type that pulumi_aws does not have."""
    found = _modules().get(token)
    if found is None:
        return frozenset()
    module, name = found
    kind: type = getattr(importlib.import_module(module), name)
    return frozenset(_types.resource_types(kind)) - {"id", "urn"}


def problems(token: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return property and reason per input that is unknown, of another type, or required and missing."""
    kind = arguments(token)
    return [] if kind is None else list(_object("", kind, inputs))


def has(token: str, name: str) -> bool:
    """Return whether the type has this input."""
    kind = arguments(token)
    return kind is not None and name in _types.input_type_types(kind)


def _object(path: str, kind: type, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    known = _types.input_type_types(kind)
    for name, given in value.items():
        where = f"{path}{name}"
        if name not in known:
            yield where, f"is no input of {kind.__name__}"
        elif given is not None:
            yield from _value(where, known[name], given)
    names = _types.input_type_py_to_pulumi_names(kind)
    for python, parameter in inspect.signature(kind).parameters.items():
        name = names.get(python, "")
        if name and parameter.default is inspect.Parameter.empty and value.get(name) is None:
            yield f"{path}{name}", "is required"


def _value(path: str, kind: Any, value: Any) -> Iterator[tuple[str, str]]:
    if is_unknown(value):
        return
    kind = _types.unwrap_type(kind)
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        kinds = [k for k in typing.get_args(kind) if k is not type(None) and typing.get_origin(k) not in _LATER]
        choices = [list(_value(path, k, value)) for k in kinds]
        if all(choices):
            yield choices[0][0]
    elif origin in (list, Sequence, typing.Sequence):
        if not isinstance(value, (list, tuple)):
            yield path, f"must be a list, not {type(value).__name__}"
        else:
            for n, item in enumerate(value):
                yield from _value(f"{path}[{n}]", typing.get_args(kind)[0], item)
    elif origin in (dict, Mapping, typing.Mapping):
        if not isinstance(value, Mapping):
            yield path, f"must be a map, not {type(value).__name__}"
        else:
            for name, item in value.items():
                yield from _value(f"{path}.{name}", typing.get_args(kind)[1], item)
    elif isinstance(kind, type):
        yield from _plain(path, kind, value)


def _plain(path: str, kind: type, value: Any) -> Iterator[tuple[str, str]]:
    if _types.is_input_type(kind):
        if isinstance(value, Mapping):
            yield from _object(f"{path}.", kind, value)
        else:
            yield path, f"must be an object, not {type(value).__name__}"
    elif issubclass(kind, Enum):
        if value not in [choice.value for choice in kind]:
            yield path, f"{value!r} is none of {', '.join(str(choice.value) for choice in kind)}"
    elif kind in (str, bool, int, float):
        fits = {
            str: isinstance(value, str),
            bool: isinstance(value, bool),
            int: isinstance(value, int) and not isinstance(value, bool),
            float: isinstance(value, (int, float)) and not isinstance(value, bool),
        }[kind]
        if not fits:
            yield path, f"must be {kind.__name__}, not {type(value).__name__}"
    elif issubclass(kind, (pulumi.Asset, pulumi.Archive)) and not isinstance(value, (pulumi.Asset, pulumi.Archive)):
        yield path, "must be an asset"


_LATER = (Awaitable, pulumi.Output)
"""Wrappers that an input may have in Python; on the wire it is always the value."""


def is_unknown(value: Any) -> bool:
    """Return whether the value is known only after the deployment."""
    from pulumi.runtime.rpc import UNKNOWN

    return value == UNKNOWN or isinstance(value, pulumi.output.Unknown)
