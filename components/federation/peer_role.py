"""Create the role that the peer's worker assumes here without any long-lived key, with `peerIdentity: role`."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.components.identity import user_policy
from dualsync.runtime.settings import token_audience, token_subject

SESSION_SECONDS = 3600
"""Longest session. The worker begins the next one before the end."""


class PeerRole(pulumi.ComponentResource):
    """The peer's issuer as an identity provider, and the role for its tokens, with the dedicated user's rights."""

    user_id: pulumi.Output[str]
    """Id of the role (AROA…), as S3's events name its sessions."""
    user_name = ""
    """Empty: a role has no user name."""
    role_arn: pulumi.Output[str]
    """ARN of the role."""
    access_key_id = ""
    """Empty: a role has no access key."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:PeerRole", context.names.of("peer-identity"), None, opts)
        names = context.names
        provider = aws.iam.OpenIdConnectProvider(
            names.of("peer-issuer"),
            url=context.peer.issuer,
            client_id_lists=[token_audience(context.pair.name, context.side)],
            tags=context.tags("peer-issuer"),
            opts=context.options(self),
        )
        role = aws.iam.Role(
            names.of("peer"),
            name=names.peer_role,
            description=f"Role of the peer of pair {context.pair.name} on this side's bucket.",
            assume_role_policy=provider.arn.apply(lambda arn: json.dumps(trust_policy(context, arn))),
            max_session_duration=SESSION_SECONDS,
            permissions_boundary=context.local.permissions_boundary or None,
            tags=context.tags("peer"),
            # A new role would have a new id, while events of the old one wait in queues for days.
            opts=context.options(self, protect=context.pair.protect),
        )
        aws.iam.RolePolicy(
            names.of("peer-policy"),
            name=names.of("peer-policy"),
            role=role.name,
            policy=json.dumps(user_policy(context, sessions=True)),
            opts=context.options(self),
        )
        self.user_id, self.role_arn = role.unique_id, role.arn
        self.register_outputs({"userId": self.user_id, "roleArn": self.role_arn})


def trust_policy(context: SideContext, provider_arn: str) -> dict[str, Any]:
    """Return the trust policy: tokens of the peer's issuer, for this role and of the peer's worker and finder only."""
    issuer = context.peer.issuer.removeprefix("https://")
    wanted = {
        f"{issuer}:aud": token_audience(context.pair.name, context.side),
        f"{issuer}:sub": token_subject(context.pair.name, context.side.peer),
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": wanted},
            }
        ],
    }
