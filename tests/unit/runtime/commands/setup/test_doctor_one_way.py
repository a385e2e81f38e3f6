"""Test `dualsync doctor` with a one-way pair: the destination is checked only for its own resources."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dualsync.runtime.operations.aws.account import partition_of
from dualsync.runtime.operations.setup.account import BucketState, Notification, Vpc
from dualsync.runtime.operations.setup.declared import Declaration, DeclaredSide, read_declaration
from dualsync.runtime.operations.setup.doctor import Verdict
from dualsync.runtime.operations.setup.permissions import creation_actions
from dualsync.runtime.settings import Direction, SideName
from tests.unit.runtime.commands.setup.test_doctor import CN_SIDE, GLOBAL_SIDE, check, fine

ONE_WAY = [Direction.CN_TO_GLOBAL, Direction.GLOBAL_TO_CN]
SOURCE_CHECKS = {"events", "network", "instance type", "finder image"}


def pair(direction: Direction, **cn: str) -> Declaration:
    sides = {SideName.CN: replace(CN_SIDE, **cn), SideName.GLOBAL: GLOBAL_SIDE}  # type: ignore[arg-type]
    return Declaration(sides=sides, direction=direction)


def ends(direction: Direction) -> tuple[SideName, SideName]:
    assert direction.source is not None
    return direction.source, direction.source.peer


@pytest.mark.parametrize("direction", ONE_WAY)
def test_each_side_is_checked_for_its_own_resources(direction: Direction) -> None:
    source, destination = ends(direction)
    found = check(fine(), pair(direction))
    assert {f.verdict for f in found.values()} == {Verdict.FINE}
    checks = {side: {name for where, name in found if where == str(side)} for side in SideName}
    assert checks[source] - checks[destination] == SOURCE_CHECKS
    assert checks[destination] - checks[source] == {"direction"}
    line = found[str(destination), "direction"].what
    assert line == f"one-way ({direction}): the destination gets a user, and no workers, finder or queue"


@pytest.mark.parametrize("direction", ONE_WAY)
def test_resources_that_only_workers_need_are_not_checked_at_the_destination(direction: Direction) -> None:
    """A consumer of the bucket's events, a missing network, instance type or image does not matter there."""
    source, destination = ends(direction)
    accounts = fine()
    for account in accounts.values():
        account.state = BucketState(
            versioned=True, notifications=[Notification("theirs", "arn:aws:sns:x", ("s3:ObjectCreated:*",), "")]
        )
        account.vpc_, account.offered, account.image = Vpc("", ()), (), False
    found = check(accounts, pair(direction, image=""))
    wrong = {side: {name for (where, name), f in found.items() if where == side and f.remedy} for side in SideName}
    expected = SOURCE_CHECKS if source is SideName.CN else SOURCE_CHECKS - {"finder image"}
    assert wrong == {source: expected, destination: set()}


def test_versioning_warning_of_the_destination_names_replaced_changes() -> None:
    accounts = fine()
    for account in accounts.values():
        account.state = BucketState(versioned=False, notifications=[])
    found = check(accounts, pair(Direction.CN_TO_GLOBAL))
    assert found["cn", "versioning"].what == "off: deleted objects of this side can't be restored"
    assert "changes of others that the source's version replaces" in found["global", "versioning"].what
    assert all("keepLoser" not in f.remedy and "conflict" not in f.what for f in found.values())


@pytest.mark.parametrize("direction", ONE_WAY)
def test_user_creation_is_simulated_only_at_the_destination(direction: Direction) -> None:
    source, destination = ends(direction)
    declared = pair(direction)

    def actions(side: SideName) -> set[str]:
        whole: DeclaredSide = declared.sides[side]
        calls = creation_actions(whole, declared, partition_of(whole.region))
        return {action for _, listed in calls for action in listed}

    assert actions(destination) == {
        *("iam:CreateUser", "iam:CreateAccessKey", "iam:AttachUserPolicy", "iam:CreatePolicy"),
    }
    assert not actions(source) & {"iam:CreateUser", "iam:CreateAccessKey"}
    assert {"secretsmanager:CreateSecret", "s3:PutBucketNotification", "sqs:CreateQueue"} <= actions(source)


@pytest.mark.parametrize(
    ("key", "value"), [("keepLoser", True), ("conflictPolicy", "prefer-cn"), ("peerIdentity", "role")]
)
@pytest.mark.parametrize("direction", Direction)
def test_configuration_keys_without_use_in_a_one_way_pair_are_reported(
    tmp_path: Path, direction: Direction, key: str, value: object
) -> None:
    side = {"accountId": "123456789012", "region": "us-west-2", "bucket": "one"}
    (tmp_path / "Pulumi.yaml").write_text("config: {}\n")
    values = {"manages": ["cn", "global"], "cn": side, "global": {**side, "bucket": "two"}}
    given = {**values, key: value, "direction": str(direction)}
    document = {"config": {f"dualsync:{name}": each for name, each in given.items()}}
    (tmp_path / "Pulumi.cn.yaml").write_text(yaml.safe_dump(document))
    faults = read_declaration(tmp_path, {}).faults
    if direction is Direction.BOTH:
        assert faults == []
        return
    (fault,) = faults
    assert fault.startswith(f"{key}={value!r}: has no use with direction={str(direction)!r}")
    assert fault.endswith("; remove it, or set direction to both")


def test_text_values_of_pulumi_config_set_are_converted(tmp_path: Path) -> None:
    """`pulumi config set` writes text, whatever the key's type is."""
    side = {"accountId": "123456789012", "region": "us-west-2", "bucket": "one"}
    (tmp_path / "Pulumi.yaml").write_text("config: {}\n")
    values = {
        "manages": '["cn", "global"]',
        "cn": json.dumps(side),
        "global": json.dumps({**side, "bucket": "two", "subnetIds": ["subnet-1"]}),
        "publicIp": "false",
        "keepLoser": "true",
    }
    document = {"config": {f"dualsync:{name}": given for name, given in values.items()}}
    (tmp_path / "Pulumi.cn.yaml").write_text(yaml.safe_dump(document))
    found = read_declaration(tmp_path, {})
    assert found.faults == []
    assert [(s.bucket, s.managed, s.public_ip, s.keep_loser) for s in found.sides.values()] == [
        ("one", True, False, True),
        ("two", True, False, True),
    ]
    assert found.sides[SideName.GLOBAL].subnet_ids == ("subnet-1",)
    values |= {"keepLoser": "false", "direction": "cn-to-global"}
    document = {"config": {f"dualsync:{name}": given for name, given in values.items()}}
    (tmp_path / "Pulumi.cn.yaml").write_text(yaml.safe_dump(document))
    assert read_declaration(tmp_path, {}).faults == []
