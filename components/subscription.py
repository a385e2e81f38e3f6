"""Subscribe the queue to the bucket's events: directly, or through a topic if the bucket has other consumers."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import PairModel
from dualsync.components.context import SideContext
from dualsync.components.providers import SyncProvider
from dualsync.components.queue import Queue
from dualsync.runtime.settings import Events

CREATED = ("s3:ObjectCreated:*",)
REMOVED = ("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
"""Expiry has event types of its own. Without them a 30-day rule on one side would look like deletions by users."""


class BucketSubscription(pulumi.CustomResource):
    """One entry among a bucket's notifications, provided by `plugin.py`. It does not touch other entries."""

    def __init__(
        self,
        resource_name: str,
        *,
        bucket: pulumi.Input[str],
        owner: pulumi.Input[str],
        notification_id: pulumi.Input[str],
        queue_arn: pulumi.Input[str],
        events: Sequence[str],
        prefix: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        properties = {
            "bucket": bucket,
            "owner": owner,
            "notificationId": notification_id,
            "queueArn": queue_arn,
            "events": sorted(events),
            "prefix": prefix,
        }
        super().__init__("dualsync:index:BucketSubscription", resource_name, properties, opts)


class Subscription(pulumi.ComponentResource):
    """The way of the side's events to its queue; empty if nothing is synchronised by events."""

    def __init__(
        self,
        context: SideContext,
        queue: Queue,
        provider: SyncProvider,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        name = context.names.of("events")
        super().__init__("dualsync:index:Subscription", name, None, opts)
        local = context.local
        events = wanted_events(context.pair)
        if events and local.events_topic_arn:
            aws.sns.TopicSubscription(
                name,
                topic=local.events_topic_arn,
                protocol="sqs",
                endpoint=queue.arn,
                raw_message_delivery=True,
                opts=context.options(self, depends_on=[queue.policy, *after]),
            )
        elif events:
            BucketSubscription(
                name,
                bucket=local.bucket,
                owner=local.account_id,
                notification_id=name,
                queue_arn=queue.arn,
                events=events,
                prefix=local.prefix,
                # S3 checks the destination when the entry is written, so the queue's policy comes first.
                opts=pulumi.ResourceOptions(
                    parent=self, provider=provider, depends_on=[queue.policy, *after], delete_before_replace=True
                ),
            )
        self.register_outputs({})


def wanted_events(pair: PairModel) -> tuple[str, ...]:
    """Return the event types for the pair's choice."""
    return {Events.NO: (), Events.CREATE: CREATED, Events.CREATE_AND_DELETE: CREATED + REMOVED}[pair.events]
