"""Define the alarms: what each means and what to do about it. Nothing that resolves itself is an alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.runtime.settings import Events

ABOVE = "GreaterThanThreshold"
BELOW = "LessThanThreshold"
DENIED_PERIOD = 1800
"""Seconds, twice the longest pause between two attempts, so that each period has one while a refusal lasts."""

DAY = 24 * 3600
"""Seconds of a day, the longest period of a metric alarm. Period times periods may be one week if the period is an hour
or more, else one day (CloudWatch API Reference, PutMetricAlarm)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One metric against one threshold."""

    part: str
    """Last part of the alarm's name, and heading of its entry in the runbook."""
    text: str
    """What the alarm means and what to do."""
    namespace: str
    """Namespace of the metric."""
    metric: str
    """Name of the metric."""
    dimensions: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Dimensions of the metric."""
    statistic: str = "Sum"
    """Statistic per period, like `Sum` or `p99`."""
    comparison: str = ABOVE
    """Comparison of the statistic with the threshold."""
    threshold: float = 0
    """The threshold."""
    period: int = 300
    """Seconds per period."""
    periods: int = 1
    """Periods that must all be beyond the threshold."""
    missing: str = "notBreaching"
    """How a period without data counts."""


def alarms(
    context: SideContext,
    queue_name: pulumi.Input[str],
    dead_letter_queue_name: pulumi.Input[str],
    group_name: pulumi.Input[str],
) -> list[Alarm]:
    """Return the side's alarms."""
    ours = context.names.metrics
    peer = context.side.peer
    watch, side = context.local.watch, context.side
    lag = watch.lag_seconds
    interval = context.local.finder.interval_minutes * 60
    period = min(max(interval, 300), DAY)
    found = [
        Alarm(
            part="dead-letters",
            text="Messages that failed for good are in the dead-letter queue. `dualsync dlq list` shows them with "
            "reasons.",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": dead_letter_queue_name},
            statistic="Maximum",
        ),
        Alarm(
            part="oldest-message",
            text=f"A change has waited for more than {lag} s. `dualsync status` shows the cause.",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue_name},
            statistic="Maximum",
            threshold=lag,
            periods=2,
        ),
        Alarm(
            part="lag",
            text=f"Changes arrive at {peer} more than {lag} s late (99th percentile). Raise maxCapacity, or check "
            "for throttling with `dualsync status`.",
            namespace=ours,
            metric="PutLag",
            statistic="p99",
            threshold=lag,
            periods=3,
        ),
        Alarm(
            part="no-instance",
            text="The fleet has no instance in service. The group's activity history shows the cause: subnets, "
            "quota, image.",
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
            text="No worker has reported for 15 minutes. The boot streams of its log group show the cause. If "
            "there are none, the subnets have no route to the internet.",
            namespace=ours,
            metric="HealthyReports",
            comparison=BELOW,
            threshold=1,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            part="guard-refused",
            text="The worker has stopped: the key in its secret is not that of the peer's dedicated user, so "
            "echoes would not be recognised; or a bucket is not the one that was deployed. `dualsync status` "
            f"shows which. If it is the key, deploy {peer} again.",
            namespace=ours,
            metric="GuardRefused",
        ),
        Alarm(
            part="peer-down",
            text=f"The bucket or the services of {peer} have not answered for 15 minutes, or refuse every key alike. "
            "Changes wait in the queue; copying continues automatically. `dualsync status` shows the cause.",
            namespace=ours,
            metric="CircuitOpen",
            periods=3,
        ),
        Alarm(
            part="access-denied",
            text=f"A change has been refused (AccessDenied) for more than {lag} s: by a policy of the bucket, the "
            "user or a KMS key. `dualsync status` shows key and call. After some hours the message becomes a "
            "dead letter.",
            namespace=ours,
            metric="DeniedSeconds",
            statistic="Maximum",
            threshold=lag,
            period=DENIED_PERIOD,
        ),
        Alarm(
            part="fatal",
            text="A boot or a worker ended with an error. It restarts automatically; the log lines before show the "
            "cause.",
            namespace=ours,
            metric="Fatal",
        ),
        Alarm(
            part="finder-failed",
            text="The finder's last runs failed: a listing or the ledger did not answer. Nothing was changed. The "
            "log shows what failed; the next run resumes or repeats this one.",
            namespace=ours,
            metric="FinderFailed",
            period=period,
            periods=2,
        ),
        Alarm(
            part="finder-late",
            text="The finder has not finished a run for three intervals. Check its task's stopped reason and its "
            "log group.",
            namespace=ours,
            metric="FinderRuns",
            comparison=BELOW,
            threshold=1,
            period=period,
            periods=math.ceil(3 * max(interval, 300) / period),
            missing="breaching",
        ),
        Alarm(
            part="no-events",
            text="The finder has found changes of this side for which no event has come: the bucket's notifications "
            "or the queue's policy were changed. Until `pulumi up --refresh` restores them, changes arrive with the "
            "finder's runs only.",
            namespace=ours,
            metric="MissedEvents",
            period=period,
        ),
        Alarm(
            part="held-deletions",
            text="A finder run found more deletions than a limit allows and holds all of them. `dualsync deletions "
            "list` shows them; `approve` or `reject` decides.",
            namespace=ours,
            metric="HeldDeletions",
            period=period,
        ),
        Alarm(
            part="many-deletions",
            text=f"Workers have deleted more than {watch.deletions} objects within five minutes. If they are not "
            f"intended: `dualsync pause {side} --wait` stops them, `dualsync deletions reject` restores what "
            "is left on one side. Objects deleted on both sides can only be restored from versions (runbook: "
            "many-deletions).",
            namespace=ours,
            metric="DeletedObjects",
            threshold=watch.deletions,
        ),
        Alarm(
            part="many-conflicts",
            text=f"More than {watch.conflicts} keys were written on both sides at once within five minutes. The "
            "newest version (or the preferred side's) has won: `dualsync conflicts list` shows the others, "
            "`undo` restores one.",
            namespace=ours,
            metric="Conflicts",
            threshold=watch.conflicts,
        ),
    ]
    # A fleet that scales to zero has neither instances nor reports then; the oldest message shows when it should have.
    fleet = context.local.fleet
    resting = {"no-instance", "no-worker"} if fleet.min_capacity == 0 or not fleet.enabled else set()
    # Nothing runs and messages wait on purpose.
    resting |= set() if fleet.enabled else {"finder-late", "oldest-message"}
    unwanted = {
        part for part, most in (("many-deletions", watch.deletions), ("many-conflicts", watch.conflicts)) if not most
    }
    if context.pair.events is Events.NO:
        unwanted.add("no-events")
    return [alarm for alarm in found if alarm.part not in resting | unwanted]


def register(
    context: SideContext, wanted: Sequence[Alarm], topic_arn: pulumi.Input[str], parent: pulumi.Resource
) -> dict[str, aws.cloudwatch.MetricAlarm]:
    """Create the alarms and return them by part. The topic receives their begin and end."""
    return {alarm.part: _one(context, alarm, topic_arn, parent) for alarm in wanted}


def _one(
    context: SideContext, alarm: Alarm, topic_arn: pulumi.Input[str], parent: pulumi.Resource
) -> aws.cloudwatch.MetricAlarm:
    name = context.names.of(alarm.part)
    percentile = alarm.statistic.startswith("p")
    return aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        name=name,
        alarm_description=alarm.text,
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
