"""Statements and documents of IAM as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LIMIT = 6144
"""Characters of a managed policy, white space not counted (IAM User Guide, IAM and STS quotas)."""

Document = dict[str, Any]
Statement = dict[str, Any]


def allow(
    sid: str, names: Iterable[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    """Return a statement that allows actions on resources."""
    return _statement("Allow", sid, names, resources, condition)


def deny(sid: str, names: Iterable[str], resources: Sequence[str]) -> Statement:
    """Return a statement that denies actions on resources."""
    return _statement("Deny", sid, names, resources, None)


def packed(statements: Iterable[Statement]) -> list[Document]:
    """Return as few documents as hold these statements, each within IAM's limit."""
    found: list[Document] = []
    for statement in statements:
        if found and size(document([*found[-1]["Statement"], statement])) <= LIMIT:
            found[-1] = document([*found[-1]["Statement"], statement])
        else:
            found.append(document([statement]))
    return found


def document(statements: Sequence[Statement]) -> Document:
    """Return a policy of these statements; equal names are numbered."""
    names = [s["Sid"].rstrip("0123456789") for s in statements]
    numbered = [f"{n}{names[:i].count(n) + 1}" if names.count(n) > 1 else n for i, n in enumerate(names)]
    return {"Version": "2012-10-17", "Statement": [{**s, "Sid": n} for s, n in zip(statements, numbered, strict=True)]}


def size(policy: Document) -> int:
    """Return the characters that IAM counts."""
    return len(json.dumps(policy, separators=(",", ":")))


def _statement(
    effect: str, sid: str, names: Iterable[str], resources: Sequence[str], condition: Mapping[str, Any] | None
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": effect,
        "Action": sorted(names),
        "Resource": resources[0] if len(resources) == 1 else sorted(resources),
    }
    return {**statement, "Condition": dict(condition)} if condition else statement
