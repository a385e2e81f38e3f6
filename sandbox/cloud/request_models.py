"""Checks requests against AWS's own API models; boto3 itself checks only names and types, not patterns and ranges.

AWS refuses such requests, moto mostly does not. Every call of a resource handler is checked, and in the emulator every
call of IAM (`patches.iam`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

# Installed with moto. `re` does not support Unicode's classes, which AWS's patterns use.
import regex


class InvalidRequestError(ValueError):
    """AWS would refuse this request; the text names operation and parameters."""


def watch(client: Any) -> Any:
    """Make a client raise `InvalidRequestError` for what AWS's model does not allow, and return it."""
    name = client.meta.service_model.service_name

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        shape = model.input_shape
        found = [] if shape is None else list(problems(shape, params, ""))
        if found:
            raise InvalidRequestError(f"{name} {model.name}: " + "; ".join(f"{where} {why}" for where, why in found))

    client.meta.events.register("provide-client-params.*.*", check)
    return client


def problems(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield parameter and reason of each value inside `value` that its shape does not allow."""
    if value is None:
        return
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            # boto3 itself refuses unknown names.
            if name in shape.members:
                yield from problems(shape.members[name], inner, f"{path}.{name}" if path else name)
    elif shape.type_name == "list" and isinstance(value, (list, tuple)):
        yield from _length(shape, len(value), path, "items")
        for number, inner in enumerate(value):
            yield from problems(shape.member, inner, f"{path}[{number}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from _length(shape, len(value), path, "entries")
        for name, inner in value.items():
            yield from problems(shape.key, name, f"{path} key")
            yield from problems(shape.value, inner, f"{path}.{name}")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text(shape, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _length(shape, value, path, "")


def _text(shape: Any, value: str, path: str) -> Iterator[tuple[str, str]]:
    shown = "a secret value" if shape.metadata.get("sensitive") else repr(value[:80])
    if shape.enum and value not in shape.enum:
        yield path, f"{shown} is none of {', '.join(shape.enum)}"
    yield from _length(shape, len(value), path, "characters")
    pattern = _pattern(shape.metadata.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield path, f"{shown} does not match {pattern.pattern}"


def _length(shape: Any, size: float, path: str, what: str) -> Iterator[tuple[str, str]]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield path, f"{size} {what}".strip() + f" is less than {low}"
    if high is not None and size > high:
        yield path, f"{size} {what}".strip() + f" is more than {high}"


@functools.cache
def _pattern(text: str) -> Any:
    """Compile a pattern, which the whole value must match; None for no pattern."""
    # Java writes what is beyond 16 bits as pairs of surrogates, which are no characters here.
    text = text.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    # Java's \w is ASCII. AWS's patterns have it within classes and outside of them.
    text = regex.sub(r"\\w", lambda found: _WORD if _is_in_class(text, found.start()) else f"[{_WORD}]", text)
    return regex.compile(text) if text else None


_WORD = "a-zA-Z_0-9"


def _is_in_class(pattern: str, at: int) -> bool:
    before = regex.sub(r"\\.", "", pattern[:at])
    return bool(before.count("[") > before.count("]"))
