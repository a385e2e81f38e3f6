"""Scale the fleet with its backlog: in steps by visible and in-flight messages, and to the minimum when idle."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext

Step = aws.autoscaling.PolicyStepAdjustmentArgs
Query = aws.cloudwatch.MetricAlarmMetricQueryArgs

WARM_UP_SECONDS = 120
"""Seconds from launch until an instance counts; also the group's cool-down. Boot takes less."""

STEPS: tuple[tuple[int, int], ...] = ((100, 1), (500, 2), (2000, 5), (10000, 10))
"""(backlog from which, instances to add)."""

IDLE_MINUTES = 5
"""Minutes without any message after which the fleet goes back to its minimum."""


def step_adjustments() -> list[Step]:
    """Return `STEPS` with bounds relative to the alarm's threshold, which is the first step's."""
    first = STEPS[0][0]
    steps: list[Step] = []
    for (start, add), following in zip(STEPS, (*STEPS[1:], None), strict=True):
        steps.append(
            Step(
                scaling_adjustment=add,
                metric_interval_lower_bound=str(start - first),
                metric_interval_upper_bound=str(following[0] - first) if following else None,
            )
        )
    return steps


def backlog(context: SideContext, queue_name: pulumi.Input[str]) -> list[Query]:
    """Return metric queries for visible plus in-flight messages; 0 while a circuit is open or a worker paused.

    While the peer is unreachable, more workers would only wait. The metric has a 0 for every minute with any log line
    (its filter's default value), so it exists whenever a worker does.
    """
    queue = {"namespace": "AWS/SQS", "stat": "Maximum", "dimensions": {"QueueName": queue_name}}
    return [
        _metric("visible", {**queue, "metric_name": "ApproximateNumberOfMessagesVisible"}),
        _metric("inflight", {**queue, "metric_name": "ApproximateNumberOfMessagesNotVisible"}),
        _metric("waiting", {"namespace": context.names.metrics, "metric_name": "NotReceiving", "stat": "Sum"}),
        _result("Backlog", f"IF({_filled('waiting')} > 0, 0, visible + inflight)"),
    ]


def unattended(queue_name: pulumi.Input[str], group_name: pulumi.Input[str]) -> list[Query]:
    """Return metric queries for the number of messages that wait while there is no instance."""
    queue = {"namespace": "AWS/SQS", "stat": "Maximum", "dimensions": {"QueueName": queue_name}}
    group = {"namespace": "AWS/AutoScaling", "stat": "Maximum", "dimensions": {"AutoScalingGroupName": group_name}}
    return [
        _metric("visible", {**queue, "metric_name": "ApproximateNumberOfMessagesVisible"}),
        _metric("instances", {**group, "metric_name": "GroupDesiredCapacity"}),
        _result("Unattended", f"IF({_filled('instances')} < 1, visible, 0)"),
    ]


def _filled(id_: str) -> str:
    """Return a metric with its last value repeated, and 0 only where it never had one.

    Metrics arrive one or two minutes late. Filled with 0 alone, the newest minute would always be 0, and an alarm on it
    would be wrong (CloudWatch User Guide, Using metric math: FILL).
    """
    return f"FILL(FILL({id_}, REPEAT), 0)"


def _result(label: str, expression: str) -> Query:
    return Query(id="result", label=label, expression=expression, return_data=True)


def _metric(id_: str, metric: dict[str, Any]) -> Query:
    return Query(id=id_, return_data=False, metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(period=60, **metric))


def scale(
    context: SideContext,
    queue_name: pulumi.Input[str],
    group_name: pulumi.Input[str],
    minimum: int,
    parent: pulumi.Resource,
) -> None:
    """Create scaling policies and their alarms."""
    if minimum == 0:
        wake = Step(scaling_adjustment=1, metric_interval_lower_bound="0")
        _alarm(
            context,
            "wake",
            unattended(queue_name, group_name),
            _policy(context, "wake", group_name, "ChangeInCapacity", [wake], parent),
            parent,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            alarm_description="Messages wait and there is no worker: one is started. No action is needed.",
        )
    out = _policy(context, "scale-out", group_name, "ChangeInCapacity", step_adjustments(), parent)
    _alarm(
        context,
        "scale-out",
        backlog(context, queue_name),
        out,
        parent,
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=STEPS[0][0],
        evaluation_periods=1,
        treat_missing_data="notBreaching",
        alarm_description=f"{STEPS[0][0]} or more messages wait or are in flight: workers start. No action is needed.",
    )
    back = [Step(scaling_adjustment=minimum, metric_interval_upper_bound="0")]
    in_ = _policy(context, "scale-in", group_name, "ExactCapacity", back, parent)
    _alarm(
        context,
        "scale-in",
        backlog(context, queue_name),
        in_,
        parent,
        comparison_operator="LessThanOrEqualToThreshold",
        threshold=0,
        evaluation_periods=IDLE_MINUTES,
        treat_missing_data="ignore",
        alarm_description="The queue is empty: the fleet returns to minCapacity. Its usual state is ALARM.",
    )


def _policy(
    context: SideContext,
    part: str,
    group_name: pulumi.Input[str],
    kind: str,
    steps: list[Step],
    parent: pulumi.Resource,
) -> aws.autoscaling.Policy:
    name = context.names.of(part)
    return aws.autoscaling.Policy(
        name,
        name=name,
        autoscaling_group_name=group_name,
        policy_type="StepScaling",
        adjustment_type=kind,
        metric_aggregation_type="Maximum",
        estimated_instance_warmup=WARM_UP_SECONDS,
        step_adjustments=steps,
        opts=context.options(parent),
    )


def _alarm(
    context: SideContext,
    part: str,
    queries: list[Query],
    policy: aws.autoscaling.Policy,
    parent: pulumi.Resource,
    **settings: Any,
) -> None:
    name = context.names.of(part)
    aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        name=name,
        metric_queries=queries,
        alarm_actions=[policy.arn],
        tags=context.tags(part),
        opts=context.options(parent),
        **settings,
    )
