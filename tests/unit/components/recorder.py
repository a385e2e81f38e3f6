"""Run the program in this process and record everything that it registers, looks up, logs and exports."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import runpy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import set_root_resource

from dualsync.components.config.partitions import partition_of

ROOT = Path(__file__).resolve().parents[3]
KEY_SECRET = "the-secret-access-key-of-"
MODULUS, EXPONENT = (1 << 2047) + 12345, 65537
PUBLIC_KEY = base64.b64encode(
    RSAPublicNumbers(EXPONENT, MODULUS).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
"""A public key as KMS shows it."""
ISSUERS = {side: f"https://id.example.com/dth-dual/{side}" for side in ("cn", "global")}


def by_role() -> dict[str, Any]:
    """Config of a pair whose sides are roles for each other."""
    config = config_of("cn")
    return {
        "peerIdentity": "role",
        **{side: json.loads(config[f"dualsync:{side}"]) | {"issuer": issuer} for side, issuer in ISSUERS.items()},
    }


@dataclass(frozen=True)
class Registered:
    """One resource, as it is registered with the engine."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    raw: dict[str, Any]
    provider: str
    custom: bool
    parent: str
    protect: bool
    delete_before_replace: bool | None
    replacement_trigger: Any
    secret_outputs: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    dependencies: tuple[str, ...]
    plugin_download_url: str


@dataclass
class Deployment:
    """What one run of the program registered, looked up, logged and exported."""

    stack: str
    resources: list[Registered] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    raw_outputs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def of(self, type_: str) -> list[Registered]:
        return [r for r in self.resources if r.type == type_]

    def one(self, type_: str, name: str = "") -> Registered:
        found = [r for r in self.of(type_) if not name or r.name == name]
        assert len(found) == 1, [r.name for r in self.of(type_)]
        return found[0]

    def provider_of(self, resource: Registered) -> Registered:
        urn = resource.provider.rpartition("::")[0]
        return next(r for r in self.resources if r.urn == urn)

    @property
    def aws(self) -> list[Registered]:
        """Resources in an account."""
        return [r for r in self.resources if r.custom and r.type.startswith("aws:")]


Call = Callable[[str, dict[str, Any]], dict[str, Any] | None]


class Cloud(mocks.Mocks):
    """Lookups in a fake account with a default VPC, two public subnets, and both buckets."""

    def __init__(self, deployment: Deployment, call: Call | None = None) -> None:
        self._deployment = deployment
        self._call = call
        self._regions: dict[str, tuple[str, str]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = dict(args.inputs)
        if args.typ.startswith("pulumi:providers:"):
            accounts = json.loads(inputs.get("allowedAccountIds", "null")) or [inputs.get("accountId")]
            self._regions[args.name] = (inputs["region"], accounts[0])
            return args.name + "-id", inputs
        name = inputs.get("name") or args.name
        if not args.custom:
            return "", inputs
        region, account = self._regions[str(args.provider).split("::")[-2]]
        partition = partition_of(region)
        assert partition is not None
        service = args.typ.split(":")[1].split("/")[0]
        made: dict[str, Any] = {"arn": partition.arn(service, name, region=region, account=account), "name": name}
        id_ = name
        match args.typ:
            case "aws:iam/user:User":
                made |= {"uniqueId": f"AIDA{account}USER", "arn": partition.arn("iam", f"user/{name}", account=account)}
            case "aws:iam/accessKey:AccessKey":
                id_ = f"AKIA{account}"
                made |= {"secret": KEY_SECRET + account}
            case "aws:iam/role:Role":
                made |= {
                    "uniqueId": f"AROA{account}{name.upper()}",
                    "arn": partition.arn("iam", f"role/{name}", account=account),
                }
            case "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
                resource = f"oidc-provider/{inputs['url'].removeprefix('https://')}"
                made = {"arn": partition.arn("iam", resource, account=account)}
            case "aws:kms/key:Key":
                made |= {
                    "arn": partition.arn("kms", f"key/{name}", region=region, account=account),
                    "keyId": name,
                }
            case "aws:sqs/queue:Queue":
                made |= {"url": f"https://sqs.{region}.{partition.dns_suffix}/{account}/{name}"}
                id_ = made["url"]
            case "aws:secretsmanager/secret:Secret":
                made["arn"] = id_ = partition.arn(
                    "secretsmanager", f"secret:{name}-AbCdEf", region=region, account=account
                )
            case "aws:ec2/launchTemplate:LaunchTemplate":
                made |= {"latestVersion": 1}
            case _ if service == "iam":
                made["arn"] = partition.arn("iam", f"{args.typ.split(':')[-1].lower()}/{name}", account=account)
        return id_, {**made, **inputs}

    def call(self, args: mocks.MockCallArgs) -> Any:
        self._deployment.calls.append((args.token, dict(args.args), args.provider))
        if self._call is not None:
            answer = self._call(args.token, args.args)
            if answer is not None:
                return answer
        match args.token:
            case "pulumi:pulumi:readStackOutputs":
                # A failure, not an exception: what a mock raises ends the program even when the program catches it.
                return {}, [("name", f'unknown stack "{args.args["name"]}"')]
            case "dualsync:index:inspectBucket":
                return {"problem": "", "versioning": "Enabled", "ownership": "", "expiringRules": [], "rulesRead": True}
            case "aws:ec2/getInstanceType:getInstanceType":
                name = args.args["instanceType"]
                arm = re.match(r"[a-z]+[0-9]+g", name)
                return {
                    "instanceType": name,
                    "supportedArchitectures": ["arm64"] if arm else ["x86_64"],
                    "supportedUsagesClasses": ["on-demand", "spot"],
                    "id": name,
                    "region": "x",
                }
            case "aws:ec2/getAmi:getAmi":
                return {
                    "architecture": "arm64",
                    "rootDeviceName": "/dev/xvda",
                    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volume_size": "8"}}],
                    "id": "x",
                }
            case "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":
                return {"locations": ["zone-1"], "id": "x", "region": "x"}
            case "aws:iam/getSessionContext:getSessionContext":
                return {}, [("arn", "unable to get role: AccessDenied: not authorized to perform: iam:GetRole")]
            case "aws:index/getAvailabilityZones:getAvailabilityZones":
                return {"zoneIds": ["zone-1"], "id": "x", "region": "x"}
            case "aws:kms/getPublicKey:getPublicKey":
                return {"publicKey": PUBLIC_KEY, "keyId": args.args["keyId"], "id": "x", "region": "x"}
            case "aws:ec2/getVpcEndpoint:getVpcEndpoint":
                return {}, [("", "no matching EC2 VPC Endpoint found")]
            case "aws:ec2/getVpcs:getVpcs":
                return {"ids": ["vpc-0123456789abcdef0"], "id": "x", "region": "x"}
            case "aws:ec2/getSubnets:getSubnets":
                return {"ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"], "id": "x", "region": "x"}
            case "aws:ec2/getRouteTables:getRouteTables":
                return {"ids": ["rtb-0123456789abcdef0"], "id": "x", "region": "x"}
            case "aws:ec2/getRouteTable:getRouteTable":
                return {
                    "routeTableId": "rtb-0123456789abcdef0",
                    "vpcId": "vpc-0123456789abcdef0",
                    "associations": [{"main": True, "subnetId": "", "routeTableId": "rtb-0123456789abcdef0"}],
                    "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-0123456789abcdef0"}],
                }
        raise AssertionError(f"no answer for {args.token}")


@contextmanager
def own_loop() -> Iterator[None]:
    """Provide an event loop for this thread and close it; the SDK's mock monitor would leave one open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class Monitor(mocks.MockMonitor):
    """The mock monitor. It also records the options that `Mocks` do not get."""

    def __init__(self, cloud: Cloud, deployment: Deployment) -> None:
        super().__init__(cloud)
        self._deployment = deployment

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._deployment.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    urn=answer.urn,
                    inputs=revealed(plain(request.object)),
                    raw=plain(request.object),
                    provider=request.provider,
                    custom=request.custom,
                    parent=request.parent,
                    protect=request.protect,
                    delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
                    replacement_trigger=plain_value(request.replacement_trigger),
                    secret_outputs=tuple(request.additionalSecretOutputs),
                    replace_on_changes=tuple(request.replaceOnChanges),
                    dependencies=tuple(request.dependencies),
                    plugin_download_url=request.pluginDownloadURL,
                )
            )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack" in request.urn:
            self._deployment.raw_outputs = plain(request.outputs)
            self._deployment.outputs = revealed(self._deployment.raw_outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class Warnings(logging.Handler):
    """Log handler that keeps the program's warnings."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(logging.WARNING)
        self._deployment = deployment

    def emit(self, record: logging.LogRecord) -> None:
        self._deployment.warnings.append(record.getMessage())


def plain(struct: Any) -> dict[str, Any]:
    """Return a protobuf Struct as plain values, with the secrets' wrappers."""
    return {k: plain_value(v) for k, v in struct.fields.items()}


def plain_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [plain_value(v) for v in value.list_value.values]
        case None | "null_value":
            return None
        case kind:
            return getattr(value, kind)


def is_secret(raw: Any) -> bool:
    """Return whether a raw value is wrapped as a secret."""
    return isinstance(raw, dict) and raw.get(rpc._special_sig_key) == rpc._special_secret_sig


def revealed(raw: Any) -> Any:
    """Return a raw value without the secrets' wrappers, and with whole numbers as integers."""
    if is_secret(raw):
        return revealed(raw["value"])
    if isinstance(raw, dict):
        return {k: revealed(v) for k, v in raw.items()}
    if isinstance(raw, list):
        return [revealed(v) for v in raw]
    return int(raw) if isinstance(raw, float) and raw.is_integer() else raw


def in_clear(value: Any) -> Iterator[str]:
    """Yield every text in a raw value that is not inside a secret's wrapper."""
    if isinstance(value, dict):
        if not is_secret(value):
            for v in value.values():
                yield from in_clear(v)
    elif isinstance(value, list):
        for v in value:
            yield from in_clear(v)
    elif isinstance(value, str):
        yield value


def config_of(stack: str) -> dict[str, str]:
    """Return a stack's config as the engine passes it: the project's defaults, then the stack's file, as texts."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    values = {f"dualsync:{k}": v["default"] for k, v in project.items() if "default" in v}
    values |= yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def deploy(
    stack: str,
    bundles: Path,
    changes: dict[str, Any] | None = None,
    call: Call | None = None,
    cloud_of: Callable[[Deployment, Call | None], Cloud] = Cloud,
    secret: Iterable[str] = (),
) -> Deployment:
    """Run `__main__.py` as `stack` in `cloud_of`'s cloud, with config `changes` (None takes a key away).

    `secret` are the keys that are set with `--secret`.
    """
    config = config_of(stack) | {"dualsync:bundle": str(bundles)}
    for key, value in (changes or {}).items():
        config.pop(f"dualsync:{key}", None)
        if value is not None:
            config[f"dualsync:{key}"] = value if isinstance(value, str) else json.dumps(value)
    deployment = Deployment(stack)
    logger = logging.Logger("program")
    logger.addHandler(Warnings(deployment))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    cloud = cloud_of(deployment, call)
    monitor = Monitor(cloud, deployment)
    mocks.set_mocks(cloud, "dualsync", stack, False, logger, monitor, "organization")
    pulumi.runtime.set_all_config(config, [f"dualsync:{key}" for key in secret])
    set_root_resource(None)  # type: ignore[arg-type]

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.stack.run_in_stack(program))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)
    return deployment
