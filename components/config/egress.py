"""Derive how worker and finder reach AWS: through a proxy or not, and at which endpoints. Pure: no cloud, no Pulumi."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.regions import EndpointResolver

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel, SideModel
from dualsync.components.config.partitions import partition_of

DIRECT = ("169.254.169.254", "169.254.170.2")
"""Addresses of the machine itself: instance metadata (EC2 User Guide, "Instance metadata"), and a task's metadata and
credentials (ECS Developer Guide, "Task IAM role"). Through a proxy they would be those of the proxy's machine."""

FIPS, DUAL_STACK = "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"
"""Variables of the AWS SDK (AWS SDKs and Tools Reference Guide, "Dual-stack and FIPS endpoints")."""

_VARIABLES = ("HTTPS_PROXY", "NO_PROXY", FIPS, DUAL_STACK)
_ENDPOINT = "AWS_ENDPOINT_URL_"

SERVICES: Mapping[str, str] = {
    "s3": "S3",
    "sqs": "SQS",
    "dynamodb": "DYNAMODB",
    "secretsmanager": "SECRETS_MANAGER",
    "sts": "STS",
    "kms": "KMS",
    "ecs": "ECS",
    "autoscaling": "AUTO_SCALING",
    "logs": "CLOUDWATCH_LOGS",
    "monitoring": "CLOUDWATCH",
}
"""Services that a side's worker, finder and their machine call in its own account: the name in host names, and in the
variable `AWS_ENDPOINT_URL_<SERVICE>` (AWS SDKs and Tools Reference Guide, "Service-specific endpoints")."""

_PROXY = re.compile(r"https?://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})/?", re.ASCII)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_NAME = re.compile(rf"(?:\*?\.)?{_LABEL}(?:\.{_LABEL})*")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?")


def check(model: SideModel) -> None:
    """Raise `ConfigError` for a proxy or endpoints that worker and finder could not use."""
    _check_proxy(model)
    network = model.network
    for entry in network.no_proxy:
        if not _is_entry(entry):
            remedy = "use a name, .suffix, address or network (10.0.0.0/8) per entry; a port may follow a name"
            raise ConfigError(model.key("noProxy"), entry, "not an entry of NO_PROXY", remedy)
    if network.no_proxy and not network.https_proxy:
        problem = "has no use without httpsProxy"
        raise ConfigError(model.key("noProxy"), list(network.no_proxy), problem, "give both, or neither")
    _check_endpoints(model)


def _check_proxy(model: SideModel) -> None:
    key, url = model.key("httpsProxy"), model.network.https_proxy
    if not url:
        return
    # A password in it would be shown by the error too, so no value is.
    if "@" in url:
        raise ConfigError(
            key,
            None,
            "has a user or a password, which all who may describe the launch template could read",
            "use http://host:port, and let the proxy admit the addresses of the subnets",
        )
    found = _PROXY.fullmatch(url)
    if found is None or not _is_port(found["port"]):
        remedy = "use http://host:port, or https://host:port for a proxy with TLS"
        raise ConfigError(key, url, "not the address of an HTTP proxy", remedy)


def _is_entry(text: str) -> bool:
    """Return whether the runtime's proxy module reads an entry of NO_PROXY as it is meant (`*` would turn all off)."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed:
        name, port = bracketed[1], bracketed[2] or ""
        return _is_network(name) and ":" in name and _is_port(port)
    name, port = text, ""
    if text.count(":") == 1:
        name, colon, port = text.partition(":")
        if colon and not port:
            return False
    if not _is_port(port):
        return False
    # A name of digits alone is an address, or none at all.
    return _is_network(name) or (bool(_NAME.fullmatch(name)) and bool(re.search(r"[A-Za-z]", name)))


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "%" not in text


def _is_port(text: str) -> bool:
    return not text or (bool(re.fullmatch(r"[0-9]{1,5}", text, re.ASCII)) and 1 <= int(text) <= 65535)


def _check_endpoints(model: SideModel) -> None:
    network = model.network
    key = model.key("fipsEndpoints")
    if network.fips_endpoints and network.dual_stack_endpoints:
        problem = f"{key} is true too, and few services have an endpoint that is both"
        raise ConfigError(model.key("dualStackEndpoints"), True, problem, "set one of the two")
    for name, on in (("fipsEndpoints", network.fips_endpoints), ("dualStackEndpoints", network.dual_stack_endpoints)):
        if on and model.access.endpoint:
            problem = f"has no use with {model.side}.endpoint, which replaces AWS's endpoints"
            raise ConfigError(model.key(name), True, problem, "remove either")
    if network.fips_endpoints:
        if model.partition.id == "aws-cn":
            raise ConfigError(
                key, True, "China regions have no FIPS endpoints", "remove it, or give it inside the other side"
            )
        missing = [service for service in SERVICES if not listed(service, model.region, FIPS)]
        if missing:
            problem = f"{model.region} has no FIPS endpoint of {', '.join(missing)}, which worker and finder call"
            raise ConfigError(key, True, problem, "remove it, or use a bucket in a region that has them")


def port(model: SideModel) -> int | None:
    """Return the proxy's port; None without a proxy."""
    return urlsplit(model.network.https_proxy).port


def address(model: SideModel) -> str:
    """Return the proxy's address as a network (`10.0.0.7/32`), if config gives an address; else nothing."""
    try:
        return str(ipaddress.IPv4Network(urlsplit(model.network.https_proxy).hostname or ""))
    except ValueError:
        return ""


def variables(model: SideModel) -> dict[str, str]:
    """Return the environment variables for a side's worker and finder; none where config has none of the options.

    A service for which the SDK lists no dual-stack endpoint is named at its ordinary one, as the SDK would otherwise
    send its requests to a name that may not exist.
    """
    found: dict[str, str] = {}
    network = model.network
    if network.https_proxy:
        # `.suffix` is what every program on the worker takes; Python's and curl's do not take `*.suffix`.
        own = (re.sub(r"^\*\.", ".", entry) for entry in network.no_proxy)
        found |= {"HTTPS_PROXY": network.https_proxy.rstrip("/"), "NO_PROXY": ",".join(dict.fromkeys((*DIRECT, *own)))}
    flag = _flag(model)
    if flag:
        found[flag] = "true"
        found |= {
            f"{_ENDPOINT}{name}": ordinary(service, model.region)
            for service, name in SERVICES.items()
            if not listed(service, model.region, flag)
        }
    return found


def carried(environment: Mapping[str, str]) -> list[str]:
    """Return the names of these variables in an environment, which the worker's machine needs too."""
    return [*(n for n in _VARIABLES if n in environment), *(n for n in sorted(environment) if n.startswith(_ENDPOINT))]


def peer_endpoint(pair: PairModel, model: SideModel, service: str) -> str:
    """Return the address of a service in the peer's account, if this side's variables would not lead there.

    They hold for both accounts. Where the peer's region has no such endpoint, as China has none with FIPS, the
    service's ordinary one is named.
    """
    peer = pair.side(model.side.peer)
    flag = _flag(model)
    if peer.access.endpoint or not flag or listed(service, peer.region, flag):
        return peer.access.endpoint
    return ordinary(service, peer.region)


def ordinary(service: str, region: str) -> str:
    """Return the address of a service's endpoint without a variant."""
    partition = partition_of(region)
    if partition is None:
        raise LookupError(region)
    return f"https://{service}.{region}.{partition.dns_suffix}"


def fips_host(service: str, region: str) -> str:
    """Return the host of a service's FIPS endpoint. Raises `LookupError` where there is none."""
    host = listed(service, region, FIPS)
    if not host:
        raise LookupError(f"{service} in {region}")
    return host


@functools.cache
def listed(service: str, region: str, flag: str) -> str:
    """Return the host of a service's FIPS or dual-stack endpoint as the SDK lists it (`endpoints.json`); else nothing.

    The list has a pattern per partition too, which yields a name for each service, existing or not. It does not count.
    """
    fips = flag == FIPS
    partition = next((p for p in _endpoints()["partitions"] if region in p["regions"]), None)
    if partition is None or region not in partition["services"].get(service, {}).get("endpoints", {}):
        return ""
    entry = partition["services"][service]
    variants = [
        v for holder in (entry["endpoints"][region], entry.get("defaults", {})) for v in holder.get("variants", ())
    ]
    if (["fips"] if fips else ["dualstack"]) not in [variant["tags"] for variant in variants]:
        return ""
    found = EndpointResolver(_endpoints()).construct_endpoint(
        service, region, partition["partition"], use_fips_endpoint=fips, use_dualstack_endpoint=not fips
    )
    return str(found["hostname"]) if found else ""


def _flag(model: SideModel) -> str:
    if model.network.fips_endpoints:
        return FIPS
    return DUAL_STACK if model.network.dual_stack_endpoints else ""


@functools.cache
def _endpoints() -> Any:
    return botocore.session.Session().get_data("endpoints")
