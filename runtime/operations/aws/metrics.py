"""What a side's services count, read with whatever permissions the operator has."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.aws.secrets_manager import parse, text_of
from dualsync.runtime.errors import CredentialRejectedError, DualSyncError
from dualsync.runtime.operations.aws.dead_letter_queue import depth_of
from dualsync.runtime.operations.context import AccessKey, Depth, ExpectedUser
from dualsync.runtime.operations.stacks import Stack

T = TypeVar("T")

MAX_POINTS = 1440
"""Points of one answer (CloudWatch API Reference, GetMetricStatistics)."""

AGE_MINUTES = 10
"""How far back a queue's age is asked for; CloudWatch gets it every minute."""


class AwsSideMetrics:
    """`dualsync.runtime.operations.context.SideMetrics` over boto3. `client` makes one for a service."""

    def __init__(self, stack: Stack, client: Callable[[str], Any], threads: Threads) -> None:
        self._stack = stack
        self._client = client
        self._threads = threads

    async def queue_depth(self) -> Depth:
        return await depth_of(self._client("sqs"), self._stack.settings.queue_url, self._threads)

    async def dead_letter_depth(self) -> Depth:
        return await depth_of(self._client("sqs"), self._stack.settings.dead_letter_queue_url, self._threads)

    async def oldest_age(self) -> float | None:
        name = self._stack.settings.queue_url.rsplit("/", 1)[-1]
        now = datetime.now(UTC)
        answer = await self._try(
            "cloudwatch",
            "get_metric_statistics",
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": name}],
            StartTime=now - timedelta(minutes=AGE_MINUTES),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
        points: Sequence[Mapping[str, Any]] = answer.get("Datapoints", ()) if answer else ()
        return float(max(points, key=lambda p: p["Timestamp"])["Maximum"]) if points else None

    async def group_sizes(self) -> tuple[int, int] | None:
        name = self._stack.fact("workerGroup")
        if not name:
            return None
        answer = await self._try("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
        if not answer or not answer["AutoScalingGroups"]:
            return None
        group = answer["AutoScalingGroups"][0]
        return group["DesiredCapacity"], sum(i["LifecycleState"] == "InService" for i in group.get("Instances", ()))

    async def access_keys(self) -> Sequence[AccessKey] | None:
        if self._stack.fact("roleArn"):
            return ()
        answer = await self._try("iam", "list_access_keys", UserName=self._stack.fact("userName"))
        if answer is None:
            return None
        return [
            AccessKey(item["AccessKeyId"], int(item["CreateDate"].timestamp()), item["Status"] == "Active")
            for item in answer["AccessKeyMetadata"]
        ]

    async def expected_user(self) -> ExpectedUser | None:
        answer = await self._try("secretsmanager", "get_secret_value", SecretId=self._stack.settings.peer_secret)
        if not answer:
            return None
        try:
            secret = parse(self._stack.settings.peer_secret, text_of(answer))
        except CredentialRejectedError as e:
            return ExpectedUser("", "", str(e))
        problem = "" if secret.user_id else "it names no user_id, so that the guard cannot check whose key it is"
        return ExpectedUser(secret.access_key_id, secret.user_id, problem, secret.role_arn)

    async def metric_sums(self, metrics: Sequence[str], since: float, until: float) -> Mapping[str, float] | None:
        namespace = self._stack.fact("metrics")
        if not namespace:
            return None
        # No point is in the future, and none is older than this.
        now = datetime.now(UTC).timestamp()
        until = min(until, now)
        since = max(since, until - MAX_POINTS * 86400)
        if since >= until:
            return dict.fromkeys(metrics, 0.0)

        async def sum_of(metric: str) -> float | None:
            answer = await self._try(
                "cloudwatch",
                "get_metric_statistics",
                Namespace=namespace,
                MetricName=metric,
                StartTime=datetime.fromtimestamp(since, UTC),
                EndTime=datetime.fromtimestamp(until, UTC),
                Period=period_of(since, until, now),
                Statistics=["Sum"],
            )
            return None if answer is None else sum(float(point["Sum"]) for point in answer.get("Datapoints", ()))

        found = await asyncio.gather(*(sum_of(metric) for metric in metrics))
        if any(value is None for value in found):
            return None
        return {metric: value or 0.0 for metric, value in zip(metrics, found, strict=True)}

    async def delete_key(self, id: str) -> None:
        client = self._client("iam")
        user = self._stack.fact("userName")
        await self._threads.call_service("iam", user, client.delete_access_key, UserName=user, AccessKeyId=id)

    async def _try(self, service: str, method: str, **given: Any) -> Any:
        async def ask() -> Any:
            client = self._client(service)
            return await self._threads.call_service(service, method, getattr(client, method), **given)

        return await _or_none(ask)


def period_of(since: float, until: float, now: float) -> int:
    """Return the shortest period in seconds that CloudWatch has for such a range.

    One answer has at most 1,440 points. Points of a minute are kept for 15 days, of 5 minutes for 63 days, of an hour
    for 455 days (CloudWatch API Reference, GetMetricStatistics).
    """
    age, range_seconds = now - since, until - since
    for period, kept in ((60, 15 * 86400), (300, 63 * 86400), (3600, math.inf)):
        if age < kept and range_seconds <= period * MAX_POINTS:
            return period
    return 86400


async def _or_none(ask: Callable[[], Awaitable[T]]) -> T | None:
    try:
        return await ask()
    except DualSyncError:
        return None
