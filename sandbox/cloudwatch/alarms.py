"""Evaluates a deployed alarm on readings.

Source: Amazon CloudWatch User Guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data".
An evaluation here uses the periods that end at that moment; CloudWatch also fills gaps with a few older points.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.cloudwatch.metrics import Metric, Readings

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class AlarmState(StrEnum):
    """States of an alarm, as CloudWatch names them."""

    OK = "OK"
    """The metric is within its limit."""
    ALARM = "ALARM"
    """The metric is beyond its limit."""
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    """The metric has too few readings."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of an alarm with its description."""

    name: str
    """Name of the alarm."""

    state: AlarmState
    """Its state."""

    description: str
    """Description, which the notification contains."""


def judge(alarm: Mapping[str, Any], readings: Readings, now: float) -> Verdict:
    """Evaluate an alarm (in the form of DescribeAlarms) at `now`."""
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    metric = Metric(
        alarm["Namespace"],
        alarm["MetricName"],
        tuple(sorted((d["Name"], d["Value"]) for d in alarm.get("Dimensions", ()))),
    )
    name = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    period, threshold = float(alarm["Period"]), float(alarm["Threshold"])
    treat = alarm.get("TreatMissingData", "missing")
    breaching = missing = 0
    for number in range(int(alarm["EvaluationPeriods"])):
        end = now - number * period
        value = readings.statistic(metric, name, end - period, end)
        if value is None:
            missing += 1
            breaching += treat == "breaching"
        else:
            breaching += compare(value, threshold)
    needed = int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
    state = AlarmState.ALARM if breaching >= needed else AlarmState.OK
    if missing == alarm["EvaluationPeriods"] and treat in ("missing", "ignore"):
        state = AlarmState.INSUFFICIENT_DATA
    return Verdict(alarm["AlarmName"], state, alarm.get("AlarmDescription", ""))
