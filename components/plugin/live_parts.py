"""Find the parts that only a deployed side has, so that a second state is refused before it creates anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from dualsync.components.bucket_access.sessions import Reach, WrongAccountError, account_client, account_session
from dualsync.components.config.names import PAIR_TAG

_ABSENT = frozenset({"NoSuchEntity", "ResourceNotFoundException"})
"""Codes with which IAM and DynamoDB answer for a resource that does not exist."""


def belongs_to_another_state(reach: Reach, parts: Sequence[str]) -> str:
    """Return why a state that holds nothing of a side must not deploy it, or nothing.

    One existing part proves nothing: an operator may have kept the ledger of an earlier pair, to import it. All of them
    exist for a deployed side only. Where an answer is missing (no credentials, another account,
    no permission) nothing is proven; the lookups that follow report the cause.

    Args:
        reach: The account, and the way into it.
        parts: Kind and name of each part, as in `table/dth-dual-cn-ledger`.
    """
    if not parts:
        return ""
    try:
        session = account_session(reach)
        if not all(_exists(account_client(session, reach, _SERVICES[_kind(part)]), reach, part) for part in parts):
            return ""
    except (WrongAccountError, BotoCoreError, ClientError):
        return ""
    found = " and ".join(part.replace("/", " ", 1) for part in parts)
    return (
        f"account {reach.account_id} already has {found}, which this stack's state does not hold; another state deploys"
        " this pair: select its backend and stack (`pulumi login`, `pulumi stack select`), or set pair to another name"
    )


_SERVICES = {"table": "dynamodb", "role": "iam", "user": "iam", "policy": "iam"}


def _kind(part: str) -> str:
    return part.partition("/")[0]


def _exists(client: Any, reach: Reach, part: str) -> bool:
    """Return whether the part exists and is of some pair. What an operator made by hand has no tag of a pair."""
    kind, _, name = part.partition("/")
    try:
        if kind == "table":
            client.describe_table(TableName=name)
            return True
        if kind == "role":
            found = client.get_role(RoleName=name)["Role"]
        elif kind == "user":
            found = client.get_user(UserName=name)["User"]
        else:
            arn = f"arn:{client.meta.partition}:iam::{reach.account_id}:policy/{name}"
            found = client.get_policy(PolicyArn=arn)["Policy"]
    except ClientError as e:
        if e.response["Error"]["Code"] in _ABSENT:
            return False
        raise
    return PAIR_TAG in {tag["Key"] for tag in found.get("Tags", ())}
