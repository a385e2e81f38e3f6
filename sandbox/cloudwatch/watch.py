"""Samples the queues and groups of a sandbox, reads the log lines, and evaluates the deployed alarms."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.service.heartbeat import LOG_INTERVAL_SECONDS
from dualsync.runtime.settings import SideName
from sandbox.cloudwatch.alarms import AlarmState, Verdict, judge
from sandbox.cloudwatch.metrics import Metric, Readings, derived
from sandbox.environment.environment import Stage

EVERY = 1.0
"""Interval between two samples, in seconds."""

PUBLISHED_EVERY = 5.0
"""Interval at which the oldest message's age is published as a metric, which `dualsync status` reads."""

LASTING = 1800.0
"""Seconds ahead for which `raised(lasting=True)` evaluates: longer than the period of all alarms but the finder's."""

NOT_FOR_PEOPLE = ("scale-out", "scale-in", "wake")
"""Endings of the names of alarms that control the Auto Scaling group."""

_AGE = "ApproximateAgeOfOldestMessage"


@dataclass
class Watch:
    """Samples from `start` to `stop`; `readings` returns the result."""

    stage: Stage
    """The sandbox."""

    _sampled: Readings = field(default_factory=Readings)
    """Readings of the thread."""
    _filled: dict[str, float] = field(default_factory=dict)
    """Time since which each queue has held a message."""
    _stop: threading.Event = field(default_factory=threading.Event)
    """Ends the thread."""
    _thread: threading.Thread | None = None
    """Reads the queues; None before the start."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while `_sampled` is read or changed."""

    def start(self) -> None:
        """Start a thread that samples once per second."""
        self._clients = {
            (side, service): self.stage.cloud.client(side, service)
            for side in SideName
            for service in ("sqs", "autoscaling", "cloudwatch", "logs")
        }
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling. Does nothing after the first call."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        published = 0.0
        while not self._stop.wait(EVERY):
            now = time.time()
            publish = now - published >= PUBLISHED_EVERY
            published = now if publish else published
            for side, outputs in self.stage.fleet.outputs.items():
                self._queues(side, outputs, now, publish)
                self._group(side, outputs, now)

    def _queues(self, side: SideName, outputs: Any, now: float, publish: bool) -> None:
        for url in (outputs["queueUrl"], outputs["deadLetterQueueUrl"]):
            answer = self._clients[side, "sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            counts = {name: int(value) for name, value in answer["Attributes"].items() if name.startswith(_COUNT)}
            name = url.rsplit("/", 1)[-1]
            # moto has no age of messages. It is at most the time since the queue was last empty.
            since = self._filled.setdefault(name, now) if sum(counts.values()) else now
            if not sum(counts.values()):
                self._filled.pop(name, None)
            dimensions = (("QueueName", name),)
            with self._lock:
                for source, metric in _QUEUE_METRICS.items():
                    self._sampled.add(Metric("AWS/SQS", metric, dimensions), now, counts[source])
                self._sampled.add(Metric("AWS/SQS", _AGE, dimensions), now, now - since)
            if publish and url == outputs["queueUrl"]:
                self._clients[side, "cloudwatch"].put_metric_data(
                    Namespace="AWS/SQS",
                    MetricData=[
                        {
                            "MetricName": _AGE,
                            "Dimensions": [{"Name": "QueueName", "Value": name}],
                            "Value": now - since,
                        }
                    ],
                )

    def _group(self, side: SideName, outputs: Any, now: float) -> None:
        name = outputs["workerGroup"]
        answer = self._clients[side, "autoscaling"].describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        group = answer["AutoScalingGroups"][0]
        serving = sum(instance["LifecycleState"] == "InService" for instance in group["Instances"])
        dimensions = (("AutoScalingGroupName", name),)
        with self._lock:
            for metric, value in (
                ("GroupInServiceInstances", serving),
                ("GroupDesiredCapacity", group["DesiredCapacity"]),
            ):
                self._sampled.add(Metric("AWS/AutoScaling", metric, dimensions), now, value)

    def readings(
        self, side: SideName, more: Readings | None = None, lines: list[dict[str, Any]] | None = None
    ) -> Readings:
        """Return the measurements of a side so far, with assumed further readings (`more`) and log lines (`lines`)."""
        outputs = self.stage.fleet.outputs[side]
        groups = {f"worker-{side}": outputs["workerLogGroup"], f"finder-{side}": outputs["finderLogGroup"]}
        logged: dict[str, list[tuple[float, Any]]] = {group: [] for group in groups.values()}
        for line in [*self.stage.fleet.journal.every(), *(lines or ())]:
            if line["process"] in groups:
                logged[groups[line["process"]]].append((line["received_at"], line))
        found = derived(self._filters(side, groups.values()), logged)
        with self._lock:
            for metric, points in (more or self._sampled).points.items():
                found.points[metric] = list(points)
        return found

    def _filters(self, side: SideName, groups: Any) -> Iterator[Any]:
        logs = self._clients[side, "logs"]
        for group in groups:
            yield from logs.describe_metric_filters(logGroupName=group)["metricFilters"]

    def alarms(self, side: SideName) -> list[dict[str, Any]]:
        """Return the side's deployed alarms for operators, in the form of DescribeAlarms."""
        found: list[dict[str, Any]] = self._clients[side, "cloudwatch"].describe_alarms()["MetricAlarms"]
        return [alarm for alarm in found if not alarm["AlarmName"].endswith(NOT_FOR_PEOPLE)]

    def raised(self, lasting: bool = False) -> list[Verdict]:
        """Return the alarms that are in ALARM now or, with `lasting`, in half an hour if nothing changes.

        The assumption of `lasting`: running workers log their last state once per minute, ended ones log nothing;
        queues keep their messages, which grow older.
        """
        now = time.time()
        found = []
        for side in SideName:
            lines = self._assumed_lines(side, now) if lasting else None
            readings = self.readings(side, self._grown(now) if lasting else None, lines)
            at = now + LASTING if lasting else now
            verdicts = [judge(alarm, readings, at) for alarm in self.alarms(side)]
            found += [verdict for verdict in verdicts if verdict.state is AlarmState.ALARM]
        return found

    def _assumed_lines(self, side: SideName, now: float) -> list[dict[str, Any]]:
        running = self.stage.fleet.workers.get(side)
        if running is None or running.process.poll() is not None:
            return []
        states = list(self.stage.fleet.journal.lines("state", process=running.name))
        last = states[-1] if states and states[-1]["state"] != State.STOPPED else None
        times = range(int(LOG_INTERVAL_SECONDS), int(LASTING) + 1, int(LOG_INTERVAL_SECONDS))
        return [{**last, "received_at": now + seconds} for seconds in times] if last else []

    def _grown(self, now: float) -> Readings:
        with self._lock:
            grown = self._sampled.copy()
        for metric, points in grown.points.items():
            _, last = points[-1]
            ages = metric.name == _AGE and last > 0
            points += [(now + t, last + t if ages else last) for t in range(60, int(LASTING) + 1, 60)]
        return grown


_COUNT = "ApproximateNumberOfMessages"
_QUEUE_METRICS = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}
"""SQS's attributes and the metrics of the same meaning (Amazon SQS Developer Guide, "Available CloudWatch metrics")."""
