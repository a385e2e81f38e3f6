"""Test the lifecycle of every handler against the local cloud emulator: create, read, change, delete."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from sandbox.provider import operations
from sandbox.provider.base import Account
from sandbox.provider.catalogue import REGISTRY
from sandbox.provider.services.data_sources import as_route
from tests.integration.sandbox.lives import LIVES, Inputs, Life, Prerequisites


@pytest.fixture(scope="module", params=list(SideName))
def account(cloud: Cloud, request: pytest.FixtureRequest) -> Account:
    a = ACCOUNTS[request.param]
    default = {"from": "the provider"}
    return Account(cloud.session(a.side), cloud.endpoint, a.account_id, a.region, a.partition, a.dns_suffix, default)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.token.split(":")[1])
def test_create_read_change_and_delete(account: Account, life: Life) -> None:
    makes = Prerequisites(account)
    inputs = operations.check(life.token, makes.name(), life.inputs(makes))
    id, made = operations.create(life.token, account, inputs)
    assert id
    for name in life.outputs:
        assert name in made
        if name == "arn" and ":" in str(made["arn"]):
            assert made["arn"].startswith((f"arn:{account.partition}:", "arn:aws:sqs"))
    state = operations.read(life.token, account, id, made)
    assert state is not None
    if "tags" in inputs and isinstance(inputs["tags"], dict) and "tagsAll" in state:
        assert state["tagsAll"] == {"from": "the provider", **inputs["tags"]}
    assert all(state[name] == made[name] for name in life.outputs)
    if life.change is not None:
        news = operations.check(life.token, makes.name(), {**inputs, **life.change}, inputs)
        assert not operations.diff(life.token, inputs, news).replacing
        after = operations.update(life.token, account, id, made, inputs, news)
        read = operations.read(life.token, account, id, after)
        assert read is not None
        for name, value in life.change.items():
            if name in read and not isinstance(value, pulumi.Asset) and name not in ("tags", "rules"):
                assert operations.same(operations.handler(life.token), name, read[name], value)
        if "tags" in life.change and "tagsAll" in read:
            assert read["tagsAll"] == {"from": "the provider", **life.change["tags"]}
        made = after
    operations.delete(life.token, account, id, made)
    if not life.stays:
        assert operations.read(life.token, account, id, made) is None
    operations.delete(life.token, account, id, made)


def test_a_topic_loses_its_key(account: Account) -> None:
    token, makes = "aws:sns/topic:Topic", Prerequisites(account)
    plain = operations.check(token, makes.name(), {})
    inputs = {**plain, "kmsMasterKeyId": makes.key()}
    id, made = operations.create(token, account, inputs)
    assert made["kmsMasterKeyId"] == inputs["kmsMasterKeyId"]
    after = operations.update(token, account, id, made, inputs, plain)
    read = operations.read(token, account, id, after)
    assert read is not None
    assert not read.get("kmsMasterKeyId")
    operations.delete(token, account, id, after)


def test_every_handler_has_a_lifecycle_test() -> None:
    tested = {life.token for life in LIVES} | {"dualsync:index:BucketSubscription"}
    assert tested == set(REGISTRY)


def test_a_type_without_handler_is_reported_with_the_remedy(account: Account) -> None:
    with pytest.raises(operations.UnknownTokenError, match="sandbox/provider/services"):
        operations.create("aws:lambda/function:Function", account, {})
    with pytest.raises(operations.UnknownTokenError, match=r"services/data_sources\.py"):
        operations.invoke("aws:lambda/getFunction:getFunction", account, {})


def test_lookups_return_resources_of_the_account(account: Account) -> None:
    def look_up(token: str, **arguments: Any) -> Inputs:
        return operations.invoke(token, account, arguments)

    assert look_up("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == account.account_id
    assert look_up("aws:index/getRegion:getRegion")["region"] == account.region
    assert look_up("aws:index/getPartition:getPartition")["dnsSuffix"] == account.dns_suffix
    (table,) = look_up("aws:ec2/getRouteTables:getRouteTables", vpcId=Prerequisites(account).vpc())["ids"]
    routes = look_up("aws:ec2/getRouteTable:getRouteTable", routeTableId=table)["routes"]
    assert [r["cidrBlock"] for r in routes] == ["0.0.0.0/0"]
    assert [r["gatewayId"][:4] for r in routes] == ["igw-"]
    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    assert look_up("aws:ssm/getParameter:getParameter", name=parameter)["value"].startswith("ami-")
    bucket = Prerequisites(account).bucket()
    assert look_up("aws:s3/getBucket:getBucket", bucket=bucket)["arn"] == f"arn:{account.partition}:s3:::{bucket}"
    with pytest.raises(LookupError, match="couldn't find resource"):
        look_up("aws:s3/getBucket:getBucket", bucket="nowhere-to-be-seen")


def test_a_route_to_an_endpoint_is_shown_as_the_provider_does() -> None:
    shown = as_route({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "vpce-1"})
    assert (shown["vpcEndpointId"], shown["gatewayId"]) == ("vpce-1", "")
