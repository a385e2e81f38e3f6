"""Register parts of a side with Pulumi's mock monitor, with a fake network for their lookups."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import mocks
from pulumi.runtime.settings import set_root_resource

from dualsync.components.bundle.builder import Built
from dualsync.components.config.model import PairModel, SideModel
from dualsync.components.config.side_options import Architecture, FinderOptions
from dualsync.components.context import SideContext
from dualsync.runtime.settings import SideName
from tests.unit.components.recorder import own_loop

VPC = "vpc-1"
IMAGE_CN = f"111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/lambda-python@sha256:{64 * '0'}"
ENVIRONMENT = {"DUALSYNC_PAIR": "dth-dual", "DUALSYNC_SIDE": "cn", "DUALSYNC_LOCAL_PREFIX": 'a "b" $c'}


def pair(**cn: Any) -> PairModel:
    """Return the guide's pair; `cn` are fields of its Chinese side."""
    chinese = SideModel(
        side=SideName.CN,
        account_id="111111111111",
        region="cn-north-1",
        bucket="dth-dual-dev-cn-north-1",
        finder=FinderOptions(image=IMAGE_CN),
    )
    return PairModel(
        cn=dataclasses.replace(chinese, **cn),
        global_=SideModel(
            side=SideName.GLOBAL, account_id="222222222222", region="us-west-2", bucket="dth-dual-dev-us-west-2"
        ),
        manages=tuple(SideName),
    )


@dataclass(frozen=True)
class Registered:
    """One resource as the engine got it."""

    type: str
    name: str
    inputs: dict[str, Any]
    provider: str


def route(table: str, target: dict[str, str] | None, *, subnet: str = "", main: bool = False) -> dict[str, Any]:
    """Return a route table with its default route, and its subnet (default: all without a table of their own)."""
    routes = [{"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}]
    return {
        "routeTableId": table,
        "routes": [*routes, {"cidrBlock": "0.0.0.0/0", **target}] if target else routes,
        "associations": [{"subnetId": subnet, "main": main, "routeTableId": table}],
    }


PUBLIC = route("rtb-main", {"gatewayId": "igw-1"}, main=True)
PRIVATE = route("rtb-nat", {"natGatewayId": "nat-1"}, subnet="subnet-b")
CLOSED = route("rtb-closed", None, subnet="subnet-c")


@dataclass
class World(pulumi.runtime.Mocks):
    """A fake network for lookups, and the resources that were registered."""

    vpcs: list[str] = field(default_factory=lambda: [VPC])
    subnets: list[str] = field(default_factory=lambda: ["subnet-a", "subnet-b", "subnet-c"])
    zones: dict[str, str] = field(default_factory=lambda: {"subnet-a": "cnn1-az1", "subnet-b": "cnn1-az2"})
    offered: list[str] = field(default_factory=lambda: ["cnn1-az3", "cnn1-az2", "cnn1-az1"])
    tables: list[dict[str, Any]] = field(default_factory=lambda: [PUBLIC, PRIVATE, CLOSED])
    availability_zones: list[str] = field(default_factory=lambda: ["cnn1-az1", "cnn1-az2", "cnn1-az3"])
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    registered: list[Registered] = field(default_factory=list)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(Registered(args.typ, args.name, dict(args.inputs), args.provider or ""))
        outputs = {
            "arn": f"arn:test:{args.typ}:{args.name}",
            "latestVersion": 7,
            "versionId": "v-1",
            "keyId": "key-1",
            **args.inputs,
        }
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        match args.token.rsplit("/", 1)[-1]:
            case "getVpcs:getVpcs":
                return {"ids": self.vpcs}, []
            case "getSubnets:getSubnets":
                filters = {f["name"]: f["values"] for f in args.args["filters"]}
                there = filters.get("availability-zone-id")
                return {"ids": [s for s in self.subnets if there is None or self.zones.get(s) in there]}, []
            case "getInstanceTypeOfferings:getInstanceTypeOfferings":
                assert args.args["locationType"] == "availability-zone-id"
                return {"locations": self.offered}, []
            case "getAvailabilityZones:getAvailabilityZones":
                (filter,) = args.args["filters"]
                assert (filter["name"], filter["values"]) == ("zone-type", ["availability-zone"])
                return {"zoneIds": self.availability_zones}, []
            case "getVpcEndpoint:getVpcEndpoint":
                assert args.args["vpcEndpointType"] == "Gateway"
                found = self.endpoints.get(args.args["serviceName"].rpartition(".")[2])
                return (found, []) if found else ({}, [("", "no matching EC2 VPC Endpoint found")])
            case "getRouteTables:getRouteTables":
                return {"ids": [table["routeTableId"] for table in self.tables]}, []
            case "getRouteTable:getRouteTable":
                return next(t for t in self.tables if t["routeTableId"] == args.args["routeTableId"]), []
        raise AssertionError(args.token)

    def of(self, kind: str) -> list[Registered]:
        """Return the resources whose type has this ending (`LaunchTemplate`)."""
        return [r for r in self.registered if r.type.rsplit(":", 1)[-1] == kind]

    def one(self, kind: str, part: str = "") -> Registered:
        """Return the only resource of a type whose name has this ending."""
        (found,) = [r for r in self.of(kind) if r.name.endswith(part)]
        return found


class Monitor(mocks.MockMonitor):
    """The mock monitor. It closes the event loops of its threads."""

    def RegisterResource(self, request: Any) -> Any:
        with own_loop():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:
        with own_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


def deploy(program: Callable[[SideContext], object], world: World, model: PairModel, side: SideName) -> World:
    """Run a program of one side against `world`. Its errors are raised unchanged."""

    def run() -> None:
        program(SideContext(model, side, aws.Provider(f"aws-{side}", region=model.side(side).region)))

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(world, "dualsync", "test", False, monitor=Monitor(world))
    set_root_resource(None)  # type: ignore[arg-type]
    try:
        loop.run_until_complete(pulumi.runtime.stack.run_in_stack(run))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)
    return world


@dataclass(frozen=True)
class TinyBundles:
    """Bundles that need no building."""

    folder: Path

    def build(self, architecture: Architecture) -> Built:
        """Write a file that contains the architecture's name."""
        path = self.folder / f"{architecture}.tar"
        path.write_text(architecture)
        return Built.at(path)
