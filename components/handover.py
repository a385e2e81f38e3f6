"""Write a side's hand-over (access key or role) into the peer's account, where the peer's worker reads it."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import PeerIdentity, SideModel
from dualsync.components.context import SideContext
from dualsync.components.federation.peer_role import PeerRole
from dualsync.components.identity import Identity

_WHAT = {PeerIdentity.USER: "Key of the dedicated user", PeerIdentity.ROLE: "Role for the peer"}


class HandOver(pulumi.ComponentResource):
    """The secret in the account of `holder`, written through the holder's provider.

    It holds the guide's JSON keys and the id of the user, or a role's ARN and id: the holder's worker runs only while
    its credential is that user's or role's. The recovery window is 0; otherwise the name would stay taken after a
    `destroy` (Secrets Manager, DeleteSecret).
    """

    secret_arn: pulumi.Output[str]
    """ARN of the secret."""

    def __init__(
        self, holder: SideContext, content: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dualsync:index:HandOver", holder.names.of("hand-over"), None, opts)
        secret = aws.secretsmanager.Secret(
            holder.names.of("credentials"),
            name=holder.names.secret,
            description=f"{_WHAT[holder.pair.peer_identity]} of pair {holder.pair.name} in account"
            f" {holder.peer.account_id}.",
            kms_key_id=holder.kms_key_arn,
            recovery_window_in_days=0,
            tags=holder.tags("credentials"),
            opts=holder.options(self, delete_before_replace=True),
        )
        aws.secretsmanager.SecretVersion(
            holder.names.of("credentials-value"),
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(content),
            opts=holder.options(self),
        )
        if holder.local.security.deployers:
            aws.secretsmanager.SecretPolicy(
                holder.names.of("credentials-policy"),
                secret_arn=secret.arn,
                policy=json.dumps(secret_policy(holder)),
                block_public_policy=True,
                opts=holder.options(self),
            )
        self.secret_arn = secret.arn
        self.register_outputs({"secretArn": self.secret_arn})


def secret_policy(holder: SideContext) -> dict[str, Any]:
    """Return the secret's policy: its value is denied to all but worker, finder and the deployers.

    Only reading and writing the value is denied. Administrators of secrets in the account can still replace the policy
    or delete the secret, so that a wrong list of deployers can always be corrected.
    """
    allowed = [holder.role_arn("worker"), holder.role_arn("finder-task"), *holder.local.security.deployers]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyWorkerFinderDeployers",
                "Effect": "Deny",
                "Principal": "*",
                "Action": [
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:PutSecretValue",
                    # Both change what is read: UpdateSecret writes a value, the other brings back an earlier one.
                    "secretsmanager:UpdateSecret",
                    "secretsmanager:UpdateSecretVersionStage",
                ],
                "Resource": "*",
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": allowed}},
            }
        ],
    }


def secret_of(identity: Identity | PeerRole, side: SideModel) -> pulumi.Output[str]:
    """Return the hand-over as a secret output: key or role, its id, and the bucket that they are for."""
    place = {"bucket": side.bucket, "region": side.region}
    if isinstance(identity, PeerRole):
        role = pulumi.Output.all(role_arn=identity.role_arn, user_id=identity.user_id)
        return pulumi.Output.secret(role.apply(lambda known: json.dumps({**known, **place}, sort_keys=True)))
    return pulumi.Output.secret(
        pulumi.Output.all(key=identity.access_key_id, secret=identity.secret_access_key, user=identity.user_id).apply(
            lambda known: json.dumps(
                {
                    "access_key_id": known["key"],
                    "secret_access_key": known["secret"],
                    "user_id": known["user"],
                    **place,
                },
                sort_keys=True,
            )
        )
    )


def identity_in(content: object) -> PeerIdentity | None:
    """Return what a received text hands over, a user's key or a role; None if it is no hand-over.

    With another passphrase a peer's secret arrives as `{}`.
    """
    try:
        given = json.loads(content) if isinstance(content, str) else None
    except json.JSONDecodeError:
        return None
    if not isinstance(given, dict):
        return None
    for kind, wanted in FIELDS.items():
        if all(isinstance(given.get(k), str) and given[k] for k in wanted):
            return kind
    return None


FIELDS = {
    PeerIdentity.USER: ("access_key_id", "secret_access_key", "user_id"),
    PeerIdentity.ROLE: ("role_arn", "user_id"),
}
"""Fields of a hand-over that the holder's worker needs."""
