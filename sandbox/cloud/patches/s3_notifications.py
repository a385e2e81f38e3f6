"""What S3 checks when notifications are put, and moto does not.

The destination must exist and its policy must let S3 send for this bucket ("Unable to validate the following
destination configurations"), and two configurations may not share an event type where their prefixes and suffixes
overlap. Sources: Amazon S3 User Guide, "Granting permissions to publish event notification messages to a destination",
"Configuring event notifications using object key name filtering".
"""

from __future__ import annotations

import fnmatch
import itertools
from typing import Any

from flask import has_request_context, request
from moto.s3 import models
from moto.s3.exceptions import S3ClientError
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.cloud.patches.replace import replace
from sandbox.cloud.policies import Request, Verdict, evaluate


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
        return queue is not None and _allows(queue.policy, "sqs:SendMessage", arn, bucket_arn, bucket_account)
    topic = sns_backends[account_id][region].topics.get(arn)
    return topic is not None and _allows(topic.policy, "sns:Publish", arn, bucket_arn, bucket_account)


def _allows(policy: str | None, action: str, arn: str, bucket_arn: str, bucket_account: str) -> bool:
    if not policy:
        return False
    context = {"aws:sourcearn": bucket_arn, "aws:sourceaccount": bucket_account, "aws:securetransport": "true"}
    return evaluate(policy, Request(action, arn, frozenset({"s3.amazonaws.com"}), context)) is Verdict.ALLOWED
