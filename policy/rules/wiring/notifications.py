"""A bucket's notifications have several owners: the pair adds one entry, with expiry apart from deletion."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import allowed
from policy.ownership import SUBSCRIPTION, Owned
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule


def kept(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield resources that replace a bucket's whole notification document, and entries without id or owner."""
    if resource.kind == "s3.BucketNotification":
        yield Finding(resource, f"{resource.name} replaces all notifications of bucket {_shown(resource, 'bucket')}")
    if resource.type == SUBSCRIPTION:
        for path, what in (("notificationId", "an entry of its own"), ("owner", "the bucket's owner")):
            if resource.is_known(path) and not resource.get(path):
                yield Finding(resource, f"{resource.name} does not name {what} ({path})")
        if resource.delete_before_replace is False:
            yield Finding(resource, f"{resource.name} is created before its predecessor is deleted, which S3 refuses")


def to_own_queue(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield subscriptions to a queue in another account than the bucket's."""
    for subscription in plan.of(SUBSCRIPTION):
        arn, owner = subscription.get("queueArn"), subscription.get("owner")
        behind = plan.behind(subscription, "queueArn", "sqs.Queue")
        if isinstance(arn, str) and isinstance(owner, str) and arn.startswith("arn:") and arn.split(":")[4] != owner:
            yield Finding(subscription, f"{subscription.name} sends to {arn}, and the bucket's account is {owner}")
            continue
        for queue in behind:
            ids = queue.account.account_ids if queue.account is not None else ()
            if isinstance(owner, str) and ids and owner not in ids:
                yield Finding(
                    subscription, f"{subscription.name} sends to {queue.name} of another account than {owner}"
                )


def from_own_bucket(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queue policies that let a service send for another bucket or topic than the side's own."""
    for policy in plan.of("sqs.QueuePolicy", "sqs.Queue"):
        owned = Owned(plan, policy.account)
        buckets = {f"arn:{owned.partition}:s3:::{b.name}" for b in owned.data_buckets}
        topics = {s.get("topic") for s in plan.of("sns.TopicSubscription") if s.get("protocol") == "sqs"}
        for statement in allowed(policy):
            services = {name.partition(".")[0] for kind, name in statement.principals if kind == "Service"}
            sources = set(statement.bound("aws:SourceArn"))
            where = f"{policy.name}: statement {statement.sid}"
            if services and not sources:
                yield Finding(policy, f"{where} lets {', '.join(sorted(services))} send for any bucket or topic")
            elif "s3" in services and buckets and not sources <= buckets:
                wrong = ", ".join(sorted(sources - buckets))
                yield Finding(policy, f"{where} takes events of {wrong}, which is not the side's bucket")
            elif "sns" in services and topics and UNKNOWN not in topics and not sources <= topics:
                wrong = ", ".join(sorted(sources - topics))
                yield Finding(policy, f"{where} takes events of {wrong}, which is not the side's topic")


def expiry_included(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield subscriptions to deletions that do not include expiry."""
    if resource.type != SUBSCRIPTION:
        return
    events = [str(e) for e in resource.items("events") if e is not UNKNOWN]
    removed = any(e.startswith("s3:ObjectRemoved") for e in events)
    if removed and not any(e.startswith("s3:LifecycleExpiration") for e in events):
        yield Finding(resource, f"{resource.name} gets s3:ObjectRemoved and not s3:LifecycleExpiration:*")


def _shown(resource: Resource, path: str) -> str:
    value = resource.get(path)
    return value if isinstance(value, str) else "(known later)"


RULES = (
    Rule(
        name="notifications-kept",
        what="The bucket's other notifications stay as they are.",
        why="S3 keeps one notification document per bucket. A resource that writes all of it cuts off every other"
        " consumer, and its destroy removes all entries.",
        remedy=f"Subscribe with {SUBSCRIPTION}, which adds one entry under its own id and removes only that.",
        each=kept,
    ),
    Rule(
        name="events-to-own-queue",
        what="A bucket's events go to the queue of its own side.",
        why="The worker of a side checks its local bucket. It would take events of the other bucket for changes here,"
        " and the queue's policy, bound to the local bucket, refuses them anyway.",
        remedy="Give the subscription the queue of the bucket's own side.",
        all=to_own_queue,
    ),
    Rule(
        name="events-of-own-bucket",
        what="A queue takes events of its own side's bucket (or topic) alone.",
        why="A service sends for every bucket of every account that names the queue. An event names the key to check,"
        " and the wrong bucket's keys cost requests and hide the right ones.",
        remedy="Give the statement ArnEquals on aws:SourceArn with the data bucket or the topic, without wildcards.",
        all=from_own_bucket,
    ),
    Rule(
        name="expiry-told-apart",
        what="A subscription to deletions includes lifecycle expiry.",
        why="Expiry raises no s3:ObjectRemoved event. Without its own events, a 30-day rule on one side looks to the"
        " finder like deletions by users, which would be carried to the other side.",
        remedy="Add s3:LifecycleExpiration:* to the events.",
        each=expiry_included,
    ),
)
