"""How the program's own provider reaches an account: the same profile, role and endpoint as the AWS provider's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from dualsync.components.config.model import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where and as whom. `account_id` is what the credentials must turn out to be."""

    region: str
    account_id: str
    access: Access


class WrongAccount(Exception):
    """The credentials are another account's."""


def s3_client(reach: Reach) -> Any:
    """An S3 client in the side's account. Raises `WrongAccount` before anything is read or written there."""
    session = _session(reach)
    endpoint = reach.access.endpoint or None
    sts = session.client("sts", region_name=reach.region, endpoint_url=endpoint)
    actual = sts.get_caller_identity()["Account"]
    if actual != reach.account_id:
        raise WrongAccount(
            f"the credentials (profile {reach.access.profile!r}) are account {actual}'s, not {reach.account_id}'s:"
            " swap the profiles, or mend accountId"
        )
    config = Config(s3={"addressing_style": "path"}) if endpoint else Config()
    return session.client("s3", region_name=reach.region, endpoint_url=endpoint, config=config)


def _session(reach: Reach) -> boto3.Session:
    access = reach.access
    session = boto3.Session(profile_name=access.profile or None, region_name=reach.region)
    if not access.role_arn:
        return session
    sts: Any = session.client("sts", region_name=reach.region, endpoint_url=access.endpoint or None)
    more = {"ExternalId": access.external_id} if access.external_id else {}
    c = sts.assume_role(RoleArn=access.role_arn, RoleSessionName="dualsync", **more)["Credentials"]
    return boto3.Session(
        aws_access_key_id=c["AccessKeyId"],
        aws_secret_access_key=c["SecretAccessKey"],
        aws_session_token=c["SessionToken"],
        region_name=reach.region,
    )
