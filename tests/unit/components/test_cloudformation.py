"""Test the registered resources against AWS's own schemas: types per region, and every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.cloudformation import KINDS, MORE, NO_TYPE, REGIONS, Kind, faults, types_in
from tests.unit.components.conftest import both_sides
from tests.unit.components.independent_checks import PAGE, text
from tests.unit.components.recorder import Deployment, deploy


@pytest.fixture(scope="module")
def most(bundles: Path) -> Deployment:
    return deploy("cn", bundles, MORE)


@pytest.fixture(scope="module")
def keyed(bundles: Path) -> Deployment:
    """One stack that manages both sides, with keys for the alarms' topics."""
    return deploy("cn", bundles, both_sides() | {"alarmTopicKey": True})


@pytest.mark.parametrize("region", REGIONS)
def test_every_type_exists_in_the_region(keyed: Deployment, most: Deployment, region: str) -> None:
    registered = {r.type for d in (keyed, most) for r in d.resources if r.custom and ":providers:" not in r.type}
    assert registered <= set(KINDS) | set(NO_TYPE)
    missing = [KINDS[kind].name for kind in registered & set(KINDS) if KINDS[kind].name not in types_in(region)]
    assert not missing


@pytest.mark.parametrize("name", ["cn", "other", "keyed", "most"])
def test_every_value_satisfies_its_schema(request: pytest.FixtureRequest, name: str) -> None:
    deployment: Deployment = request.getfixturevalue(name)
    judged, found = 0, []
    for resource in deployment.aws:
        if resource.type in NO_TYPE:
            continue
        region = deployment.provider_of(resource).inputs["region"]
        judged += len(resource.inputs)
        found += [f"{resource.name}: {fault}" for fault in faults(region, KINDS[resource.type], resource.inputs)]
    assert not found
    assert judged > 300


def test_each_property_listed_as_unjudged_is_registered(keyed: Deployment, most: Deployment, other: Deployment) -> None:
    """An entry of the list that is not needed would exclude a property that a schema could judge."""
    given: dict[str, set[str]] = {}
    for deployment in (keyed, most, other):
        for resource in deployment.aws:
            given.setdefault(resource.type, set()).update(resource.inputs)
    unused = {
        f"{kind}: {name}" for kind, of in KINDS.items() if kind in given for name in set(of.unjudged) - given[kind]
    }
    assert not unused


@pytest.mark.parametrize(
    ("kind", "inputs", "fault"),
    [
        ("aws:sqs/queue:Queue", {"visibility": 1}, "visibility: AWS::SQS::Queue has no Visibility"),
        ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 15}, "retentionInDays: 15 is none of"),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "a b"}, "name: 'a b' does not match"),
        ("aws:kms/key:Key", {"deletionWindowInDays": 3}, "deletionWindowInDays: 3 is not from 7 to 30"),
        ("aws:secretsmanager/secret:Secret", {"description": "a" * 3000}, "description: 3000 characters"),
        ("aws:scheduler/schedule:Schedule", {"state": "OFF"}, "state: 'OFF' is none of"),
        (
            "aws:scheduler/schedule:Schedule",
            {"target": {"retryPolicy": {"maximumRetryAttempts": 999}}},
            "target.retryPolicy.maximumRetryAttempts: 999 is not from 0 to 185",
        ),
        (
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            {"rule": {"objectOwnership": "None"}},
            "rule[0].objectOwnership: 'None' is none of",
        ),
    ],
)
def test_the_schemas_refuse_values_that_aws_refuses(kind: str, inputs: dict[str, Any], fault: str) -> None:
    found = list(faults("cn-north-1", KINDS[kind], inputs))
    assert any(text.startswith(fault) for text in found), found


def test_every_listed_type_is_in_a_schema() -> None:
    assert all(isinstance(kind, Kind) and kind.name in types_in("us-west-2") for kind in KINDS.values())


def test_the_page_lists_every_judged_type(
    cn: Deployment, other: Deployment, keyed: Deployment, most: Deployment
) -> None:
    assert PAGE.read_text() == text([cn, other, keyed, most]), "python -m tests.unit.components.independent_checks"
