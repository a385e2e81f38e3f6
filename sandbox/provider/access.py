"""Finds the account of a provider's configuration, as the real provider does."""

from __future__ import annotations

import functools
import json
from typing import Any

import boto3
import botocore.session

from sandbox.cloud.handle import client
from sandbox.provider.base import Account, Properties


class AccessError(Exception):
    """The provider's configuration gives no access, or access to an account that it does not allow."""


def account_of(config: Properties) -> Account:
    """Return the account of an `aws` or a `dualsync` provider, by STS. Raises `AccessError`."""
    config = {k: _decoded(v) for k, v in config.items()}
    region, endpoint = config.get("region"), _endpoint(config)
    if not region or not endpoint:
        raise AccessError("the provider needs region and endpoint, because without an endpoint it would connect to AWS")
    session = boto3.Session(profile_name=config.get("profile") or None, region_name=region)
    for role in config.get("assumeRoles") or ([{"roleArn": config["roleArn"]}] if config.get("roleArn") else []):
        given = client(session, "sts", endpoint).assume_role(
            RoleArn=role["roleArn"], RoleSessionName=role.get("sessionName") or "sandbox"
        )["Credentials"]
        session = boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=region,
        )
    who = client(session, "sts", endpoint).get_caller_identity()
    allowed = config.get("allowedAccountIds") or ([config["accountId"]] if config.get("accountId") else None)
    if allowed and who["Account"] not in allowed:
        raise AccessError(f"AWS account ID not allowed: {who['Account']} (allowed: {', '.join(allowed)})")
    partition, suffix = _partition(region)
    tags = (config.get("defaultTags") or {}).get("tags") or {}
    return Account(session, endpoint, who["Account"], region, partition, suffix, tags)


def _decoded(value: Any) -> Any:
    """Parse a value: lists, objects and flags reach a provider as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value


def _endpoint(config: Properties) -> str:
    if config.get("endpoint"):
        return str(config["endpoint"])
    addresses = {address for entry in config.get("endpoints") or () for address in entry.values() if address}
    if len(addresses) > 1:
        raise AccessError(f"the provider has several endpoints ({', '.join(sorted(addresses))}); the sandbox has one")
    return str(addresses.pop()) if addresses else ""


@functools.cache
def _partition(region: str) -> tuple[str, str]:
    loader: Any = botocore.session.Session().get_component("data_loader")
    for partition in loader.load_data("partitions")["partitions"]:
        if region in partition["regions"]:
            return partition["id"], partition["outputs"]["dnsSuffix"]
    raise AccessError(f"unknown region {region!r}")
