"""Test edge cases of the rules about wiring over hand-made resources: data buckets, loop guard, hand-over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy.plan import UNKNOWN, Resource
from tests.unit.policy.resources import found, resource


def test_a_created_data_bucket_is_found() -> None:
    subscription = resource("dualsync:index:BucketSubscription", "events", bucket="data")
    bucket = resource("aws:s3/bucket:Bucket", "mine", bucket="data")
    other = resource("aws:s3/bucket:Bucket", "artifacts", bucket="dth-dual-cn-artifacts")
    assert found("data-buckets-adopted", subscription, bucket, other) == [
        "mine (aws:s3/bucket:Bucket) manages data bucket data"
    ]


def test_a_data_bucket_is_identified_by_settings_without_a_subscription() -> None:
    finder = resource(
        "aws:ecs/taskDefinition:TaskDefinition",
        containerDefinitions=json.dumps([{"environment": [{"name": "DUALSYNC_LOCAL_BUCKET", "value": "data"}]}]),
    )
    assert found("data-buckets-adopted", finder, resource("aws:s3/bucketPolicy:BucketPolicy", "p", bucket="data"))


def test_the_guard_rule_names_what_is_missing() -> None:
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "worker", userData='DUALSYNC_PAIR="x"\n')
    assert "no dedicated user in this stack" in found("guard-knows-own-user", template)[0]
    # The source of a one-way pair has none, and the direction is known at deployment only.
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "worker", userData=UNKNOWN)
    assert found("guard-knows-own-user", template) == []
    user = resource("aws:iam/user:User", "user", uniqueId=UNKNOWN)
    assert "is not made from user" in found("guard-knows-own-user", template, user)[0]
    wired = resource(
        "aws:ec2/launchTemplate:LaunchTemplate", "worker", userData=UNKNOWN, depends={"userData": ("urn:user",)}
    )
    assert found("guard-knows-own-user", wired, user) == []


def test_former_users_may_follow_the_current_one() -> None:
    user = resource("aws:iam/user:User", "user", uniqueId="AIDANOW")
    script = 'DUALSYNC_OWN_USER_IDS="AIDANOW,AIDABEFORE"'
    assert found("guard-knows-own-user", user, resource("aws:ec2/launchTemplate:LaunchTemplate", userData=script)) == []
    swapped = 'DUALSYNC_OWN_USER_IDS="AIDABEFORE,AIDANOW"'
    wrong = resource("aws:ec2/launchTemplate:LaunchTemplate", "w", userData=swapped)
    assert found("guard-knows-own-user", user, wrong) == [
        "worker w: DUALSYNC_OWN_USER_IDS begins with AIDABEFORE, and user has AIDANOW"
    ]


def hand_over(**content: str) -> Resource:
    return resource("aws:secretsmanager/secretVersion:SecretVersion", "secret", secretString=json.dumps(content))


def test_a_hand_over_from_another_stack_is_complete_and_names_another_user() -> None:
    user = resource("aws:iam/user:User", "user", uniqueId="AIDAOWN")
    whole = {"access_key_id": "AKIAEXAMPLEEXAMPLE12", "secret_access_key": "s3cr3t", "user_id": "AIDAPEER"}
    name = "hand-over-names-suppressed-user"
    assert found(name, user, hand_over(**whole)) == []
    assert found(name, user, hand_over(access_key_id="AKIA")) == ["secret secret lacks secret_access_key, user_id"]
    assert "this side's own user" in found(name, user, hand_over(**{**whole, "user_id": "AIDAOWN"}))[0]
    assert not any("s3cr3t" in text for text in found(name, user, hand_over(**{**whole, "user_id": "AIDAOWN"})))


OTHER_QUEUE = "arn:aws-cn:sqs:cn-north-1:999999999999:theirs"


@pytest.mark.parametrize(
    ("target", "problems"),
    [
        ("arn:aws-cn:sqs:cn-north-1:111122223333:dead", []),
        (OTHER_QUEUE, [f"queue.redrivePolicy is {OTHER_QUEUE}, not a sqs.Queue of this plan"]),
    ],
)
def test_dead_letters_stay_in_the_plan(target: str, problems: list[str]) -> None:
    dead = resource("aws:sqs/queue:Queue", "dead", arn="arn:aws-cn:sqs:cn-north-1:111122223333:dead")
    text = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 5})
    queue = resource("aws:sqs/queue:Queue", "queue", redrivePolicy=text)
    assert found("joined-to-own-parts", dead, queue) == problems


def test_dead_letters_to_a_queue_without_an_arn_yet_are_accepted() -> None:
    dead = resource("aws:sqs/queue:Queue", "dead", arn=UNKNOWN)
    made = {"redrivePolicy": ("urn:dead",)}
    assert (
        found("joined-to-own-parts", dead, resource("aws:sqs/queue:Queue", redrivePolicy=UNKNOWN, depends=made)) == []
    )
    # Not given by the program: at preview the engine marks what the provider fills in.
    assert found("joined-to-own-parts", dead, resource("aws:sqs/queue:Queue", redrivePolicy=UNKNOWN)) == []


MIXED = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification"


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(
    ("latest", "version", "fine"),
    [
        (3, "3", True),
        (3.0, "3", True),
        (3, "$Latest", True),
        (3, UNKNOWN, True),
        (UNKNOWN, "3", True),
        (3, "2", False),
        (3, "$Default", False),
        (3, None, False),
    ],
)
def test_the_fleet_boots_the_templates_latest_version(latest: Any, version: Any, fine: bool, mixed: bool) -> None:
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "worker", id="lt-1", latestVersion=latest)
    if mixed:
        named: dict[str, Any] = {"launchTemplateId": "lt-1", "version": version}
        given: dict[str, Any] = {
            "mixedInstancesPolicy": {"launchTemplate": {"launchTemplateSpecification": named}},
            "depends": {"mixedInstancesPolicy": ("urn:worker",)},
        }
        path = f"{MIXED}.version"
    else:
        given = {"launchTemplate": {"id": "lt-1", "version": version}, "depends": {"launchTemplate": ("urn:worker",)}}
        path = "launchTemplate.version"
    group = resource("aws:autoscaling/group:Group", "group", **given)
    problems = [] if fine else [f"group.{path} is {version or '$Default'}, not the latest of worker"]
    assert found("joined-to-own-parts", template, group) == problems
