"""A bucket's notifications belong to everybody: ours is added to them, and tells expiry from deletion."""

from __future__ import annotations

from collections.abc import Iterator

from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

SUBSCRIPTION = "dualsync:index:BucketSubscription"


def kept(resource: Resource, _: Options) -> Iterator[Finding]:
    """No resource that replaces a bucket's whole notification document; ours names its entry and the bucket's owner."""
    if resource.kind == "s3.BucketNotification":
        yield Finding(resource, f"{resource.name} replaces all notifications of bucket {_shown(resource, 'bucket')}")
    if resource.type == SUBSCRIPTION:
        for path, what in (("notificationId", "an entry of its own"), ("owner", "the bucket's owner")):
            if resource.knows(path) and not resource.get(path):
                yield Finding(resource, f"{resource.name} does not name {what} ({path})")
        if resource.delete_before_replace is False:
            yield Finding(resource, f"{resource.name} is created before its predecessor is deleted, which S3 refuses")


def to_own_queue(plan: Plan, _: Options) -> Iterator[Finding]:
    """A bucket's events go to the queue of the account that owns the bucket."""
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


def expiry_told_apart(resource: Resource, _: Options) -> Iterator[Finding]:
    """Who hears of deletions hears of expiry too."""
    if resource.type != SUBSCRIPTION:
        return
    events = [str(e) for e in resource.items("events") if e is not UNKNOWN]
    removed = any(e.startswith("s3:ObjectRemoved") for e in events)
    if removed and not any(e.startswith("s3:LifecycleExpiration") for e in events):
        yield Finding(resource, f"{resource.name} hears of s3:ObjectRemoved and not of s3:LifecycleExpiration:*")


def _shown(resource: Resource, path: str) -> str:
    value = resource.get(path)
    return value if isinstance(value, str) else "(known later)"


RULES = (
    Rule(
        name="notifications-kept",
        what="The bucket's other notifications stay as they are.",
        why="S3 keeps one notification document a bucket. A resource that puts a whole one cuts off every other"
        " consumer, and takes its own down with everybody else's on destroy.",
        remedy=f"Subscribe with {SUBSCRIPTION}, which adds one entry under its own id and removes only that.",
        each=kept,
    ),
    Rule(
        name="events-to-own-queue",
        what="A bucket's events go to the queue of its own side.",
        why="The worker of a side looks at its local bucket. Events of the other bucket would be read as changes"
        " here, and the queue's policy, bound to the local bucket, refuses them anyway.",
        remedy="Give the subscription the queue of the bucket's own side.",
        all=to_own_queue,
    ),
    Rule(
        name="expiry-told-apart",
        what="A subscription to deletions includes lifecycle expiry.",
        why="Expiry raises no s3:ObjectRemoved event. Unheard, a 30-day rule on one side looks to the finder like"
        " deletions by users, which would be carried to the other side.",
        remedy="Add s3:LifecycleExpiration:* to the events.",
        each=expiry_told_apart,
    ),
)
