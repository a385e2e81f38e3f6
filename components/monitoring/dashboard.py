"""Write the side's dashboard: the guide's eight widgets under their names there, then further ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 24
HEIGHT = 6

Line = tuple[str, str, str]
"""(metric, statistic, label)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Names of what the dashboard shows."""

    region: str
    """Region of the metrics."""
    namespace: str
    """Namespace of the side's own metrics."""
    direction: str
    """Direction of synchronisation, as `cn->global`."""
    queue: str
    """The queue."""
    dead_letter_queue: str
    """The dead-letter queue."""
    group: str
    """The Auto Scaling group."""
    worker_log: str
    """Log group of the workers."""
    finder_log: str
    """Log group of the finder."""
    alarm_arns: Sequence[str]
    """The alarms."""


def body(shown: Shown) -> dict[str, Any]:
    """Return the dashboard's body (CloudWatch API: Dashboard Body Structure and Syntax)."""
    return {"start": "-PT3H", "periodOverride": "inherit", "widgets": _place([*_guides(shown), *_ours(shown)])}


def _guides(shown: Shown) -> list[dict[str, Any]]:
    queue = ("AWS/SQS", ["QueueName", shown.queue])
    group = ["AutoScalingGroupName", shown.group]
    running: list[Line] = [
        ("ApproximateNumberOfMessagesNotVisible", "Maximum", "Running"),
        ("ApproximateNumberOfMessagesVisible", "Maximum", "Waiting"),
    ]
    return [
        _graph(shown, "Network", _lines(shown.namespace, [], [("CompletedBytes", "Sum", "CompletedBytes")])),
        _graph(
            shown,
            "Transferred/Failed Objects",
            _lines(
                shown.namespace,
                [],
                [
                    ("TransferredObjects", "Sum", "Transferred"),
                    ("FailedObjects", "Sum", "Failed"),
                    ("DeletedObjects", "Sum", "Deleted"),
                ],
            ),
        ),
        _graph(shown, "Running/Waiting Jobs History", _lines(*queue, running)),
        _graph(shown, "Running/Waiting Jobs", _lines(*queue, running), view="singleValue"),
        _graph(
            shown,
            "Network In/Out",
            _lines("AWS/EC2", group, [("NetworkIn", "Sum", "In"), ("NetworkOut", "Sum", "Out")]),
        ),
        _graph(
            shown,
            "CPU Utilization",
            _lines("AWS/EC2", group, [("CPUUtilization", "Average", "Average"), ("CPUUtilization", "Maximum", "Max")]),
        ),
        _graph(
            shown,
            "Memory / Disk",
            _lines(
                shown.namespace,
                group,
                [("mem_used_percent", "Maximum", "Memory"), ("disk_used_percent", "Maximum", "Disk")],
            ),
        ),
        _graph(
            shown,
            "Desired / InService Instances",
            _lines(
                "AWS/AutoScaling",
                group,
                [
                    ("GroupDesiredCapacity", "Average", "Desired"),
                    ("GroupInServiceInstances", "Average", "InService"),
                ],
            ),
        ),
    ]


def _ours(shown: Shown) -> list[dict[str, Any]]:
    return [
        _lag(shown, "Lag of puts", "PutLag"),
        _lag(shown, "Lag of deletes", "DeleteLag"),
        _graph(
            shown,
            "Oldest message",
            _lines(
                "AWS/SQS",
                ["QueueName", shown.queue],
                [("ApproximateAgeOfOldestMessage", "Maximum", "Seconds")],
            ),
        ),
        _counts(
            shown,
            "Conflicts and echoes suppressed",
            [("Conflicts", "Sum", "Conflicts"), ("EchoesSuppressed", "Sum", "Echoes suppressed")],
        ),
        _counts(
            shown,
            "Finder",
            [
                ("FinderRuns", "Sum", "Runs"),
                ("FinderFailed", "Sum", "Failed"),
                ("FinderQueued", "Sum", "Queued"),
                ("HeldDeletions", "Maximum", "Held deletions"),
            ],
        ),
        _graph(
            shown,
            "Dead letters",
            _lines(
                "AWS/SQS",
                ["QueueName", shown.dead_letter_queue],
                [("ApproximateNumberOfMessagesVisible", "Maximum", "Dead letters")],
            ),
        ),
        _counts(
            shown,
            "Workers' states",
            [
                ("HealthyReports", "Sum", "Alive"),
                ("WaitingForPeer", "Sum", "Waiting for the peer"),
                ("CircuitOpen", "Sum", "Peer down"),
                ("Paused", "Sum", "Paused"),
                ("GuardRefused", "Sum", "Guard refused"),
                ("Fatal", "Sum", "Fatal"),
            ],
        ),
        {
            "type": "alarm",
            "properties": {"title": f"Alarms {shown.direction}", "alarms": list(shown.alarm_arns)},
        },
        {
            "type": "log",
            "width": WIDTH,
            "properties": {
                "title": "Last failures",
                "region": shown.region,
                "view": "table",
                "query": f"SOURCE '{shown.worker_log}' | SOURCE '{shown.finder_log}' "
                "| fields @timestamp, event, outcome, state, key, reason, message "
                "| filter level in ['WARNING', 'ERROR', 'CRITICAL'] "
                "| sort @timestamp desc | limit 20",
            },
        },
    ]


def _lag(shown: Shown, title: str, metric: str) -> dict[str, Any]:
    lines: list[Line] = [(metric, "p50", "Median"), (metric, "p99", "99 %"), (metric, "Maximum", "Longest")]
    return _graph(shown, f"{title} {shown.direction}", _lines(shown.namespace, [], lines), label="Seconds")


def _counts(shown: Shown, title: str, lines: Sequence[Line]) -> dict[str, Any]:
    return _graph(shown, title, _lines(shown.namespace, [], lines), label="Count")


def _lines(namespace: str, dimensions: Sequence[str], lines: Sequence[Line]) -> list[list[Any]]:
    return [[namespace, metric, *dimensions, {"stat": statistic, "label": label}] for metric, statistic, label in lines]


def _graph(
    shown: Shown, title: str, lines: list[list[Any]], *, view: str = "timeSeries", label: str = ""
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": title,
        "region": shown.region,
        "view": view,
        # EC2 reports every five minutes without detailed monitoring.
        "period": 300 if lines[0][0] == "AWS/EC2" else 60,
        "metrics": lines,
    }
    if view == "timeSeries":
        properties["yAxis"] = {"left": {"min": 0, **({"label": label, "showUnits": False} if label else {})}}
    return {"type": "metric", "properties": properties}


def _place(widgets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Place two widgets per row, in order. A widget with a width of its own starts a row."""
    placed: list[dict[str, Any]] = []
    x = y = 0
    for widget in widgets:
        width = widget.get("width", WIDTH // 2)
        if x + width > WIDTH:
            x, y = 0, y + HEIGHT
        placed.append({**widget, "x": x, "y": y, "width": width, "height": HEIGHT})
        x += width
    return placed
