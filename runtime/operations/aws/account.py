"""An account before the deployment, read with boto3."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote_plus

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from dualsync.runtime.aws.boto3_bridge import Threads, client_config
from dualsync.runtime.aws.endpoints import configured_endpoint
from dualsync.runtime.aws.errors import refusal_of, translate
from dualsync.runtime.errors import DualSyncError, FatalError
from dualsync.runtime.operations.aws.sign_in import sign_in_problem
from dualsync.runtime.operations.setup.account import BucketState, Caller, Notification, Simulation, SubnetRoute, Vpc
from dualsync.runtime.operations.setup.declared import DeclaredSide

ANYWHERE = "0.0.0.0/0"
THREADS = 8
_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}


class AwsAccount:
    """`dualsync.runtime.operations.setup.account.Account` over boto3, with the profile or role of a side."""

    def __init__(self, declared: DeclaredSide, clock: Callable[[], float] = time.time) -> None:
        self._declared = declared
        self._clock = clock
        self._threads = Threads(THREADS)
        self._session: boto3.Session | None = None
        self._clients: dict[str, Any] = {}

    async def caller(self) -> Caller:
        profile = self._declared.profile
        using = f"profile {profile!r}" if profile else "the shell's credential"
        other = f"give --profile-{self._declared.side} NAME of a profile in its account"
        try:
            answer = await self._threads.call(self._client("sts").get_caller_identity)
        except ProfileNotFound as e:
            using = using if profile else f"profile {e.kwargs.get('profile')!r} of AWS_PROFILE"
            raise FatalError(
                f"{using} is not in your AWS config; make it with `aws configure sso`, or {other}"
            ) from None
        except Exception as e:  # a profile's credential process and settings fail in many ways
            problem = sign_in_problem(e, profile)
            if problem:
                raise FatalError(f"{using} {problem}; or {other}") from None
            raise translate(e, "sts", "caller identity") from None
        arn = str(answer["Arn"])
        return Caller(arn, str(answer["Account"]), arn.split(":")[1], self._skew(answer))

    def _skew(self, answer: Any) -> float:
        date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date", "")
        try:
            return parsedate_to_datetime(date).timestamp() - self._clock()
        except (ValueError, TypeError):
            return 0.0

    async def bucket(self, name: str, owner: str, region: str) -> BucketState:
        s3 = self._client("s3")
        try:
            head = await self._threads.call_service_raw(
                "s3", name, s3.head_bucket, Bucket=name, ExpectedBucketOwner=owner
            )
        except ClientError as e:
            problem, remedy = _bucket_problem(e, owner, region)
            return BucketState(problem=problem, remedy=remedy)
        actual = head.get("BucketRegion") or region
        if actual != region:
            return BucketState(problem=f"is in {actual}, not in {region}", remedy="correct region or bucket")
        versioning = await self._or_none("s3", name, s3.get_bucket_versioning, Bucket=name, ExpectedBucketOwner=owner)
        events = await self._or_none(
            "s3", name, s3.get_bucket_notification_configuration, Bucket=name, ExpectedBucketOwner=owner
        )
        return BucketState(
            versioned=None if versioning is None else versioning.get("Status") == "Enabled",
            notifications=None if events is None else _notifications(events),
        )

    async def vpc(self, id: str) -> Vpc:
        ec2 = self._client("ec2")
        if not id:
            filters = [{"Name": "is-default", "Values": ["true"]}]
            answer = await self._threads.call_service("ec2", "default VPC", ec2.describe_vpcs, Filters=filters)
            id = next((str(vpc["VpcId"]) for vpc in answer["Vpcs"]), "")
            if not id:
                return Vpc("")
        of_it = [{"Name": "vpc-id", "Values": [id]}]
        subnets = await self._pages(ec2, "describe_subnets", "Subnets", id, Filters=of_it)
        tables = await self._pages(ec2, "describe_route_tables", "RouteTables", id, Filters=of_it)
        own, main = {}, None
        for table in tables:
            for association in table.get("Associations", ()):
                main = table if association.get("Main") else main
                if association.get("SubnetId"):
                    own[association["SubnetId"]] = table
        return Vpc(id, [subnet_route(subnet["SubnetId"], own.get(subnet["SubnetId"], main)) for subnet in subnets])

    async def _pages(self, client: Any, operation: str, member: str, target: str, **given: Any) -> list[Any]:
        def read() -> list[Any]:
            return [item for page in client.get_paginator(operation).paginate(**given) for item in page[member]]

        return await self._threads.call_service("ec2", target, read)

    async def has_image(self, registry: str, repository: str, digest: str) -> bool:
        ecr = self._client("ecr")
        try:
            answer = await self._threads.call_service_raw(
                "ecr",
                repository,
                ecr.describe_images,
                registryId=registry,
                repositoryName=repository,
                imageIds=[{"imageDigest": digest}],
            )
        except ClientError as e:
            if refusal_of(e, "ecr", repository).code in ("ImageNotFoundException", "RepositoryNotFoundException"):
                return False
            raise translate(e, "ecr", repository) from None
        return bool(answer.get("imageDetails"))

    async def architectures(self, instance_type: str) -> Sequence[str]:
        ec2 = self._client("ec2")
        try:
            answer = await self._threads.call_service_raw(
                "ec2", instance_type, ec2.describe_instance_types, InstanceTypes=[instance_type]
            )
        except ClientError as e:
            if refusal_of(e, "ec2", instance_type).code == "InvalidInstanceType":
                return []
            raise translate(e, "ec2", instance_type) from None
        found = [info["ProcessorInfo"]["SupportedArchitectures"] for info in answer["InstanceTypes"]]
        return [str(architecture) for architecture in (found[0] if found else ())]

    async def simulate(self, arn: str, actions: Sequence[str], resource: str) -> Sequence[Simulation]:
        iam = self._client("iam")
        answer = await self._threads.call_service(
            "iam",
            arn,
            iam.simulate_principal_policy,
            PolicySourceArn=arn,
            ActionNames=list(actions),
            ResourceArns=[resource],
        )
        return [
            Simulation(
                str(result["EvalActionName"]),
                result["EvalDecision"] == "allowed",
                [str(name) for name in result.get("MissingContextValues", ())],
            )
            for result in answer["EvaluationResults"]
        ]

    async def role_arn(self, name: str) -> str:
        answer = await self._threads.call_service("iam", name, self._client("iam").get_role, RoleName=name)
        return str(answer["Role"]["Arn"])

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            if self._session is None:
                self._session = _session(self._declared)
            config = client_config(THREADS, "path" if self._declared.endpoint and service == "s3" else "auto")
            make: Callable[..., Any] = self._session.client
            self._clients[service] = make(service, config=config, endpoint_url=_endpoint(self._declared, service))
        return self._clients[service]

    async def _or_none(self, service: str, target: str, function: Any, **given: Any) -> Any:
        try:
            return await self._threads.call_service(service, target, function, **given)
        except DualSyncError:
            return None


@functools.cache
def partition_of(region: str) -> str:
    """Return a region's partition. Raises `FatalError` for an unknown region."""
    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except BotoCoreError:
        raise FatalError(f"region={region!r}: is not a region of AWS; correct it, for example us-west-2") from None


def _endpoint(declared: DeclaredSide, service: str) -> str | None:
    """Return the service's endpoint, None for the region's own. The shell's variables describe one side only."""
    core = botocore.session.Session(profile=declared.profile or None)
    variables = not (declared.profile or declared.role_arn)
    return declared.endpoint or configured_endpoint(core, service, variables=variables) or None


def _session(declared: DeclaredSide) -> boto3.Session:
    session = boto3.Session(profile_name=declared.profile or None, region_name=declared.region)
    if not declared.role_arn:
        return session
    sts: Any = session.client("sts", config=client_config(1), endpoint_url=_endpoint(declared, "sts"))
    more = {"ExternalId": declared.external_id} if declared.external_id else {}
    answer = sts.assume_role(RoleArn=declared.role_arn, RoleSessionName="dualsync-doctor", **more)
    given = answer["Credentials"]
    return boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=declared.region
    )


def _bucket_problem(error: ClientError, owner: str, region: str) -> tuple[str, str]:
    refusal = refusal_of(error, "s3", "bucket")
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    actual = headers.get("x-amz-bucket-region", "")
    if refusal.status == 404:
        return "does not exist", "create it, or correct its name: buckets are adopted, never created"
    if refusal.status in (301, 400) and actual and actual != region:
        return f"is in {actual}, not in {region}", "correct region or bucket"
    if refusal.status == 403:
        return f"is not account {owner}'s, or may not be read", "correct accountId, profile or permissions"
    raise translate(error, "s3", "bucket") from None


def _notifications(answer: Any) -> list[Notification]:
    found = []
    for kind, destination in _DESTINATIONS.items():
        for entry in answer.get(kind, ()):
            rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            prefix = next((r.get("Value", "") for r in rules if str(r.get("Name", "")).lower() == "prefix"), "")
            found.append(
                Notification(
                    str(entry.get("Id", "")), str(entry.get(destination)), entry["Events"], unquote_plus(prefix)
                )
            )
    return found


_TARGETS = (
    *("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId"),
    *("CoreNetworkArn", "LocalGatewayId"),
)
"""Fields of a route that name what it leads to (EC2 API Reference, Route). An endpoint is a gateway there."""


def subnet_route(subnet: str, table: Any) -> SubnetRoute:
    """Return a subnet's default route from its route table as EC2 describes it; None for no table."""
    if table is None:
        return SubnetRoute(subnet, "", "")
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == ANYWHERE and route.get("State") != "blackhole":
            target = next((str(route[name]).rpartition("/")[2] for name in _TARGETS if route.get(name)), "")
            return SubnetRoute(subnet, str(table["RouteTableId"]), target)
    return SubnetRoute(subnet, str(table["RouteTableId"]), "")
