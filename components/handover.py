"""A side's key on its way into the peer's account, where the peer's worker reads it."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import SideModel
from dualsync.components.context import SideContext
from dualsync.components.identity import Identity


class HandOver(pulumi.ComponentResource):
    """The secret in the account of `holder`, written through the holder's provider.

    The guide's JSON keys, and the id of the user: the holder's worker works only while its credential is that
    user's. Recovery window 0, or the name would stay taken after a `destroy` (Secrets Manager, DeleteSecret).
    """

    secret_arn: pulumi.Output[str]

    def __init__(
        self, holder: SideContext, content: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dualsync:index:HandOver", holder.names.of("hand-over"), None, opts)
        secret = aws.secretsmanager.Secret(
            holder.names.of("credentials"),
            name=holder.names.secret,
            description=f"Key of the dedicated user of pair {holder.pair.name} in account {holder.peer.account_id}.",
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
        self.secret_arn = secret.arn
        self.register_outputs({"secretArn": self.secret_arn})


def secret_of(identity: Identity, side: SideModel) -> pulumi.Output[str]:
    """What is handed over, as a secret output: key, user id, and where the key opens the door."""
    return pulumi.Output.secret(
        pulumi.Output.all(key=identity.access_key_id, secret=identity.secret_access_key, user=identity.user_id).apply(
            lambda known: json.dumps(
                {
                    "access_key_id": known["key"],
                    "secret_access_key": known["secret"],
                    "user_id": known["user"],
                    "bucket": side.bucket,
                    "region": side.region,
                },
                sort_keys=True,
            )
        )
    )


def is_complete(content: object) -> bool:
    """Whether a received text is a hand-over. With another passphrase a peer's secret arrives as `{}`."""
    try:
        given = json.loads(content) if isinstance(content, str) else None
    except json.JSONDecodeError:
        return False
    wanted = ("access_key_id", "secret_access_key", "user_id")
    return isinstance(given, dict) and all(isinstance(given.get(k), str) and given[k] for k in wanted)
