"""What S3 checks when notifications are put, and moto does not.

The destination must exist and its policy must let S3 send for this bucket ("Unable to validate the following
destination configurations"), and two configurations may not share an event type where their prefixes and suffixes
overlap. Sources: Amazon S3 User Guide, "Granting permissions to publish event notification messages to a destination",
"Configuring event notifications using object key name filtering".
"""

from __future__ import annotations

import fnmatch
import itertools
import json
from typing import Any

from flask import has_request_context, request
from moto.s3 import models
from moto.s3.exceptions import S3ClientError
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.cloud.patches.replace import replace


class InvalidArgument(S3ClientError):
    """400."""

    code = "InvalidArgument"


def apply() -> None:
    original = models.S3Backend.put_bucket_notification_configuration

    def put(self: Any, bucket_name: str, notification_config: dict[str, Any]) -> None:
        bucket = self.get_bucket(bucket_name)
        entries = [
            Entry(kind, n) for kind in ("Queue", "Topic") for n in notification_config.get(f"{kind}Configuration") or []
        ]
        for one, other in itertools.combinations(entries, 2):
            if one.overlaps(other):
                raise InvalidArgument(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type."
                )
        skip = has_request_context() and request.headers.get("x-amz-skip-destination-validation", "") == "true"
        if not skip and not all(accepts(entry.arn, bucket.arn, bucket.account_id) for entry in entries):
            raise InvalidArgument("Unable to validate the following destination configurations")
        original(self, bucket_name, notification_config)

    replace(models.S3Backend, "put_bucket_notification_configuration", put)


class Entry:
    """One queue's or topic's configuration, as far as overlap and destination go."""

    def __init__(self, kind: str, configuration: dict[str, Any]) -> None:
        self.arn = configuration[kind]
        self.events: list[str] = configuration["Event"]
        rules = ((configuration.get("Filter") or {}).get("S3Key") or {}).get("FilterRule") or []
        values = {rule["Name"].lower(): rule["Value"] for rule in rules}
        self.prefix, self.suffix = values.get("prefix", ""), values.get("suffix", "")

    def overlaps(self, other: Entry) -> bool:
        """Whether one object's event could match both."""
        events = any(fnmatch.fnmatchcase(a, b) or fnmatch.fnmatchcase(b, a) for a in self.events for b in other.events)
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        suffixes = self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix)
        return events and prefixes and suffixes


def accepts(arn: str, bucket_arn: str, bucket_account: str) -> bool:
    """Whether the queue or topic exists and its policy lets S3 send for this bucket."""
    _, _, service, region, account_id, name = arn.split(":", 5)
    if service == "sqs":
        queue = sqs_backends[account_id][region].queues.get(name)
        return queue is not None and _allows(queue.policy, "sqs:SendMessage", bucket_arn, bucket_account)
    topic = sns_backends[account_id][region].topics.get(arn)
    return topic is not None and _allows(topic.policy, "sns:Publish", bucket_arn, bucket_account)


def _allows(policy: str | None, action: str, bucket_arn: str, bucket_account: str) -> bool:
    if not policy:
        return False
    context = {"aws:sourcearn": bucket_arn, "aws:sourceaccount": bucket_account, "aws:securetransport": "true"}
    matching = [s for s in _list(json.loads(policy)["Statement"]) if _applies(s, action, context)]
    return any(s["Effect"] == "Allow" for s in matching) and not any(s["Effect"] == "Deny" for s in matching)


def _applies(statement: dict[str, Any], action: str, context: dict[str, str]) -> bool:
    principal = statement.get("Principal")
    if principal != "*":
        services = _list((principal or {}).get("Service", []))
        if "s3.amazonaws.com" not in services and "*" not in _list((principal or {}).get("AWS", [])):
            return False
    actions = [a.lower() for a in _list(statement["Action"])]
    if not any(fnmatch.fnmatchcase(action.lower(), a) for a in actions):
        return False
    for operator, conditions in statement.get("Condition", {}).items():
        for key, values in conditions.items():
            actual = context.get(key.lower())
            if actual is None or not any(_holds(operator, actual, str(v)) for v in _list(values)):
                return False
    return True


def _holds(operator: str, actual: str, wanted: str) -> bool:
    if operator in ("ArnLike", "ArnEquals", "StringLike"):
        return fnmatch.fnmatchcase(actual, wanted)
    if operator in ("StringEquals",):
        return actual == wanted
    if operator == "Bool":
        return actual == wanted.lower()
    return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
