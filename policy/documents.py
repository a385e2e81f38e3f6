"""Policy documents inside resources, read the way IAM reads them: one value or a list, either is allowed anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy.plan import UNKNOWN, Resource

IDENTITY = ("iam.Policy", "iam.RolePolicy", "iam.UserPolicy", "iam.GroupPolicy")
"""Kinds whose policy says what its holder may do; all other policies say who may do something to the resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. `negated` are the elements that allow everything but what they name."""

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[tuple[str, str], ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    negated: tuple[str, ...] = ()

    def condition(self, operator: str, key: str) -> tuple[str, ...]:
        """Values of one condition; operators and keys are read without regard to case, as IAM does."""
        for name, block in self.conditions.items():
            if name.lower() == operator.lower() and isinstance(block, Mapping):
                for found, value in block.items():
                    if found.lower() == key.lower():
                        return _many(value)
        return ()

    def has_condition_key(self, key: str) -> bool:
        """Whether any operator asks for this key."""
        return any(
            found.lower() == key.lower()
            for block in self.conditions.values()
            if isinstance(block, Mapping)
            for found in block
        )


def documents(resource: Resource) -> Iterator[tuple[str, Any]]:
    """(property, document) of every policy in the resource, trust policies apart; unknown ones are left out."""
    if resource.kind == "iam.Role":
        for inline in resource.items("inlinePolicies"):
            if isinstance(inline, Mapping):
                yield from _document("inlinePolicies", inline.get("policy"))
    elif resource.type.startswith("aws:"):
        yield from _document("policy", resource.get("policy"))


def trust(resource: Resource) -> Iterator[Statement]:
    """Statements of a role's trust policy."""
    for _, document in _document("assumeRolePolicy", resource.get("assumeRolePolicy")):
        yield from statements(document)


def is_identity(resource: Resource) -> bool:
    """Whether its policy is about what its holder may do."""
    return resource.kind in IDENTITY or resource.kind == "iam.Role"


def allowed(resource: Resource) -> Iterator[Statement]:
    """All statements of the resource's policies that allow something."""
    for _, document in documents(resource):
        yield from (s for s in statements(document) if s.allows)


def statements(document: Any) -> Iterator[Statement]:
    """Statements of a document."""
    found = document.get("Statement", []) if isinstance(document, Mapping) else []
    for number, raw in enumerate([found] if isinstance(found, Mapping) else found):
        yield Statement(
            sid=str(raw.get("Sid") or f"number {number + 1}"),
            allows=raw.get("Effect") == "Allow",
            actions=_many(raw.get("Action")),
            resources=_many(raw.get("Resource")),
            principals=tuple(_principals(raw.get("Principal"))),
            conditions=raw.get("Condition") or {},
            negated=tuple(key for key in ("NotAction", "NotResource", "NotPrincipal") if key in raw),
        )


def _document(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if value is None or value is UNKNOWN:
        return
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return
    if isinstance(value, Mapping) and "Statement" in value:
        yield name, value


def _principals(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield "*", value
    elif isinstance(value, Mapping):
        for kind, names in value.items():
            for name in _many(names):
                yield str(kind), name


def _many(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(v) for v in value)
