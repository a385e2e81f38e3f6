"""Seeded violations of the wiring: a user, key, queue or bucket that belongs to another side."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.unit.policy.seeding import Registered, Seed, at, put, registered, tags, user_data, variable

BUCKET_CN = "dth-dual-dev-cn-north-1"
TEMPLATE: dict[str, Any] = {"kind": "LaunchTemplate", "name": "dth-dual-global-worker-template"}


def mixed_up_secret(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
    wrong = seen("User", "dth-dual-cn-user").unique_id
    props["secret_string"] = pulumi.Output.all(props["secret_string"], wrong).apply(
        lambda v: json.dumps({**json.loads(v[0]), "user_id": v[1]})
    )


def own_key(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
    user, key = seen("User", "dth-dual-cn-user"), seen("AccessKey", "dth-dual-cn-key")
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def second_user(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
    opts = at(seen, "global")
    marks = {**tags(), "dualsync:side": "global"}
    user = aws.iam.User("dth-dual-global-second", name="dth-dual-global-second", tags=marks, opts=opts)
    key = aws.iam.AccessKey("dth-dual-global-second-key", user=user.name, opts=opts)
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def swapped_finder(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
    own, other = seen("User", "dth-dual-global-user").unique_id, seen("User", "dth-dual-cn-user").unique_id
    props["container_definitions"] = pulumi.Output.all(props["container_definitions"], own, other).apply(
        lambda v: v[0].replace(v[1], v[2])
    )


def foreign_queue(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
    props["queueArn"] = seen("Queue", "dth-dual-cn-queue").arn


SEEDS = (
    Seed(
        "worker-suppresses-the-peers-user",
        "guard-knows-own-user",
        **TEMPLATE,
        change=user_data(
            lambda script, ids: script.replace(ids["dth-dual-global-user"], ids["dth-dual-cn-user"]),
            "dth-dual-global-user",
            "dth-dual-cn-user",
        ),
    ),
    Seed(
        "finder-suppresses-the-peers-user",
        "guard-knows-own-user",
        kind="TaskDefinition",
        name="dth-dual-global-finder",
        change=swapped_finder,
    ),
    Seed(
        "worker-suppresses-no-user",
        "guard-knows-own-user",
        **TEMPLATE,
        change=user_data(variable("DUALSYNC_OWN_USER_IDS", "")),
        known_later=True,
    ),
    Seed(
        "id-beside-the-key-is-anothers",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=mixed_up_secret,
    ),
    Seed(
        "own-key-in-own-account",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=own_key,
    ),
    Seed(
        "key-of-a-user-that-is-not-suppressed",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=second_user,
        besides=(
            ("nothing-besides", "dth-dual-global-user"),
            ("nothing-besides", "dth-dual-global-key"),
            ("nothing-besides", "dth-dual-global-second"),
            ("nothing-besides", "dth-dual-global-second-key"),
        ),
    ),
    Seed(
        "whole-notification-document",
        "notifications-kept",
        at="dth-dual-cn-seeded-notification",
        extra=lambda seen: registered(
            aws.s3.BucketNotification(
                "dth-dual-cn-seeded-notification", bucket=BUCKET_CN, eventbridge=True, opts=at(seen)
            )
        ),
        # The local cloud has no such resource, and should have none.
        engine=False,
    ),
    Seed(
        "entry-without-id",
        "notifications-kept",
        kind="BucketSubscription",
        name="dth-dual-cn-events",
        change=put(notificationId=""),
        engine=False,
    ),
    Seed(
        "events-to-the-other-sides-queue",
        "events-to-own-queue",
        kind="BucketSubscription",
        name="dth-dual-global-events",
        change=foreign_queue,
    ),
    Seed(
        "deletions-without-expiry",
        "expiry-told-apart",
        kind="BucketSubscription",
        name="dth-dual-global-events",
        change=put(events=["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]),
    ),
    Seed(
        "data-bucket-configured",
        "data-buckets-adopted",
        at="dth-dual-cn-seeded-versioning",
        also=("joined-to-own-parts",),
        extra=lambda seen: registered(
            aws.s3.BucketVersioning(
                "dth-dual-cn-seeded-versioning",
                bucket=BUCKET_CN,
                versioning_configuration={"status": "Enabled"},
                opts=at(seen),
            )
        ),
    ),
)
