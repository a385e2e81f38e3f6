"""What a side's services count, read with whatever permissions the operator has."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.operations.aws.dead_letter_queue import depth_of
from dualsync.runtime.operations.context import AccessKey, Depth, ExpectedUser
from dualsync.runtime.operations.stacks import Stack

T = TypeVar("T")

AGE_MINUTES = 10
"""How far back a queue's age is asked for; CloudWatch gets it every minute."""


class AwsSideMetrics:
    """`dualsync.runtime.operations.context.Meters` over boto3. `client` makes one for a service."""

    def __init__(self, stack: Stack, client: Callable[[str], Any], threads: Threads) -> None:
        self._stack = stack
        self._client = client
        self._threads = threads

    async def depth(self) -> Depth:
        return await depth_of(self._client("sqs"), self._stack.settings.queue_url, self._threads)

    async def dead(self) -> Depth:
        return await depth_of(self._client("sqs"), self._stack.settings.dead_letter_queue_url, self._threads)

    async def oldest(self) -> float | None:
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

    async def group(self) -> tuple[int, int] | None:
        name = self._stack.fact("workerGroup")
        if not name:
            return None
        answer = await self._try("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
        if not answer or not answer["AutoScalingGroups"]:
            return None
        group = answer["AutoScalingGroups"][0]
        return group["DesiredCapacity"], sum(i["LifecycleState"] == "InService" for i in group.get("Instances", ()))

    async def keys(self) -> Sequence[AccessKey] | None:
        answer = await self._try("iam", "list_access_keys", UserName=self._stack.fact("userName"))
        if answer is None:
            return None
        return [
            AccessKey(item["AccessKeyId"], int(item["CreateDate"].timestamp()), item["Status"] == "Active")
            for item in answer["AccessKeyMetadata"]
        ]

    async def promise(self) -> ExpectedUser | None:
        answer = await self._try("secretsmanager", "get_secret_value", SecretId=self._stack.settings.peer_secret)
        try:
            values = json.loads(answer["SecretString"]) if answer else {}
        except (ValueError, KeyError):
            return None
        if not isinstance(values, dict) or not values.get("access_key_id"):
            return None
        return ExpectedUser(str(values["access_key_id"]), str(values.get("user_id") or ""))

    async def _try(self, service: str, method: str, **given: Any) -> Any:
        async def ask() -> Any:
            client = self._client(service)
            return await self._threads.ask(service, method, getattr(client, method), **given)

        return await _or_none(ask)


async def _or_none(ask: Callable[[], Awaitable[T]]) -> T | None:
    try:
        return await ask()
    except DualSyncError:
        return None
