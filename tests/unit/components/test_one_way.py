"""Test one-way pairs: the resources of each side, the worker's rights at the source, and a change of direction."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.runtime.settings import Settings
from tests.unit.components.recorder import KEY_SECRET, Call, Deployment, config_of, deploy
from tests.unit.components.test_peer import HANDED, READ

ONE_WAY = {"direction": "cn-to-global"}
READS = {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
DESTINATION = {
    "aws:iam/policy:Policy",
    "aws:iam/user:User",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/accessKey:AccessKey",
}
HAND_OVER = {"aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"}


@pytest.fixture(scope="module")
def source(bundles: Path) -> Deployment:
    return deploy("cn", bundles, ONE_WAY)


@pytest.fixture(scope="module")
def destination(bundles: Path) -> Deployment:
    return deploy("global", bundles, ONE_WAY)


@pytest.fixture(scope="module")
def one_stack(bundles: Path) -> Deployment:
    cn = json.loads(config_of("cn")["dualsync:cn"]) | {"finderImage": config_of("cn")["dualsync:finderImage"]}
    changes = {"manages": ["cn", "global"], "peerStack": "", "finderImage": "", "cn": cn, **ONE_WAY}
    return deploy("cn", bundles, changes)


def kinds(deployment: Deployment) -> Counter[tuple[str, str]]:
    """Return (type, region of the provider) of every resource of AWS and of the subscription."""
    found: Counter[tuple[str, str]] = Counter()
    for resource in deployment.resources:
        if resource.custom and not resource.type.startswith("pulumi:providers:"):
            found[resource.type, deployment.provider_of(resource).inputs["region"]] += 1
    return found


def test_the_source_has_everything_but_the_user_and_its_hand_over(source: Deployment, cn: Deployment) -> None:
    identity = {(kind, "cn-north-1") for kind in DESTINATION} | {(kind, "us-west-2") for kind in HAND_OVER}
    policies = Counter(dict.fromkeys(identity, 1))
    assert kinds(source) == kinds(cn) - policies
    assert {kind for kind, region in kinds(source) if region == "us-west-2"} == set(), "nothing in the peer's account"
    assert not [r for r in source.resources if KEY_SECRET in json.dumps(r.inputs, default=str)]


def test_the_destination_has_only_the_user_and_its_hand_over(destination: Deployment) -> None:
    expected = {(kind, "us-west-2"): 1 for kind in DESTINATION} | {(kind, "cn-north-1"): 1 for kind in HAND_OVER}
    assert kinds(destination) == Counter(expected)
    components = {r.type for r in destination.resources if not r.custom}
    assert components == {
        *(f"dualsync:index:{name}" for name in ("DualSyncPair", "Side", "Identity", "HandOver")),
    }


def test_one_stack_of_both_sides_has_the_resources_of_both(
    one_stack: Deployment, source: Deployment, destination: Deployment
) -> None:
    assert kinds(one_stack) == kinds(source) + kinds(destination)


def test_only_the_user_at_the_destination_exists(one_stack: Deployment) -> None:
    assert [r.name for r in one_stack.of("aws:iam/user:User")] == ["dth-dual-global-user"]
    assert [r.name for r in one_stack.of("aws:iam/accessKey:AccessKey")] == ["dth-dual-global-key"]
    assert list(one_stack.outputs["userIds"]) == ["global"]


def object_actions(deployment: Deployment) -> set[str]:
    (policy,) = [
        json.loads(r.inputs["policy"])
        for r in deployment.of("aws:iam/rolePolicy:RolePolicy")
        if "worker" in r.name and "cn" in r.name
    ]
    bucket = "arn:aws-cn:s3:::dth-dual-dev-cn-north-1"
    return {
        action
        for statement in policy["Statement"]
        for action in statement["Action"]
        if any(str(resource).startswith(bucket) for resource in _list(statement["Resource"]))
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_worker_can_write_nothing_at_the_source(source: Deployment, cn: Deployment, bundles: Path) -> None:
    assert object_actions(source) == READS
    assert "s3:PutObject" in object_actions(cn)
    tagged = deploy("cn", bundles, {**ONE_WAY, "includeTags": True})
    assert object_actions(tagged) == READS | {"s3:GetObjectTagging", "s3:GetObjectVersionTagging"}


def test_outputs_name_the_direction_and_leave_absent_parts_empty(source: Deployment, destination: Deployment) -> None:
    assert source.outputs["direction"] == destination.outputs["direction"] == "cn-to-global"
    facts = source.outputs["cn"]
    assert (facts["userId"], facts["userName"], facts["keyId"], facts["roleArn"]) == ("", "", "", "")
    assert facts["queueUrl"]
    facts = destination.outputs["global"]
    assert list(destination.outputs["addresses"]["global"]) == ["bucket"]
    assert facts["userId"]
    empty = {name for name, value in facts.items() if value == "" and name != "prefix"}
    assert empty == {
        *("queueUrl", "deadLetterQueueUrl", "ledgerTable", "secretName", "workerGroup", "workerLogGroup"),
        *("finderCluster", "finderTask", "finderLogGroup", "dashboard", "dashboardUrl", "alarmTopic", "metrics"),
        "roleArn",
    }


def test_the_settings_of_both_sides_can_be_read(source: Deployment, destination: Deployment) -> None:
    here = Settings.from_environment(source.outputs["cn"]["environment"])
    assert (here.carries, here.own_user_ids, str(here.direction)) == (True, (), "cn-to-global")
    there = Settings.from_environment(destination.outputs["global"]["environment"])
    assert (there.carries, there.queue_url, there.ledger_table) == (False, "", "")
    assert there.own_user_ids


@pytest.mark.parametrize("mode", ["config", "stack-reference"])
def test_a_one_way_hand_over_works_without_the_peers_provider(mode: str, bundles: Path) -> None:
    outputs = {"pair": "dth-dual", "direction": "cn-to-global", "manages": ["global"], "handOver": HANDED}
    changes = {**ONE_WAY, "handOver": mode}
    given = {"peerCredential": HANDED} if mode == "config" else {}
    source = deploy("cn", bundles, {**changes, **given}, call=answering(outputs))
    assert {(kind, "cn-north-1") for kind in HAND_OVER} <= set(kinds(source))
    assert "handOver" not in source.outputs
    destination = deploy("global", bundles, changes, call=answering({}))
    assert set(kinds(destination)) == {(kind, "us-west-2") for kind in DESTINATION}
    assert destination.outputs["handOver"]


def test_a_leftover_credential_at_the_destination_is_named(bundles: Path) -> None:
    changes = {**ONE_WAY, "handOver": "config", "peerCredential": HANDED}
    found = deploy("global", bundles, changes, call=answering({}))
    assert set(kinds(found)) == {(kind, "us-west-2") for kind in DESTINATION}
    assert any("peerCredential: has no use" in line for line in found.warnings)


def answering(outputs: dict[str, Any]) -> Call:
    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        return {"name": args["name"], "outputs": outputs, "secretOutputNames": []} if token == READ else None

    return call


ORDERS = {
    "to one-way, the source first": ("cn", "cn-to-global", "both", ""),
    "to one-way, the destination first": ("global", "cn-to-global", "both", "first to become one-way; deploy stack"),
    "to one-way, the destination second": ("global", "cn-to-global", "cn-to-global", ""),
    "to two-way, the destination first": ("global", "both", "cn-to-global", ""),
    "to two-way, the source first": ("cn", "both", "cn-to-global", "last to become two-way; deploy stack"),
    "to two-way, the source second": ("cn", "both", "both", ""),
    "turned round": ("cn", "cn-to-global", "global-to-cn", "set direction to both in both stacks and deploy them"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_stacks_directions_differ_only_while_the_source_is_one_way(name: str, bundles: Path) -> None:
    stack, ours, theirs, refusal = ORDERS[name]
    peer = "global" if stack == "cn" else "cn"
    outputs = {"pair": "dth-dual", "direction": theirs, "manages": [peer], "userIds": {}}
    if not refusal:
        found = deploy(stack, bundles, {"direction": ours}, call=answering(outputs))
        assert any("deploy it with the same direction next" in line for line in found.warnings) is (ours != theirs)
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the engine's RunError, whose text is the point
        deploy(stack, bundles, {"direction": ours}, call=answering(outputs))
    assert f"direction='{ours}': stack organization/dualsync/{peer} deployed '{theirs}'" in str(caught.value)
    assert refusal in str(caught.value)


def test_a_stack_of_an_earlier_version_is_two_way(bundles: Path) -> None:
    outputs = {"pair": "dth-dual", "manages": ["global"], "userIds": {"global": "AIDAPEER"}}
    assert not [w for w in deploy("cn", bundles, call=answering(outputs)).warnings if "direction" in w]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"direction": "to-global"}, "direction='to-global': unknown choice; use one of both, cn-to-global"),
        (
            {**ONE_WAY, "conflictPolicy": "prefer-cn"},
            "conflictPolicy='prefer-cn': has no use with direction='cn-to-global', where the source's version always"
            " applies; remove it, or set direction to both",
        ),
        (
            {**ONE_WAY, "peerIdentity": "role"},
            "peerIdentity='role': is not offered with direction='cn-to-global'; use user, or set direction to both",
        ),
        ({**ONE_WAY, "keepLoser": True}, "keepLoser=True: has no use with direction='cn-to-global'"),
    ],
)
def test_contradictory_keys_are_refused(given: dict[str, Any], message: str) -> None:
    side = {"accountId": "111122223333", "region": "us-west-2", "bucket": "one"}
    values = {"manages": ["cn"], "cn": side, "global": {**side, "bucket": "two"}, **given}
    with pytest.raises(ConfigError) as caught:
        stack_config.pair_of(values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
