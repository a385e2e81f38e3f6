"""Create the side's queue of events and finder requests, and the queue of messages that can never succeed."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import DEAD_LETTER_DAYS
from dualsync.components.context import SideContext

VISIBILITY_SECONDS = 900
"""15 minutes, as in the guide's system; a worker extends it while it works."""

MAX_RECEIVES = 5
"""Receives before a message is dead. For crashes and poison: a message that must wait is queued again instead."""

DATA_KEY_SECONDS = 3600
"""Time for which SQS reuses a data key of a customer managed key, which bounds its calls to KMS."""

_DAY = 86400

Statement = dict[str, Any]


class Queue(pulumi.ComponentResource):
    """SQS queue with a dead-letter queue: encrypted, TLS only, and only the side's own senders may send."""

    url: pulumi.Output[str]
    """Address of the queue."""
    arn: pulumi.Output[str]
    """ARN of the queue."""
    name: pulumi.Output[str]
    """Name of the queue."""
    dead_letter_url: pulumi.Output[str]
    """Address of the dead-letter queue."""
    dead_letter_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""
    dead_letter_name: pulumi.Output[str]
    """Name of the dead-letter queue."""
    policy: aws.sqs.QueuePolicy
    """Policy of the queue, which must exist before S3 is given the queue as a destination."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Queue", context.names.of("queues"), None, opts)
        names = context.names
        dead = aws.sqs.Queue(
            names.of("dead-letters"),
            name=names.of("dead-letters"),
            # SQS counts a dead letter's age from its first enqueueing, so the source keeps messages for less time
            # (Developer Guide, "Using dead-letter queues"): the difference is the time to handle a dead letter.
            message_retention_seconds=DEAD_LETTER_DAYS * _DAY,
            redrive_allow_policy=_letters_from(context.partition.id, context.arn("sqs", names.of("queue"))),
            tags=context.tags("dead-letters"),
            opts=context.options(self),
            **_encryption(context),
        )
        queue = aws.sqs.Queue(
            names.of("queue"),
            name=names.of("queue"),
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            message_retention_seconds=context.pair.queue_days * _DAY,
            receive_wait_time_seconds=20,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVES}),
            # SQS moves dead letters past the queue's policy. The owner of another queue could send any message here by
            # naming this queue as its dead-letter queue.
            redrive_allow_policy=_letters_from(context.partition.id),
            tags=context.tags("queue"),
            opts=context.options(self),
            **_encryption(context),
        )
        self.policy = aws.sqs.QueuePolicy(
            names.of("queue-policy"),
            queue_url=queue.url,
            policy=json.dumps(queue_policy(context)),
            opts=context.options(self),
        )
        aws.sqs.QueuePolicy(
            names.of("dead-letters-policy"),
            queue_url=dead.url,
            policy=json.dumps(dead_letters_policy(context)),
            opts=context.options(self),
        )
        self.url, self.arn, self.name = queue.url, queue.arn, queue.name
        self.dead_letter_url, self.dead_letter_arn, self.dead_letter_name = dead.url, dead.arn, dead.name
        self.register_outputs({"url": self.url, "deadLetterUrl": self.dead_letter_url})


def _encryption(context: SideContext) -> dict[str, Any]:
    if context.kms_key_arn:
        return {
            "kms_master_key_id": context.kms_key_arn,
            "kms_data_key_reuse_period_seconds": DATA_KEY_SECONDS,
        }
    return {"sqs_managed_sse_enabled": True}


def queue_policy(context: SideContext) -> dict[str, Any]:
    """Return who may send to the queue: the bucket's events, directly or through the given topic, and the side's roles.

    Any sender to the queue can have any key of the pair checked, so an account-wide right to send, as
    AmazonSQSFullAccess gives, must not suffice: two denials name all others. A service's request carries
    `aws:SourceArn` and no `aws:PrincipalArn`; a role's carries the role's ARN and no source. A negated operator also
    matches a missing key (IAM User Guide, "IAM JSON policy elements: Condition operators").

    `aws:SourceAccount` accompanies the bucket's ARN, which names no account (S3 User Guide, "Granting permissions to
    publish event notification messages to a destination"). A topic's ARN names its account.
    """
    arn = context.arn("sqs", context.names.of("queue"))
    topic = context.local.events_topic_arn
    source = topic or context.local.bucket_arn
    condition: dict[str, Any] = {"ArnEquals": {"aws:SourceArn": source}}
    if not topic:
        condition["StringEquals"] = {"aws:SourceAccount": context.account_id}
    send = {
        "Sid": "BucketEvents",
        "Effect": "Allow",
        "Principal": {"Service": context.principal("sns" if topic else "s3")},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": condition,
    }
    senders = _senders(context, "worker", "finder-task")
    others = [_deny_send("OtherSources", arn, senders, {"ArnNotEquals": {"aws:SourceArn": source}})]
    if not topic:
        account = {"StringNotEquals": {"aws:SourceAccount": context.account_id}}
        others.append(_deny_send("OtherAccounts", arn, senders, account))
    return _document([_tls_only(arn), *others, send])


def dead_letters_policy(context: SideContext) -> dict[str, Any]:
    """Return who may send dead letters: the worker and operators. SQS moves messages from the queue by itself.

    The move is no request to the dead-letter queue, so its policy is not evaluated. The queue's ARN is exempt as a
    source nevertheless.
    """
    arn = context.arn("sqs", context.names.of("dead-letters"))
    source = {"ArnNotEquals": {"aws:SourceArn": context.arn("sqs", context.names.of("queue"))}}
    return _document([_tls_only(arn), _deny_send("OtherSources", arn, _senders(context, "worker"), source)])


def _senders(context: SideContext, *parts: str) -> list[str]:
    return [*(context.role_arn(part) for part in parts), *context.local.security.operator_roles]


def _deny_send(sid: str, arn: str, senders: list[str], source: dict[str, Any]) -> Statement:
    """Return a denial for all but the senders and requests from the source."""
    condition = {operator: dict(values) for operator, values in source.items()}
    condition.setdefault("ArnNotLike", {})["aws:PrincipalArn"] = senders
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": condition,
    }


def _tls_only(arn: str) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _letters_from(partition: str, *queue_arns: str) -> str | None:
    """Return whose dead letters a queue takes: those of the given queues, or none.

    Not set in China. It is not known whether SQS takes the attribute there: the redrive feature that it belongs to is
    missing (AWS in China guide, Amazon SQS).
    """
    if partition == "aws-cn":
        return None
    if not queue_arns:
        return json.dumps({"redrivePermission": "denyAll"})
    return json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": list(queue_arns)})
