"""Seeded violations that connect the wrong user, key or queue, made from what the program has registered."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.unit.policy.seeding import Seen, at, tags


def mixed_up_secret(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    wrong = seen("User", "dth-dual-cn-user").unique_id
    props["secret_string"] = pulumi.Output.all(props["secret_string"], wrong).apply(
        lambda v: json.dumps({**json.loads(v[0]), "user_id": v[1]})
    )


def own_key(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    user, key = seen("User", "dth-dual-cn-user"), seen("AccessKey", "dth-dual-cn-key")
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def second_user(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    opts = at(seen, "global")
    marks = {**tags(), "dualsync:side": "global"}
    user = aws.iam.User("dth-dual-global-second", name="dth-dual-global-second", tags=marks, opts=opts)
    key = aws.iam.AccessKey("dth-dual-global-second-key", user=user.name, opts=opts)
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def swapped_finder(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    own, other = seen("User", "dth-dual-global-user").unique_id, seen("User", "dth-dual-cn-user").unique_id
    props["container_definitions"] = pulumi.Output.all(props["container_definitions"], own, other).apply(
        lambda v: v[0].replace(v[1], v[2])
    )


def foreign_queue(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    props["queueArn"] = seen("Queue", "dth-dual-cn-queue").arn
