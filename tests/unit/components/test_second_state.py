"""Test the provider's check: a second state over live resources is refused, changed buckets are a warning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import grpc.aio
import pytest
from botocore.exceptions import ClientError
from google.protobuf.empty_pb2 import Empty
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckRequest
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from dualsync.components.config.names import PAIR_TAG
from dualsync.components.plugin import engine_log, live_parts
from dualsync.components.plugin.plugin import DualSyncProvider, Servicer, schema
from dualsync.runtime.service.bucket_guard import describe_buckets
from dualsync.runtime.settings import Settings
from tests.unit.components.recorder import Deployment, by_role, deploy

PROVIDER = "pulumi:providers:dualsync"
REGION = "us-west-2"
OWN_TAGS = [{"Key": "dualsync:pair", "Value": "pair"}]
CARRIED = "table/pair-global-ledger,role/pair-global-worker"


def parts_of(deployment: Deployment, side: str) -> str:
    text: str = deployment.one(PROVIDER, f"dth-dual-{side}-sync").inputs.get("parts", "")
    return text


def test_providers_of_managed_sides_get_the_names_that_only_a_deployed_side_has(
    cn: Deployment, both: Deployment
) -> None:
    assert (parts_of(cn, "cn"), parts_of(cn, "global")) == ("table/dth-dual-cn-ledger,role/dth-dual-cn-worker", "")
    assert parts_of(both, "global") == "table/dth-dual-global-ledger,role/dth-dual-global-worker"
    assert "parts" in schema()["provider"]["inputProperties"]
    assert "parts" not in schema()["provider"]["requiredInputs"]


KINDS = {
    "table": "aws:dynamodb/table:Table",
    "role": "aws:iam/role:Role",
    "user": "aws:iam/user:User",
    "policy": "aws:iam/policy:Policy",
}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["table", "role"]),
        ({"events": "No", **by_role()}, ["table", "role"]),
        ({"direction": "global-to-cn"}, ["user", "policy"]),
    ],
)
def test_every_named_part_is_a_resource_of_the_program(
    bundles: Path, changes: dict[str, Any], kinds: list[str]
) -> None:
    """A wrong name would make a check that can not fail."""
    deployment = deploy("cn", bundles, changes)
    parts = [part.split("/") for part in parts_of(deployment, "cn").split(",")]
    assert [kind for kind, _ in parts] == kinds
    for kind, name in parts:
        (found,) = [resource for resource in deployment.of(KINDS[kind]) if resource.inputs["name"] == name]
        assert PAIR_TAG in found.inputs["tags"]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


class Engine(engine_pb2_grpc.EngineServicer):
    """A fake engine that keeps the messages it should show."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, str, str]] = []

    async def Log(self, request: Any, context: Any) -> Any:
        self.shown.append((request.severity, request.urn, request.message))
        return Empty()


OLD = "s3://a/ (us-west-2, 1) and s3://b/ (cn-north-1, 2)"
NEW = "s3://another/ (us-west-2, 1) and s3://b/ (cn-north-1, 2)"


async def shown_by_the_engine(before: str, now: str) -> list[tuple[int, str, str]]:
    """Check a live stack's provider over the wire, and return what reached the engine."""
    engine, host = Engine(), grpc.aio.server()
    engine_pb2_grpc.add_EngineServicer_to_server(engine, host)
    port = host.add_insecure_port("127.0.0.1:0")
    await host.start()
    request = provider_pb2.CheckRequest(urn="urn")
    request.olds.update({"region": REGION, "buckets": before} if before else {"region": REGION})
    request.news.update({"region": REGION, "accountId": DEFAULT_ACCOUNT_ID, "buckets": now})
    servicer = Servicer([], "0.0.0", DualSyncProvider(), f"127.0.0.1:{port}")
    try:
        answer = await servicer.CheckConfig(request, None)
    finally:
        await host.stop(0)
    assert not answer.failures
    return engine.shown


def test_another_bucket_in_a_live_stack_is_a_warning_of_the_engine() -> None:
    ((severity, urn, message),) = asyncio.run(shown_by_the_engine(OLD, NEW))
    assert (severity, urn) == (engine_pb2.WARNING, "urn")
    assert message.startswith(f"this stack deployed {OLD}, and has {NEW} now; ")
    assert "follow the runbook first (GUARD_REFUSED, for the bucket)" in message
    assert asyncio.run(shown_by_the_engine(OLD, OLD)) == []
    assert asyncio.run(shown_by_the_engine("", NEW)) == [], "an earlier version's state says nothing of buckets"


def test_a_warning_that_can_not_be_sent_does_not_fail_the_check() -> None:
    async def send() -> None:
        await engine_log.to_engine("127.0.0.1:1")("text", "urn")

    asyncio.run(send())


def test_the_named_buckets_are_those_that_the_guard_compares(cn: Deployment, bundles: Path) -> None:
    named = cn.one(PROVIDER, "dth-dual-cn-sync").inputs["buckets"]
    assert named == (
        "s3://dth-dual-dev-cn-north-1/ (cn-north-1, 111122223333) and"
        " s3://dth-dual-dev-us-west-2/ (us-west-2, 444455556666)"
    )
    environment = cn.outputs["cn"]["environment"]
    facts = describe_buckets(Settings.from_environment(environment))
    assert [
        value for side in facts.values() if isinstance(side, dict) for value in side.values() if value not in named
    ] == []
    assert "buckets" not in cn.one(PROVIDER, "dth-dual-global-sync").inputs
    destination = deploy("cn", bundles, {"direction": "global-to-cn"})
    assert "buckets" not in destination.one(PROVIDER, "dth-dual-cn-sync").inputs


def reasons(parts: str | None, old: dict[str, PropertyValue] | None = None, **changes: str) -> list[str]:
    given = {"region": REGION, "accountId": DEFAULT_ACCOUNT_ID, "parts": parts, **changes}
    inputs = {name: PropertyValue(value) for name, value in given.items() if value is not None}
    checked = asyncio.run(DualSyncProvider().check_config(CheckRequest("urn", old or {}, inputs, b"")))
    assert checked.inputs == inputs
    assert all(failure.property == "parts" for failure in checked.failures or ())
    return [failure.reason for failure in checked.failures or ()]


def make(*kinds: str, tags: list[dict[str, str]] = OWN_TAGS) -> None:
    client: Any = boto3.client
    iam = client("iam", region_name=REGION)
    if "table" in kinds:
        client("dynamodb", region_name=REGION).create_table(
            TableName="pair-global-ledger",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    if "role" in kinds:
        iam.create_role(RoleName="pair-global-worker", AssumeRolePolicyDocument=document, Tags=tags)
    if "user" in kinds:
        iam.create_user(UserName="dth-user", Tags=tags)
    if "policy" in kinds:
        iam.create_policy(PolicyName="pair-policy", PolicyDocument=document, Tags=tags)


@pytest.mark.usefixtures("account")
def test_a_second_state_is_refused_with_the_remedy() -> None:
    make("table", "role")
    (reason,) = reasons(CARRIED)
    assert f"account {DEFAULT_ACCOUNT_ID} already has table pair-global-ledger and role pair-global-worker" in reason
    assert "another state deploys this pair: select its backend and stack" in reason


@pytest.mark.usefixtures("account")
def test_the_engines_request_is_answered_on_the_wire() -> None:
    """In an update, the engine sends no `olds` for a provider that is not in the state."""
    make("table", "role")
    servicer = Servicer([], "0.0.0", DualSyncProvider(), "")
    request = provider_pb2.CheckRequest(urn="urn")
    request.news.update({"region": REGION, "accountId": DEFAULT_ACCOUNT_ID, "parts": CARRIED, "version": "0.0.0"})
    answer = asyncio.run(servicer.CheckConfig(request, None))
    assert [failure.property for failure in answer.failures] == ["parts"]
    assert answer.inputs == request.news
    request.olds.update({"region": REGION})
    assert not asyncio.run(servicer.CheckConfig(request, None)).failures


@pytest.mark.usefixtures("account")
def test_a_provider_that_is_in_the_state_is_not_a_second_state() -> None:
    make("table", "role")
    assert reasons(CARRIED, {"region": PropertyValue("eu-west-1")}) == []


@pytest.mark.usefixtures("account")
def test_the_peers_side_may_be_deployed_by_another_state() -> None:
    make("table", "role")
    assert reasons(None) == []


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("existing", [(), ("table",), ("role",), ("user", "policy")])
def test_an_account_without_the_side_or_with_a_single_part_is_deployed(existing: tuple[str, ...]) -> None:
    """A ledger that an operator kept, or a user made by hand, is imported when the first `up` finds it."""
    make(*existing)
    assert reasons(CARRIED) == []


@pytest.mark.usefixtures("account")
def test_a_one_way_pairs_destination_is_recognised_by_user_and_policy() -> None:
    parts = "user/dth-user,policy/pair-policy"
    make("user")
    assert reasons(parts) == []
    make("policy")
    assert "already has user dth-user and policy pair-policy" in reasons(parts)[0]


@pytest.mark.usefixtures("account")
def test_resources_made_by_hand_are_not_a_second_state() -> None:
    """The deployment guide has the user and the policy made by hand, under the same names."""
    make("table", "role", "user", "policy", tags=[])
    assert reasons(CARRIED) == []
    assert reasons("user/dth-user,policy/pair-policy") == []


@pytest.mark.usefixtures("account")
def test_a_failed_lookup_is_not_a_second_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later lookups report the wrong account or the missing right."""
    make("table", "role")
    assert reasons(CARRIED, accountId="444455556666") == []
    assert reasons(CARRIED, profile="nobody") == []
    assert reasons(CARRIED, region=UNKNOWN) == []

    def denied(*_: object) -> bool:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "preview-global may not"}}, "GetRole")

    monkeypatch.setattr(live_parts, "_exists", denied)
    assert reasons(CARRIED) == []
