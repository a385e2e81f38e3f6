"""Evaluates resource policies with their conditions.

Source: IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements: Condition operators". Only the operators
that such policies use here are supported; a condition with any other is not met.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Verdict(Enum):
    """The result of a document."""

    ALLOWED = "allowed"
    """A statement allows the request and none denies it."""

    DENIED = "denied"
    """A statement denies the request."""

    NEUTRAL = "neutral"
    """No statement applies: the principal's own policies decide."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to evaluate."""

    action: str
    """Action, for example `s3:GetObject`."""

    resource: str
    """ARN of the resource."""

    principals: frozenset[str]
    """All names of the caller: ARN, account, service."""

    context: Mapping[str, str] = field(default_factory=dict)
    """Condition keys in lower case, with their values."""


def evaluate(document: str, request: Request) -> Verdict:
    """Evaluate a document; an explicit deny overrides any allow."""
    effects = {s["Effect"] for s in _list(json.loads(document)["Statement"]) if _applies(s, request)}
    if "Deny" in effects:
        return Verdict.DENIED
    return Verdict.ALLOWED if "Allow" in effects else Verdict.NEUTRAL


def _applies(statement: dict[str, Any], request: Request) -> bool:
    return (
        _names(statement.get("Principal"), request.principals)
        and any(_like(request.action.lower(), a.lower()) for a in _list(statement["Action"]))
        and any(_like(request.resource, r) for r in _list(statement.get("Resource", "*")))
        and all(
            _met(operator, request.context.get(key.lower()), _list(values))
            for operator, conditions in statement.get("Condition", {}).items()
            for key, values in conditions.items()
        )
    )


def _names(principal: Any, actual: frozenset[str]) -> bool:
    if principal == "*":
        return True
    wanted = [name for names in (principal or {}).values() for name in _list(names)]
    return "*" in wanted or bool(actual & set(wanted))


def _met(operator: str, actual: str | None, wanted: list[Any]) -> bool:
    if actual is None:
        return operator.endswith("IfExists")
    match operator.removesuffix("IfExists"):
        case "ArnLike" | "ArnEquals" | "StringLike":
            return any(_like(actual, str(w)) for w in wanted)
        case "StringEquals":
            return actual in wanted
        case "StringNotEquals":
            return actual not in wanted
        case "Bool":
            return any(actual == str(w).lower() for w in wanted)
        case _:
            return False


def _like(actual: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(actual, pattern.replace("[", "[[]"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
