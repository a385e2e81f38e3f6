"""The side's queue of events and findings, and the queue of what can never succeed."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.config.validation import DEAD_LETTER_DAYS
from dualsync.components.context import SideContext

VISIBILITY_SECONDS = 900
"""15 minutes, as in the guide's system; a worker extends it while it works."""

MAX_RECEIVES = 5
"""For crashes and poison: what must wait is sent anew instead of handed back."""

_DAY = 86400


class Queue(pulumi.ComponentResource):
    """SQS with a dead-letter queue, encrypted, TLS only; only the side's own bucket (or topic) may send."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    dead_letter_url: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]
    dead_letter_name: pulumi.Output[str]
    policy: aws.sqs.QueuePolicy

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Queue", context.names.of("queues"), None, opts)
        names = context.names
        dead = aws.sqs.Queue(
            names.of("dead-letters"),
            name=names.of("dead-letters"),
            # SQS counts a dead letter's age from its first enqueueing, so the source keeps messages for less time
            # (Developer Guide, "Using dead-letter queues"): each dead letter can be looked at for the difference.
            message_retention_seconds=DEAD_LETTER_DAYS * _DAY,
            sqs_managed_sse_enabled=True,
            redrive_allow_policy=_only_from(context.arn("sqs", names.of("queue")), context.partition.id),
            tags=context.tags("dead-letters"),
            opts=context.options(self),
        )
        queue = aws.sqs.Queue(
            names.of("queue"),
            name=names.of("queue"),
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            message_retention_seconds=context.pair.queue_days * _DAY,
            receive_wait_time_seconds=20,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVES}),
            tags=context.tags("queue"),
            opts=context.options(self),
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
            policy=json.dumps(_document([_tls_only(context.arn("sqs", names.of("dead-letters")))])),
            opts=context.options(self),
        )
        self.url, self.arn, self.name = queue.url, queue.arn, queue.name
        self.dead_letter_url, self.dead_letter_arn, self.dead_letter_name = dead.url, dead.arn, dead.name
        self.register_outputs({"url": self.url, "deadLetterUrl": self.dead_letter_url})


def queue_policy(context: SideContext) -> dict[str, Any]:
    """Who may send: the bucket's events, straight or through the given topic, and nobody over plain HTTP.

    `aws:SourceAccount` beside the ARN, as an ARN of a bucket names no account (S3 User Guide, "Granting permissions
    to publish event notification messages to a destination").
    """
    arn = context.arn("sqs", context.names.of("queue"))
    topic = context.local.events_topic_arn
    condition: dict[str, Any] = {"ArnEquals": {"aws:SourceArn": topic or context.local.bucket_arn}}
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
    return _document([_tls_only(arn), send])


def _tls_only(arn: str) -> dict[str, Any]:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _only_from(queue_arn: str, partition: str) -> str | None:
    """Letters are taken from this queue alone. Not said in China, where it is not known that SQS takes the attribute:
    the redrive feature that it belongs to is missing there (AWS in China guide, Amazon SQS), and nothing here needs it.
    """
    if partition == "aws-cn":
        return None
    return json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn]})
