"""Finds the principal of a request: from the access key id in its signature to the account and the unique id.

Source: IAM User Guide, "IAM identifiers" (AIDA… users, AROA… roles) and STS "GetCallerIdentity" (`AROA…:session`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.cloud.accounts import ACCOUNTS

_SCOPE = re.compile(r"Credential=([A-Za-z0-9]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9.-]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Scope:
    """The credential scope of a signature, version 4."""

    access_key_id: str
    """Access key id."""

    region: str
    """Region that was signed."""

    service: str
    """Service that was signed, in its signing name."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A known principal."""

    account_id: str
    """Its account."""

    user_id: str
    """Its unique id as GetCallerIdentity returns it."""

    source_ip: str = "127.0.0.1"
    """Address of the connection."""

    secret: str = field(default="", repr=False)
    """Secret access key of the key that the request names."""

    token: str = field(default="", repr=False)
    """Session token that the request must carry; empty for a user's key."""


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The principal of the request that this thread serves; None for an unsigned request."""


class UnknownKeyError(Exception):
    """No account has this access key, or it is inactive."""


class ExpiredTokenError(Exception):
    """A role session has expired."""


def scope_of(environ: Mapping[str, Any]) -> Scope | None:
    """Read the scope of a header's or a presigned URL's signature; None for an unsigned request."""
    text = environ.get("HTTP_AUTHORIZATION") or ""
    if not text and "X-Amz-Credential=" in environ.get("QUERY_STRING", ""):
        text = unquote(environ["QUERY_STRING"]).replace("X-Amz-Credential=", "Credential=")
    match = _SCOPE.search(text)
    return Scope(*match.groups()) if match else None


def identify(access_key_id: str, source_ip: str = "127.0.0.1") -> Caller:
    """Return the principal whose key this is. Raises `UnknownKeyError` and `ExpiredTokenError`."""
    for account in ACCOUNTS.values():
        key = iam_backends[account.account_id][account.partition].access_keys.get(access_key_id)
        if key is None:
            continue
        if key.status != "Active":
            raise UnknownKeyError(access_key_id)
        if key.user_name is None:
            return _session(account.account_id, account.partition, access_key_id, source_ip)
        user = iam_backends[account.account_id][account.partition].users[key.user_name]
        return Caller(account.account_id, user.id, source_ip, key.secret_access_key)
    raise UnknownKeyError(access_key_id)


def arn(caller: Caller) -> str:
    """Return the ARN of a user or of a role's session; empty for another principal."""
    unique_id, _, session = caller.user_id.partition(":")
    for account in ACCOUNTS.values():
        if account.account_id == caller.account_id:
            known = iam_backends[account.account_id][account.partition]
            for user in known.users.values():
                if user.id == unique_id:
                    return str(user.arn)
            for role in known.roles.values():
                if role.id == unique_id:
                    return f"arn:{account.partition}:sts::{account.account_id}:assumed-role/{role.name}/{session}"
    return ""


def _session(account_id: str, partition: str, access_key_id: str, source_ip: str) -> Caller:
    role = sts_backends[account_id][partition].get_assumed_role_from_access_key(access_key_id)
    if role is None:
        raise UnknownKeyError(access_key_id)
    if role.expiration < utcnow():
        raise ExpiredTokenError(access_key_id)
    return Caller(account_id, role.user_id, source_ip, role.secret_access_key, role.session_token)
