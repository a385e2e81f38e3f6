"""Evaluate IAM documents as AWS does, for the elements that this project's documents use.

The logic is that of the IAM User Guide ("Policy evaluation logic", "IAM JSON policy elements: Condition operators"): an
explicit denial wins, then an allowance is needed, by the policies and, where there is one, by the boundary too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One call on one resource."""

    action: str
    """The action, as `service:Name`."""
    resource: str
    """ARN of the resource, or `*` for an action without one."""
    context: Mapping[str, Value] = field(default_factory=dict)
    """Values of condition keys; a tuple for keys with several values."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of evaluating a request."""

    allowed: bool
    """Whether it is allowed."""
    by: str = ""
    """The statement that decided; empty where nothing allows it."""


def decide(
    documents: Iterable[Mapping[str, Any]], request: Request, boundary: Iterable[Mapping[str, Any]] | None = None
) -> Decision:
    """Return whether documents, and the boundary if there is one, allow a request."""
    found = _decide(documents, request)
    if not found.allowed or boundary is None:
        return found
    within = _decide(boundary, request)
    return found if within.allowed else Decision(False, within.by)


def _decide(documents: Iterable[Mapping[str, Any]], request: Request) -> Decision:
    allowed = Decision(False)
    for document in documents:
        for statement in document["Statement"]:
            if not _applies(statement, request):
                continue
            sid = str(statement.get("Sid", ""))
            if statement["Effect"] == "Deny":
                return Decision(False, sid)
            allowed = allowed if allowed.allowed else Decision(True, sid)
    return allowed


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _named(statement, "Action", request.action, fold=True)
        and _named(statement, "Resource", request.resource)
        and all(_holds(op, block, request.context) for op, block in statement.get("Condition", {}).items())
    )


def _named(statement: Mapping[str, Any], element: str, value: str, *, fold: bool = False) -> bool:
    if f"Not{element}" in statement:
        return not any(matches(p, value, fold=fold) for p in _many(statement[f"Not{element}"]))
    return any(matches(p, value, fold=fold) for p in _many(statement[element]))


def matches(pattern: str, value: str, *, fold: bool = False) -> bool:
    """Return whether a pattern with `*` and `?` matches a value."""
    if fold:
        pattern, value = pattern.lower(), value.lower()
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _holds(operator: str, block: Mapping[str, Any], context: Mapping[str, Value]) -> bool:
    return all(_holds_for(operator, _many(values), _value(context, key)) for key, values in block.items())


def _holds_for(operator: str, wanted: Sequence[str], given: Value | None) -> bool:
    qualifier, _, bare = operator.rpartition(":")
    if_exists = bare.endswith("IfExists")
    bare = bare.removesuffix("IfExists")
    if bare == "Null":
        return (given is None) == (wanted[0] == "true")
    if given is None:
        return if_exists or qualifier == "ForAllValues" or bare.startswith(("StringNot", "ArnNot"))
    values = (given,) if isinstance(given, str) else given
    compare = _OPERATORS[bare.replace("Not", "")]
    hits = [any(compare(w, v) for w in wanted) for v in values]
    if "Not" in bare:
        hits = [not h for h in hits]
    return any(hits) if qualifier == "ForAnyValue" else all(hits)


def _value(context: Mapping[str, Value], key: str) -> Value | None:
    return next((v for k, v in context.items() if k.lower() == key.lower()), None)


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(v) for v in value]


def _same(wanted: str, value: str) -> bool:
    return wanted == value


def _truth(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _same,
    "StringLike": matches,
    "StringEqualsIgnoreCase": _truth,
    "ArnEquals": matches,
    "ArnLike": matches,
    "Bool": _truth,
}
"""Comparisons by operator; ArnEquals behaves as ArnLike."""
