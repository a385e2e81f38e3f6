"""Data is kept long enough, and log lines for a limited time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dualsync.runtime.aws.dynamodb.items import EXPIRES
from dualsync.runtime.settings import variable
from policy.environment import environments
from policy.plan import UNKNOWN, Plan, Resource, known
from policy.rule import Finding, Option, Options, Rule

_DAY = 86400
_DEFAULT_SECONDS = 4 * _DAY
"""How long SQS keeps messages by default (SetQueueAttributes)."""


def logs_limited(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield log groups that keep lines without limit, or not long enough to investigate a fault."""
    if resource.kind != "cloudwatch.LogGroup" or not resource.is_known("retentionInDays"):
        return
    days = resource.get("retentionInDays")
    if not days:
        yield Finding(resource, f"{resource.name} keeps its lines for ever")
    elif int(days) < int(options["minimumDays"]):
        yield Finding(resource, f"{resource.name} keeps its lines for {int(days)} days")


def dead_letters_outlive(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queues without a dead-letter queue, and dead-letter queues that keep messages no longer than theirs."""
    queues = list(plan.of("sqs.Queue"))
    dead = {d.urn for q in queues for d in plan.behind(q, "redrivePolicy", "sqs.Queue")}
    for queue in queues:
        targets = plan.behind(queue, "redrivePolicy", "sqs.Queue")
        for target in targets:
            kept, late = _kept(queue), _kept(target)
            if kept is not None and late is not None and late < kept + _DAY:
                yield Finding(
                    target,
                    f"{target.name} keeps messages for {late // _DAY} days, {queue.name} for {kept // _DAY} before",
                )
        if not targets and queue.urn not in dead and queue.get("redrivePolicy") is None:
            yield Finding(queue, f"{queue.name} has no dead-letter queue")


def tombstones_outlive(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield processes whose tombstones expire while messages about the deleted keys can still arrive."""
    for environment in environments(plan):
        days = (environment.variables or {}).get(variable("tombstone_days"))
        own = environment.holder.account
        kept = [_kept(q) or 0 for q in plan.of("sqs.Queue") if own and q.account and q.account.urn == own.urn]
        if days and kept and int(days) * _DAY <= max(kept):
            yield Finding(
                environment.holder,
                f"{environment.process} {environment.holder.name} keeps deletions for {days} days,"
                f" and messages live for {max(kept) // _DAY}",
            )


def ledger_recoverable(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield ledgers that cannot be restored, can be deleted (in a local cloud they may be) or expire their proof."""
    if resource.kind != "dynamodb.Table":
        return
    if resource.get("pointInTimeRecovery.enabled") not in (True, UNKNOWN):
        yield Finding(resource, f"{resource.name} has no point-in-time recovery")
    if not _is_local_cloud(resource) and resource.get("deletionProtectionEnabled") not in (True, UNKNOWN):
        yield Finding(resource, f"{resource.name} can be deleted")
    attribute = resource.get("ttl.attributeName")
    if attribute not in (None, UNKNOWN, EXPIRES):
        yield Finding(
            resource, f"{resource.name} deletes items by {attribute}, which the runtime does not set for that (ttl)"
        )


def bundle_stays(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield lifecycle rules that delete current objects of the artifacts bucket by age."""
    if resource.kind != "s3.BucketLifecycleConfiguration":
        return
    for rule in resource.items("rules"):
        if not isinstance(rule, Mapping) or rule.get("status") != "Enabled":
            continue
        expiration: Any = rule.get("expiration")
        blocks = expiration if isinstance(expiration, list) else [expiration]
        if any(isinstance(b, Mapping) and known([b.get("days"), b.get("date")]) for b in blocks):
            yield Finding(resource, f"{resource.name}: rule {rule.get('id')} deletes current objects by age")


def _kept(queue: Resource) -> int | None:
    value = queue.get("messageRetentionSeconds")
    return None if value is UNKNOWN else int(value) if value else _DEFAULT_SECONDS


def _is_local_cloud(resource: Resource) -> bool:
    return resource.account is not None and bool(resource.account.endpoints)


RULES = (
    Rule(
        name="logs-limited",
        what="Log groups keep their lines for a limited time, and for long enough.",
        why="Lines name the keys of objects. They are evidence for some days, and after that a cost and a risk.",
        remedy="Set retentionInDays (config key logRetentionDays).",
        each=logs_limited,
        options={
            "minimumDays": Option(
                default=7,
                help="Fewest days that a log group keeps its lines.",
                schema={"type": "integer", "minimum": 1},
            )
        },
    ),
    Rule(
        name="dead-letters-outlive-queue",
        what="A queue has a dead-letter queue, which keeps messages for longer.",
        why="SQS counts a dead letter's age from when it was first sent. With equal retention a message that failed"
        " late is deleted at once, and no operator learns of the change that was not made.",
        remedy="Keep the queue's messages for 7 days, for example, and the dead letters for 14.",
        all=dead_letters_outlive,
    ),
    Rule(
        name="tombstones-outlive-messages",
        what="A deletion is recorded for longer than any message about its key can live.",
        why="A late message about a key without a tombstone looks like a new object, and the deleted one comes back.",
        remedy="Raise tombstoneDays above the retention of both queues.",
        all=tombstones_outlive,
    ),
    Rule(
        name="ledger-recoverable",
        what="The ledger has point-in-time recovery and deletion protection, and deletes by the runtime's date only.",
        why="It holds the proof that both sides once had a version. Without it a deletion cannot be distinguished from"
        " an object that was never copied.",
        remedy="Turn on pointInTimeRecovery and deletionProtectionEnabled (config key protect), and leave ttl to the"
        " program.",
        each=ledger_recoverable,
    ),
    Rule(
        name="bundle-stays",
        what="No lifecycle rule deletes current objects of the artifacts bucket.",
        why="The bundle may be as old as the last release. When it has expired, no new instance boots.",
        remedy="Expire noncurrent versions only.",
        each=bundle_stays,
    ),
)
