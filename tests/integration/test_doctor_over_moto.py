"""Test `dualsync doctor` over boto3 and a moto server: it reads an account and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from dualsync.runtime.errors import FatalError
from dualsync.runtime.operations.aws.account import ANYWHERE, AwsAccount, partition_of, subnet_route
from dualsync.runtime.operations.setup.account import Simulation
from dualsync.runtime.operations.setup.declared import DeclaredSide
from dualsync.runtime.settings import SideName
from tests.support.moto_server import REGION, Server
from tests.support.operator_place import ACCOUNT


@pytest.fixture
def declared(server: Server, monkeypatch: pytest.MonkeyPatch) -> DeclaredSide:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return DeclaredSide(side=SideName.CN, account_id=ACCOUNT, region=REGION, bucket="b", endpoint=server.url)


@pytest.fixture
def account(declared: DeclaredSide) -> Iterator[AwsAccount]:
    account = AwsAccount(declared)
    yield account
    account.close()


def test_the_caller_and_the_clocks_skew_are_read(account: AwsAccount) -> None:
    caller = asyncio.run(account.caller())
    assert caller.account == ACCOUNT
    assert abs(caller.skew_seconds) < 30


def test_a_clock_that_differs_from_awss_is_reported(declared: DeclaredSide) -> None:
    account = AwsAccount(declared, clock=lambda: 0.0)
    assert asyncio.run(account.caller()).skew_seconds > 1e9
    account.close()


def test_an_unknown_profile_is_reported_with_the_option(declared: DeclaredSide) -> None:
    account = AwsAccount(replace(declared, profile="no-such"))
    with pytest.raises(FatalError, match=r"profile 'no-such' is not in your AWS config; .*--profile-cn NAME"):
        asyncio.run(account.caller())
    account.close()


def test_versioning_and_notifications_of_a_bucket_are_read(server: Server, account: AwsAccount) -> None:
    name = server.make_bucket(versioned=True)
    queue = server.make_queue()
    arn = server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    rules = [{"Name": "prefix", "Value": "in+here/"}]
    entry: Any = {
        "Id": "x",
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    server.client("s3").put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [entry]}
    )
    state = asyncio.run(account.bucket(name, ACCOUNT, REGION))
    assert (state.problem, state.versioned) == ("", True)
    assert state.notifications is not None
    (found,) = state.notifications
    assert (found.id, found.destination, found.prefix) == ("x", arn, "in here/")
    assert asyncio.run(account.bucket(server.make_bucket(), ACCOUNT, REGION)).versioned is False
    assert asyncio.run(account.bucket("no-such-bucket", ACCOUNT, REGION)).problem == "does not exist"


def test_the_default_routes_of_subnets_are_read(server: Server, account: AwsAccount) -> None:
    ec2 = server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])
    found = asyncio.run(account.vpc(vpc))
    assert {route.subnet_id: route.target for route in found.routes} == {subnets[0]: gateway, subnets[1]: ""}
    assert asyncio.run(account.vpc("")).id, "the default VPC"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ({"GatewayId": "vpce-1"}, "vpce-1"),
        ({"NatGatewayId": "nat-1"}, "nat-1"),
        ({"CoreNetworkArn": "arn:aws:networkmanager::111122223333:core-network/core-network-1"}, "core-network-1"),
        ({"NatGatewayId": "nat-1", "State": "blackhole"}, ""),
    ],
)
def test_a_default_routes_target_is_shown(target: dict[str, str], shown: str) -> None:
    found = subnet_route(
        "subnet-1", {"RouteTableId": "rtb-1", "Routes": [{"DestinationCidrBlock": ANYWHERE, **target}]}
    )
    assert (found.target, found.public) == (shown, False)


def test_a_missing_image_is_reported(server: Server, account: AwsAccount) -> None:
    server.client("ecr").create_repository(repositoryName="lambda-python")
    assert asyncio.run(account.has_image(ACCOUNT, "lambda-python", "sha256:" + "a" * 64)) is False
    assert asyncio.run(account.has_image(ACCOUNT, "no-such", "sha256:" + "a" * 64)) is False


def test_the_architectures_of_an_instance_type_are_read(account: AwsAccount) -> None:
    assert asyncio.run(account.architectures("t4g.micro")) == ["arm64"]
    assert asyncio.run(account.architectures("t9.huge")) == []


def test_a_policy_simulation_is_parsed(account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse an answer in the form of the IAM API Reference (EvaluationResult), because moto has no simulation."""
    asked: list[dict[str, Any]] = []

    class Iam:
        def simulate_principal_policy(self, **given: Any) -> dict[str, Any]:
            asked.append(given)
            return {
                "EvaluationResults": [
                    {"EvalActionName": "sqs:CreateQueue", "EvalDecision": "allowed"},
                    {
                        "EvalActionName": "iam:PassRole",
                        "EvalDecision": "implicitDeny",
                        "MissingContextValues": ["iam:PassedToService"],
                    },
                ]
            }

    def client(session: boto3.Session, service: str, **more: Any) -> Any:
        return Iam()

    monkeypatch.setattr(boto3.Session, "client", client)
    found = asyncio.run(account.simulate("arn:r", ["sqs:CreateQueue", "iam:PassRole"], "arn:q"))
    assert found == [
        Simulation("sqs:CreateQueue", True, []),
        Simulation("iam:PassRole", False, ["iam:PassedToService"]),
    ]
    assert asked == [
        {
            "PolicySourceArn": "arn:r",
            "ActionNames": ["sqs:CreateQueue", "iam:PassRole"],
            "ResourceArns": ["arn:q"],
        }
    ]


def test_the_partition_of_a_region_is_found() -> None:
    assert (partition_of("cn-northwest-1"), partition_of("eu-west-1")) == ("aws-cn", "aws")
    with pytest.raises(FatalError, match="is not a region"):
        partition_of("mars-1x")
