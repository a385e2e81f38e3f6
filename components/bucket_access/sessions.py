"""Reach an account as the AWS provider does: with the same profile, role and endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from dualsync.components.config.model import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One account and the way into it."""

    region: str
    """Region of the side."""
    account_id: str
    """Account that the credentials must be of."""
    access: Access
    """Profile, role and endpoint."""


class WrongAccountError(Exception):
    """The credentials are another account's."""


def s3_client(reach: Reach) -> Any:
    """Return an S3 client of the side's account. Raises `WrongAccountError` before anything is read or written."""
    return account_client(account_session(reach), reach, "s3")


def account_session(reach: Reach) -> boto3.Session:
    """Return a session of the side's account. Raises `WrongAccountError` if the credentials are another's."""
    session = session_of(reach)
    actual = account_client(session, reach, "sts").get_caller_identity()["Account"]
    if actual != reach.account_id:
        raise WrongAccountError(
            f"is of account {actual}, not of {reach.account_id}; swap the profiles, or correct accountId"
        )
    return session


def account_client(session: boto3.Session, reach: Reach, service: str) -> Any:
    """Return a service's client in the side's region, at its endpoint."""
    endpoint = reach.access.endpoint or None
    config = Config(s3={"addressing_style": "path"}) if endpoint else Config()
    connect: Any = session.client
    return connect(service, region_name=reach.region, endpoint_url=endpoint, config=config)


def session_of(reach: Reach) -> boto3.Session:
    """Return a session with the side's profile or role."""
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
