"""Violations of the denials: who may send to the queues, and what a thief of the dedicated user's key could do."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.seeds.access import QUEUE_POLICY, USER_POLICY, statement
from tests.unit.policy.sowing import Seed, document

NOT_PLAYED: dict[str, Any] = {"engine": False}


def without(sid: str) -> Any:
    """Remove a statement."""
    return document("policy", lambda d: d["Statement"].remove(statement(d, sid)))


def exempting(arn: str) -> Any:
    """Exempt one more principal from the denial."""
    return document(
        "policy", lambda d: statement(d, "OtherSources")["Condition"]["ArnNotLike"]["aws:PrincipalArn"].append(arn)
    )


SEEDS = (
    Seed(
        "dead-letters-of-anybody",
        "senders-denied",
        kind="QueuePolicy",
        name="dth-dual-cn-dead-letters-policy",
        change=without("OtherSources"),
        **NOT_PLAYED,
    ),
    Seed(
        "every-role-sends",
        "senders-denied",
        **QUEUE_POLICY,
        change=exempting("arn:aws-cn:iam::111122223333:role/*"),
        **NOT_PLAYED,
    ),
    Seed(
        "role-of-another-account-sends",
        "senders-denied",
        **QUEUE_POLICY,
        change=exempting("arn:aws-cn:iam::999999999999:role/x"),
        **NOT_PLAYED,
    ),
    Seed(
        "denial-on-one-source",
        "senders-denied",
        kind="QueuePolicy",
        name="dth-dual-cn-dead-letters-policy",
        change=document(
            "policy",
            lambda d: statement(d, "OtherSources").update(
                Condition={"ArnEquals": {"aws:SourceArn": "arn:aws-cn:s3:::x"}}
            ),
        ),
        **NOT_PLAYED,
    ),
    Seed("sessions-outlive-the-key", "user-confined", **USER_POLICY, change=without("NoSessions"), **NOT_PLAYED),
    Seed("keys-of-a-thief", "user-confined", **USER_POLICY, change=without("NoKeysOfOthers"), **NOT_PLAYED),
    Seed(
        "any-acl",
        "user-confined",
        **USER_POLICY,
        change=document("policy", lambda d: statement(d, "Acl").pop("Condition")),
        **NOT_PLAYED,
    ),
    Seed(
        "sessions-denied-on-a-condition",
        "user-confined",
        **USER_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "NoSessions")["Condition"].update(StringEquals={"aws:PrincipalAccount": "0"}),
        ),
        **NOT_PLAYED,
    ),
)
