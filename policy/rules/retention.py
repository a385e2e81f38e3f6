"""What must be kept is kept long enough, what need not be is not kept for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dualsync.runtime.settings import variable
from policy.environment import environments
from policy.plan import UNKNOWN, Plan, Resource, known
from policy.rule import Finding, Option, Options, Rule

_DAY = 86400
_DEFAULT_SECONDS = 4 * _DAY
"""What SQS keeps messages for if not told otherwise (SetQueueAttributes)."""


def logs_limited(resource: Resource, options: Options) -> Iterator[Finding]:
    """Log groups keep lines for a limited time, and for long enough to look into a fault."""
    if resource.kind != "cloudwatch.LogGroup" or not resource.knows("retentionInDays"):
        return
    days = resource.get("retentionInDays")
    if not days:
        yield Finding(resource, f"{resource.name} keeps its lines for ever")
    elif int(days) < int(options["minimumDays"]):
        yield Finding(resource, f"{resource.name} keeps its lines for {int(days)} days")


def dead_letters_outlive(plan: Plan, _: Options) -> Iterator[Finding]:
    """A dead-letter queue keeps messages for longer than the queue that they come from; and that has one."""
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
    """Deletions are remembered for longer than any message about them can be under way."""
    for environment in environments(plan):
        days = (environment.variables or {}).get(variable("tombstone_days"))
        own = environment.holder.account
        kept = [_kept(q) or 0 for q in plan.of("sqs.Queue") if own and q.account and q.account.urn == own.urn]
        if days and kept and int(days) * _DAY <= max(kept):
            yield Finding(
                environment.holder,
                f"{environment.process} {environment.holder.name} remembers deletions for {days} days,"
                f" and messages live for {max(kept) // _DAY}",
            )


def ledger_recoverable(resource: Resource, _: Options) -> Iterator[Finding]:
    """The ledger can be brought back, and is not deleted by accident (a stand-in's has nothing to lose)."""
    if resource.kind != "dynamodb.Table":
        return
    if resource.get("pointInTimeRecovery.enabled") not in (True, UNKNOWN):
        yield Finding(resource, f"{resource.name} has no point-in-time recovery")
    if not _stand_in(resource) and resource.get("deletionProtectionEnabled") not in (True, UNKNOWN):
        yield Finding(resource, f"{resource.name} can be deleted")


def bundle_stays(resource: Resource, _: Options) -> Iterator[Finding]:
    """No rule deletes what new instances boot from because of its age."""
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


def _stand_in(resource: Resource) -> bool:
    return resource.account is not None and bool(resource.account.endpoints)


RULES = (
    Rule(
        name="logs-limited",
        what="Log groups keep their lines for a limited time, and for long enough.",
        why="Lines name the keys of objects; they are evidence for a while, and a cost and a risk after it.",
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
        " late is gone at once, and with it the change that nobody made.",
        remedy="Keep the queue's messages for 7 days, say, and the dead letters for 14.",
        all=dead_letters_outlive,
    ),
    Rule(
        name="tombstones-outlive-messages",
        what="A deletion is remembered for longer than any message about its key can live.",
        why="A late message about a key whose tombstone has gone looks like news, and the deleted object comes back.",
        remedy="Raise tombstoneDays above the retention of both queues.",
        all=tombstones_outlive,
    ),
    Rule(
        name="ledger-recoverable",
        what="The ledger has point-in-time recovery and deletion protection.",
        why="It holds the proof that both sides once had a version; without it no deletion can be told from an object"
        " that never came.",
        remedy="Turn on pointInTimeRecovery and deletionProtectionEnabled (config key protect).",
        each=ledger_recoverable,
    ),
    Rule(
        name="bundle-stays",
        what="No lifecycle rule deletes current objects of the artifacts bucket.",
        why="The bundle may be as old as the last release; the day that it expires, no new instance boots.",
        remedy="Expire noncurrent versions only.",
        each=bundle_stays,
    ),
)
