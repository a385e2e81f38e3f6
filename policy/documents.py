"""Policy documents inside resources, read as IAM reads them: an element may hold one value or a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy.plan import UNKNOWN, Resource

IDENTITY = ("iam.Policy", "iam.RolePolicy", "iam.UserPolicy", "iam.GroupPolicy")
"""Kinds whose policy grants rights to its holder. The policies of all other kinds grant the use of their resource."""

POSITIVE = ("stringequals", "stringequalsignorecase", "arnequals", "stringlike", "arnlike")
"""Operators that hold only if the key is present and has one of the values (IAM User Guide, condition operators).
Their `IfExists` and `ForAllValues` variants also hold without the key, so they bind nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy document."""

    sid: str
    """Its name, or its number where it has none."""
    allows: bool
    """Whether it allows. Otherwise it denies."""
    actions: tuple[str, ...]
    """Actions, as written."""
    resources: tuple[str, ...]
    """ARNs or patterns, as written."""
    principals: tuple[tuple[str, str], ...] = ()
    """Kind and name of each principal; `*` alone is of kind `*`."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """The condition block: values by key by operator."""
    negated: tuple[str, ...] = ()
    """Elements that match everything except their values: `NotAction`, `NotResource`, `NotPrincipal`."""

    def condition(self, operator: str, key: str) -> tuple[str, ...]:
        """Return the values of one condition. Operators and keys are compared without regard to case, as in IAM."""
        for name, block in self.conditions.items():
            if name.lower() == operator.lower() and isinstance(block, Mapping):
                for found, value in block.items():
                    if found.lower() == key.lower():
                        return _many(value)
        return ()

    def bound(self, key: str, *, patterns: bool = False) -> tuple[str, ...]:
        """Return the values of which the request's `key` must have one; nothing where the key binds nothing.

        Values with wildcards count only if `patterns` is set; the caller then judges them.
        """
        for operator in POSITIVE:
            values = self.condition(operator, key)
            if values and (patterns or not any(has_wildcard(v) for v in values)):
                return values
        return ()


ELEMENTS = frozenset(
    ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"]
)
"""Elements of a statement, as IAM writes them (IAM User Guide, "IAM JSON policy elements reference")."""


def given(value: Any) -> bool:
    """Return whether a property holds something. A provider's properties are text."""
    return value is not UNKNOWN and bool(value) and str(value).lower() not in ("false", "[]", "{}", "0")


def has_wildcard(text: str) -> bool:
    """Return whether IAM would read the text as a pattern."""
    return "*" in text or "?" in text


def documents(resource: Resource) -> Iterator[tuple[str, Any]]:
    """Yield (property, document) of every known policy in the resource, trust policies apart.

    The policy of a VPC endpoint only narrows what passes it, and EC2 fills in one for every principal.
    """
    if resource.kind == "iam.Role":
        for inline in resource.items("inlinePolicies"):
            if isinstance(inline, Mapping):
                yield from _document("inlinePolicies", inline.get("policy"))
    elif resource.type.startswith("aws:") and resource.kind != "ec2.VpcEndpoint":
        yield from _document("policy", resource.get("policy"))


def unreadable(resource: Resource) -> Iterator[str]:
    """Yield the properties that should hold a policy document and hold something else."""
    if not resource.type.startswith("aws:"):
        return
    for path in ("policy", "assumeRolePolicy"):
        value = resource.get(path)
        if value not in (None, UNKNOWN, "") and not list(_document(path, value)):
            yield path


def odd_elements(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield (property, element) of every element that IAM may read and this pack does not."""
    trusts = _document("assumeRolePolicy", resource.get("assumeRolePolicy")) if resource.kind == "iam.Role" else ()
    for path, document in (*documents(resource), *trusts):
        found = document["Statement"]
        yield from ((path, key) for key in document if key not in ("Version", "Id", "Statement"))
        for raw in [found] if isinstance(found, Mapping) else found:
            yield from ((path, key) for key in raw if key not in ELEMENTS)


def trust(resource: Resource) -> Iterator[Statement]:
    """Yield the statements of a role's trust policy."""
    for _, document in _document("assumeRolePolicy", resource.get("assumeRolePolicy")):
        yield from statements(document)


def is_identity(resource: Resource) -> bool:
    """Return whether the resource's policy grants rights to its holder."""
    return resource.kind in IDENTITY or resource.kind == "iam.Role"


def allowed(resource: Resource) -> Iterator[Statement]:
    """Yield all statements of the resource's policies that allow something."""
    for _, document in documents(resource):
        yield from (s for s in statements(document) if s.allows)


def denied(resource: Resource) -> Iterator[Statement]:
    """Yield all statements of the resource's policies that deny something."""
    for _, document in documents(resource):
        yield from (s for s in statements(document) if not s.allows)


def statements(document: Any) -> Iterator[Statement]:
    """Yield the statements of a document."""
    found = document.get("Statement", []) if isinstance(document, Mapping) else []
    for number, raw in enumerate([found] if isinstance(found, Mapping) else found):
        yield Statement(
            sid=str(raw.get("Sid") or f"number {number + 1}"),
            allows=raw.get("Effect") != "Deny",
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
