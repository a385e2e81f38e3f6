"""Derives the inputs of a resource from its present state, for a refresh and an import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.provider import operations, types
from sandbox.provider.base import Account, Properties

DEFAULTS: dict[str, Properties] = {
    "aws:iam/user:User": {"path": "/"},
    "aws:sqs/queue:Queue": {
        "visibilityTimeoutSeconds": 30,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "delaySeconds": 0,
        "maxMessageSize": 1048576,
        "kmsDataKeyReusePeriodSeconds": 300,
        "fifoQueue": False,
    },
}
"""Values that the provider fills in where nothing is given, so that an import does not count them as given.

Source: the provider's pages of these types; IAM and SQS API Reference, CreateUser, CreateQueue. `region` is every
type's, and the provider's own where nothing is given.
"""


def inputs_now(token: str, account: Account, inputs: Properties, live: Properties) -> Properties:
    """Return the inputs with all manual changes; for an imported resource, which has no inputs yet, all that is set."""
    kind = operations.handler(token)
    has_tags = types.has(token, "tags") and isinstance(live.get("tagsAll"), Mapping)
    if inputs:
        now = {
            name: value
            if name not in live or operations.same(kind, name, value, live[name])
            else adopted(value, live[name])
            for name, value in inputs.items()
            if name not in ("tags", "tagsAll") or not has_tags
        }
    else:
        default = {"region": account.region, **DEFAULTS.get(token, {})}
        now = {
            k: v for k, v in live.items() if types.has(token, k) and v not in (None, "", [], {}) and default.get(k) != v
        }
    if has_tags:
        given = inputs.get("tags") or {}
        own = {k: v for k, v in live["tagsAll"].items() if account.default_tags.get(k) != v or k in given}
        now |= {"tags": own} if own or "tags" in inputs else {}
        now |= {"tagsAll": live["tagsAll"]} if live["tagsAll"] or "tagsAll" in inputs else {}
    return now


def adopted(given: Any, live: Any) -> Any:
    """Convert a live value to the given one's form: a service may add members, sort lists, return numbers as text."""
    if isinstance(given, Mapping) and isinstance(live, Mapping):
        return {k: adopted(v, live[k]) if k in live else v for k, v in given.items()}
    if isinstance(given, list) and isinstance(live, list):
        return given if _sorted(given) == _sorted(live) else live
    if isinstance(given, (str, int, float)) and str(given).lower() == str(live).lower():
        return given
    return live


def _sorted(values: list[Any]) -> list[str]:
    return sorted(json.dumps(v, sort_keys=True, default=str) for v in values)
