"""Notification configurations: S3's checks of them and its matching of their filters, neither of which moto has.

The destination must exist and its policy must let S3 send for this bucket ("Unable to validate the following
destination configurations"), and two configurations may not share an event type where their prefixes and suffixes
overlap. A filter holds URL-encoded text, with `+` for a blank, and is compared decoded: a special character that is
not encoded never matches. moto compares the key with the text as it is. The name of a rule may be in any case and is
returned as `Prefix` or `Suffix`; moto takes lower case only.
Sources: Amazon S3 User Guide, "Granting permissions to publish event notification messages to a destination",
"Configuring event notifications using object key name filtering", "Naming Amazon S3 objects" (safe characters).
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from typing import Any
from urllib.parse import unquote_plus

from flask import has_request_context, request
from moto.s3 import models, responses
from moto.s3.exceptions import S3ClientError
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.cloud.patches.replace import replace
from sandbox.cloud.policies import Request, Verdict, evaluate


class InvalidArgument(S3ClientError):
    """S3 answers 400."""

    code = "InvalidArgument"


_ENCODED = re.compile(r"(?:[A-Za-z0-9/!_.*'()~+-]|%[0-9A-Fa-f]{2})*")
"""Text without special characters but `+` and escapes. S3 lists `!-_.*'()` as safe; `~` stands for itself in a URL."""


_RULE_NAME = re.compile(rb"<Name>(?:prefix|suffix)</Name>", re.IGNORECASE)


def decoded(text: str) -> str | None:
    """Decode a filter's text; None for text that matches nothing, because a special character is not encoded."""
    if _ENCODED.fullmatch(text) is None:
        return None
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return None


def key_matches(self: Any, key_name: str) -> bool:
    """Return whether a key passes the filters of a notification (moto's `Notification`)."""
    prefix, suffix = _affixes(self.filters)
    if prefix is None or suffix is None:
        return False
    return key_name.startswith(prefix) and key_name.endswith(suffix)


def _affixes(filters: dict[str, Any] | None) -> tuple[str | None, str | None]:
    rules = ((filters or {}).get("S3Key") or {}).get("FilterRule") or []
    values = {str(rule["Name"]).lower(): str(rule.get("Value") or "") for rule in rules}
    return decoded(values.get("prefix", "")), decoded(values.get("suffix", ""))


def apply() -> None:
    replace(models.Notification, "_key_matches", key_matches)
    parse = responses.S3Response._notification_config_from_body

    def notification_config_from_body(self: Any) -> dict[str, Any]:
        self.body = _RULE_NAME.sub(lambda found: found[0].lower().replace(b"name>", b"Name>"), self.body)
        config: dict[str, Any] = parse(self)
        for entries in (entry for entry in config.values() if isinstance(entry, list)):
            for entry in entries:
                for rule in ((entry.get("Filter") or {}).get("S3Key") or {}).get("FilterRule") or []:
                    rule["Name"] = rule["Name"].capitalize()
        return config

    replace(responses.S3Response, "_notification_config_from_body", notification_config_from_body)
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
    """Destination, events and filter of one queue's or topic's configuration."""

    def __init__(self, kind: str, configuration: dict[str, Any]) -> None:
        self.arn = configuration[kind]
        self.events: list[str] = configuration["Event"]
        self.prefix, self.suffix = _affixes(configuration.get("Filter"))

    def overlaps(self, other: Entry) -> bool:
        """Return whether the event of one key could match both."""
        if self.prefix is None or self.suffix is None or other.prefix is None or other.suffix is None:
            return False
        events = any(fnmatch.fnmatchcase(a, b) or fnmatch.fnmatchcase(b, a) for a in self.events for b in other.events)
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        suffixes = self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix)
        return events and prefixes and suffixes


def accepts(arn: str, bucket_arn: str, bucket_account: str) -> bool:
    """Return whether the queue or topic exists and its policy lets S3 send for this bucket."""
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
