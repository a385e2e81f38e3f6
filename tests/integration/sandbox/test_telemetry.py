"""Test the emulated CloudWatch: filter patterns, metrics from log lines, alarms."""

from __future__ import annotations

from typing import Any

import pytest

from dualsync.components.monitoring.metrics import METRICS
from sandbox.cloudwatch.alarms import AlarmState, judge
from sandbox.cloudwatch.filter_patterns import compile_pattern, value_at
from sandbox.cloudwatch.metrics import Metric, Readings, derived, statistic

LINE = {"event": "outcome", "outcome": "copied", "bytes": 12, "conflict": True, "deep": {"er": None}}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.event = "outcome" }', True),
        ('{ ($.event = "outcome") && ($.outcome = "deleted") }', False),
        ('{ ($.event = "outcome") && (($.outcome = "deleted") || ($.outcome = "copied")) }', True),
        ('{ $.event = "state" || $.event = "outcome" && $.outcome = "copied" }', True),
        ("{ ($.conflict IS TRUE) }", True),
        ("{ $.conflict IS FALSE }", False),
        ("{ $.deep.er IS NULL }", True),
        ("{ $.deep.est NOT EXISTS }", True),
        ("{ $.bytes > 11 && $.bytes <= 12.0 }", True),
        ("{ $.bytes = 12 }", True),
        ("{ $.bytes != 12 }", False),
        ('{ $.outcome = "cop*" }', True),
        ('{ $.outcome = "c?pied" }', False),
        ('{ $.missing = "x" }', False),
        ('{ $.missing != "x" }', False),
        ("{ $.event > 3 }", False),
    ],
)
def test_a_pattern_is_parsed_as_by_cloudwatch_logs(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(LINE) is matches


@pytest.mark.parametrize("pattern", ["ERROR", "{ $.a }", '{ $.a = "b"', "{ $.a[0] = 1 }", "{ $.a = %b% }"])
def test_an_unsupported_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="filter pattern"):
        compile_pattern(pattern)


def test_every_filter_of_the_program_is_supported() -> None:
    for metric in METRICS:
        compile_pattern(metric.pattern)


def test_values_are_read_from_nested_fields() -> None:
    assert value_at(LINE, "$.bytes") == 12
    assert value_at(LINE, "$.deep.none") is None


def test_matching_lines_give_their_value_and_others_the_default() -> None:
    transformation = {"metricNamespace": "ns", "metricName": "Bytes", "metricValue": "$.bytes", "defaultValue": 0.0}
    given = {
        "filterPattern": '{ $.event = "outcome" }',
        "logGroupName": "log",
        "metricTransformations": [transformation],
    }
    lines: dict[str, Any] = {"log": [(1.0, LINE), (2.0, {"event": "state"})], "other": [(3.0, LINE)]}
    assert derived([given], lines).points == {Metric("ns", "Bytes"): [(1.0, 12.0), (2.0, 0.0)]}
    transformation.pop("defaultValue")
    assert derived([given], lines).points == {Metric("ns", "Bytes"): [(1.0, 12.0)]}


def test_statistics_are_computed_as_by_cloudwatch() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [statistic(values, n) for n in ("Sum", "Average", "Minimum", "Maximum", "SampleCount")] == [
        5050,
        50.5,
        1,
        100,
        100,
    ]
    assert (statistic(values, "p50"), statistic(values, "p99"), statistic([7.0], "p99")) == (51, 100, 7)


ALARM = {
    "AlarmName": "a",
    "Namespace": "ns",
    "MetricName": "M",
    "Statistic": "Sum",
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0.0,
    "Period": 300,
    "EvaluationPeriods": 3,
}


def of(*times: float, value: float = 1.0) -> Readings:
    readings = Readings()
    for time in times:
        readings.add(Metric("ns", "M"), time, value)
    return readings


@pytest.mark.parametrize(
    ("readings", "changes", "state"),
    [
        (of(50, 350, 650), {}, AlarmState.ALARM),
        (of(50, 650), {"TreatMissingData": "notBreaching"}, AlarmState.OK),
        (of(50, 650), {"TreatMissingData": "breaching"}, AlarmState.ALARM),
        (of(50, 650), {"DatapointsToAlarm": 2}, AlarmState.ALARM),
        (of(50, 350, 650, value=0.0), {}, AlarmState.OK),
        (of(), {}, AlarmState.INSUFFICIENT_DATA),
        (of(), {"TreatMissingData": "breaching"}, AlarmState.ALARM),
        (of(), {"TreatMissingData": "notBreaching"}, AlarmState.OK),
        (of(50, 350, 650), {"ComparisonOperator": "LessThanThreshold", "Threshold": 1.0}, AlarmState.OK),
        (of(50, 350, 650), {"Statistic": None, "ExtendedStatistic": "p99", "Threshold": 0.5}, AlarmState.ALARM),
        (of(50, 350, 650), {"Dimensions": [{"Name": "QueueName", "Value": "q"}]}, AlarmState.INSUFFICIENT_DATA),
    ],
)
def test_an_alarm_is_evaluated_by_its_definition(
    readings: Readings, changes: dict[str, Any], state: AlarmState
) -> None:
    assert judge({**ALARM, **changes}, readings, 900.0).state is state
