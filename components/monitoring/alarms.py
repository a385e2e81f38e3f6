"""What wakes a person, each with what it means and what to do; and nothing that mends itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext

ABOVE = "GreaterThanThreshold"
BELOW = "LessThanThreshold"
DENIED_PERIOD = 1800
"""Seconds, twice the longest pause between two tries: while it lasts, each period has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One metric against one threshold over `periods` times `period` seconds; `statistic` may be `p99` or so."""

    part: str
    says: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    statistic: str = "Sum"
    comparison: str = ABOVE
    threshold: float = 0
    period: int = 300
    periods: int = 1
    missing: str = "notBreaching"


def alarms(
    context: SideContext,
    queue_name: pulumi.Input[str],
    dead_letter_queue_name: pulumi.Input[str],
    group_name: pulumi.Input[str],
) -> list[Alarm]:
    """The side's alarms."""
    ours = context.names.metrics
    peer = context.side.peer
    watch, side = context.local.watch, context.side
    lag = watch.lag_seconds
    interval = min(max(context.local.finder.interval_minutes * 60, 300), 6 * 3600)
    found = [
        Alarm(
            part="dead-letters",
            says="What can't be done waits in the dead-letter queue. `dualsync dlq list` shows it with the reasons.",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": dead_letter_queue_name},
            statistic="Maximum",
        ),
        Alarm(
            part="oldest-message",
            says=f"A change has waited for more than {lag} s. `dualsync status` shows what holds it up.",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue_name},
            statistic="Maximum",
            threshold=lag,
            periods=2,
        ),
        Alarm(
            part="lag",
            says=f"Changes arrive at {peer} more than {lag} s late (99th percentile). Raise maxCapacity or look for "
            "throttling with `dualsync status`.",
            namespace=ours,
            metric="PutLag",
            statistic="p99",
            threshold=lag,
            periods=3,
        ),
        Alarm(
            part="no-instance",
            says="The fleet has no instance in service. The group's activity history says why: subnets, quota, image.",
            namespace="AWS/AutoScaling",
            metric="GroupInServiceInstances",
            dimensions={"AutoScalingGroupName": group_name},
            statistic="Minimum",
            comparison=BELOW,
            threshold=1,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            part="no-worker",
            says="No worker has said for 15 minutes that it is alive. The boot streams of its log group say why; "
            "without any, the subnets have no way out.",
            namespace=ours,
            metric="HealthyReports",
            comparison=BELOW,
            threshold=1,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            part="guard-refused",
            says="The worker refuses to work: the key in its secret is not that of the peer's dedicated user, so it "
            "could not tell echoes from changes; or a bucket is not the one that was deployed. `dualsync status` says "
            f"which. Of the key: deploy {peer} again.",
            namespace=ours,
            metric="GuardRefused",
        ),
        Alarm(
            part="peer-down",
            says=f"The bucket or the services of {peer} have not answered for a quarter of an hour. Changes wait in "
            "the queue and go on by themselves.",
            namespace=ours,
            metric="CircuitOpen",
            periods=3,
        ),
        Alarm(
            part="access-denied",
            says=f"A change has been refused (AccessDenied) for more than {lag} s: by a policy of the bucket, the user "
            "or a KMS key. `dualsync status` names key and call. It waits for hours, then it is a dead letter.",
            namespace=ours,
            metric="DeniedSeconds",
            statistic="Maximum",
            threshold=lag,
            period=DENIED_PERIOD,
        ),
        Alarm(
            part="fatal",
            says="A boot or a worker ended by a fault. It is started again by itself; the lines before say why.",
            namespace=ours,
            metric="Fatal",
        ),
        Alarm(
            part="finder-failed",
            says="The finder's last runs failed: a listing or the ledger did not answer. Nothing was changed; the log "
            "says what failed, and the next run starts afresh.",
            namespace=ours,
            metric="FinderFailed",
            period=interval,
            periods=2,
        ),
        Alarm(
            part="finder-late",
            says="The finder has not finished for three intervals. See its task's stopped reason and its log group.",
            namespace=ours,
            metric="FinderRuns",
            comparison=BELOW,
            threshold=1,
            period=interval,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            part="held-deletions",
            says="A finder's run found more deletions than the limit and holds them. `dualsync deletions list` shows "
            "them, `approve` or `reject` decides.",
            namespace=ours,
            metric="HeldDeletions",
            period=interval,
        ),
        Alarm(
            part="many-deletions",
            says=f"Workers have deleted more than {watch.deletions} objects within five minutes. If nobody meant it: "
            f"`dualsync pause {side} --wait` stops it, `dualsync deletions reject` brings back what still stands on "
            "one side; what is gone on both only versioning has (runbook: many-deletions).",
            namespace=ours,
            metric="DeletedObjects",
            threshold=watch.deletions,
        ),
        Alarm(
            part="many-conflicts",
            says=f"More than {watch.conflicts} keys were written on both sides at once within five minutes. The newest "
            "(or the preferred side) has won: `dualsync conflicts list` shows what lost, `undo` brings it back.",
            namespace=ours,
            metric="Conflicts",
            threshold=watch.conflicts,
        ),
    ]
    # A fleet that may rest has neither instances nor signs of life then; the oldest message tells when it should not.
    resting = {"no-instance", "no-worker"} if context.local.fleet.min_capacity == 0 else set()
    unwanted = {
        part for part, most in (("many-deletions", watch.deletions), ("many-conflicts", watch.conflicts)) if not most
    }
    return [alarm for alarm in found if alarm.part not in resting | unwanted]


def register(
    context: SideContext, wanted: Sequence[Alarm], topic_arn: pulumi.Input[str], parent: pulumi.Resource
) -> dict[str, aws.cloudwatch.MetricAlarm]:
    """The alarms, by part; they tell the topic when they begin and when they end."""
    return {alarm.part: _one(context, alarm, topic_arn, parent) for alarm in wanted}


def _one(
    context: SideContext, alarm: Alarm, topic_arn: pulumi.Input[str], parent: pulumi.Resource
) -> aws.cloudwatch.MetricAlarm:
    name = context.names.of(alarm.part)
    percentile = alarm.statistic.startswith("p")
    return aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        name=name,
        alarm_description=alarm.says,
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=dict(alarm.dimensions) or None,
        statistic=None if percentile else alarm.statistic,
        extended_statistic=alarm.statistic if percentile else None,
        comparison_operator=alarm.comparison,
        threshold=alarm.threshold,
        period=alarm.period,
        evaluation_periods=alarm.periods,
        datapoints_to_alarm=alarm.periods,
        treat_missing_data=alarm.missing,
        alarm_actions=[topic_arn],
        ok_actions=[topic_arn],
        tags=context.tags(alarm.part),
        opts=context.options(parent),
    )
