"""The roles' documents are those of a deployment as it is now, and no wider than they must be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config.partitions import partition_of
from dualsync.runtime.settings import SideName
from sandbox.environment.processes import ROOT
from tests.unit.runtime.commands import test_smoke
from tools.iam_roles.actions import CHANGING, LOOKING, UnknownAction, actions, knows
from tools.iam_roles.documents import LIMIT, packed, size

FOLDER = ROOT / "docs" / "roles"
FILES = sorted(FOLDER.glob("*.json"))
SIDES = {"cn": ("aws-cn", "111122223333"), "global": ("aws", "444455556666")}


def load(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


def statements(role: str, side: str) -> Iterator[Mapping[str, Any]]:
    for path in FILES:
        if path.name.startswith(f"{role}-{side}") and not path.name.endswith("-trust.json"):
            yield from load(path)["Statement"]


def granted(role: str, side: str) -> set[str]:
    return {action for s in statements(role, side) for action in s["Action"]}


def test_the_documents_are_those_of_todays_calls(tmp_path: Path) -> None:
    """Run `python -m tools.iam_roles docs/roles` after a change of what a deployment makes."""
    # In a process of its own, as a person would: the program must not leave its loops behind in this one.
    subprocess.run(
        [sys.executable, "-m", "tools.iam_roles", str(tmp_path)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    now = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in FILES} == now


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_fits_into_a_managed_policy_and_names_its_statements_once(path: Path) -> None:
    found = load(path)
    assert size(dict(found)) <= LIMIT
    names = [s["Sid"] for s in found["Statement"]]
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("role", ["deploy", "drift", "preview", "smoke"])
def test_what_can_be_confined_is_confined(role: str, side: str) -> None:
    for statement in statements(role, side):
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for action in statement["Action"]:
            assert "*" not in action
            if resources == ["*"] and "Condition" not in statement:
                assert knows(action) == (), action
        for arn in resources:
            if arn != "*":
                partition, account = SIDES[side]
                assert arn.split(":")[1] == partition, arn
                assert arn.split(":")[4] in ("", account), arn


@pytest.mark.parametrize("side", SIDES)
def test_who_only_looks_can_change_nothing_and_read_no_secret(side: str) -> None:
    verbs = ("Describe", "Get", "List", "Head")
    for role in ("preview", "drift"):
        assert all(a.partition(":")[2].startswith(verbs) for a in granted(role, side)), role
    assert not any(a.startswith(("secretsmanager:", "kms:")) for a in granted("preview", side))


@pytest.mark.parametrize("side", SIDES)
def test_a_deployment_may_not_touch_what_is_in_the_data_bucket(side: str) -> None:
    bucket = {"cn": "dth-dual-dev-cn-north-1", "global": "dth-dual-dev-us-west-2"}[side]
    about = [s for s in statements("deploy", side) if bucket in json.dumps(s["Resource"])]
    actions_ = {a for s in about for a in s["Action"]}
    assert "s3:PutBucketNotification" in actions_
    assert not actions_ & {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteBucket", "s3:PutBucketPolicy"}


class Watched:
    """A bucket, or another part of a side, whose every use is noted."""

    def __init__(self, part: Any, name: str, used: set[str]) -> None:
        self._part, self._name, self._used = part, name, used

    def __getattr__(self, method: str) -> Any:
        self._used.add(f"{self._name}.{method}")
        return getattr(self._part, method)


ASKED = {
    "bucket.put": "s3:PutObject",
    "bucket.read": "s3:GetObject",
    "bucket.head": "s3:GetObject",
    "bucket.delete": "s3:DeleteObject",
}
"""What the calls behind a bucket's methods need (S3 User Guide, Required permissions for S3 API operations)."""


def test_the_smoke_role_may_do_what_the_smoke_test_does_and_no_more() -> None:
    used: set[str] = set()
    office = test_smoke.office(*SideName)
    for side, found in list(office.sides.items()):
        parts = {n: Watched(getattr(found, n), n, used) for n in ("bucket", "ledger", "queue", "store", "meters")}
        office.change(side, **parts)
    assert office.call("smoke").code == 0
    assert used == {*ASKED}
    for name in SIDES:
        # Without leave to list the bucket, a key that is not there is answered as denied.
        assert granted("smoke", name) == {*ASKED.values(), "s3:ListBucket"}


@pytest.mark.parametrize("side", SIDES)
def test_roles_are_passed_to_the_three_services_that_take_them(side: str) -> None:
    (passing,) = [s for s in statements("deploy", side) if s["Action"] == ["iam:PassRole"]]
    services = {n.partition(".")[0] for n in passing["Condition"]["StringEquals"]["iam:PassedToService"]}
    assert services == {"ec2", "ecs-tasks", "scheduler"}


@pytest.mark.parametrize("side", SIDES)
def test_a_pipelines_roles_are_taken_with_the_partitions_audience_and_no_wildcard(side: str) -> None:
    partition = partition_of({"cn": "cn-north-1", "global": "us-west-2"}[side])
    assert partition is not None
    for role in ("deploy", "drift", "preview", "smoke"):
        (statement,) = load(FOLDER / f"{role}-{side}-trust.json")["Statement"]
        conditions = statement["Condition"]["StringEquals"]
        assert conditions["token.actions.githubusercontent.com:aud"] == f"sts.{partition.dns_suffix}"
        subjects = conditions["token.actions.githubusercontent.com:sub"]
        assert subjects
        assert not any("*" in s for s in subjects)
        assert statement["Principal"]["Federated"].startswith(f"arn:{partition.id}:iam::")


def test_the_tables_of_further_calls_know_only_actions_that_there_are() -> None:
    for table in (LOOKING, CHANGING):
        for service, operations in table.items():
            assert actions(service, operations)
    with pytest.raises(UnknownAction):
        actions("s3", ["GetBucketMood"])


def test_documents_are_split_where_they_would_be_too_long() -> None:
    one = {"Sid": "A", "Effect": "Allow", "Action": ["x" * 2500], "Resource": "*"}
    found = packed([one, one, one])
    assert [[s["Sid"] for s in d["Statement"]] for d in found] == [["A1", "A2"], ["A"]]
    assert all(size(d) <= LIMIT for d in found)
