"""Rights that options of the configuration add to the roles. The recorded deployments do not have these options."""

from __future__ import annotations

from typing import Any, cast

from dualsync.components.context import SideContext
from tools.iam_roles.scopes import Scopes
from tools.iam_roles.statements import Statement, allow

CUSTOMER_KEY = {
    "deploy": (
        ("dynamodb", "s3", "secretsmanager"),
        ("CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"),
    ),
    "hand-over": (("secretsmanager",), ("Decrypt", "Encrypt", "GenerateDataKey")),
    "drift": (("s3", "secretsmanager"), ("Decrypt",)),
}
"""Per role, the services that use the side's customer managed key with the caller's rights, and its actions (DynamoDB
Developer Guide, "Encryption at rest: how it works"; Secrets Manager User Guide, "Secret encryption and decryption";
S3 User Guide, "Using server-side encryption with AWS KMS keys"). The others use it as services, by the key's policy."""

EVENTS_TOPIC = {
    "deploy": ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Subscribe", "Unsubscribe"),
    "drift": ("GetSubscriptionAttributes",),
}
"""Per role, the actions on a topic of another owner to which the side's queue subscribes."""


def options(scopes: Scopes, role: str) -> list[Statement]:
    """Return what a role may do because of the side's `kmsKeyArn`, `deployers` and `eventsTopicArn`."""
    return [*_customer_key(scopes, role), *_secret_policy(scopes, role), *_events_topic(scopes, role)]


def _customer_key(scopes: Scopes, role: str) -> list[Statement]:
    """Return the use of the side's customer managed key, through those services only."""
    key = scopes.pair.side(scopes.side).security.kms_key_arn
    if not key or role not in CUSTOMER_KEY:
        return []
    services, names = CUSTOMER_KEY[role]
    # The provider is for resources and lookups, and there are none.
    condition = SideContext(scopes.pair, scopes.side, cast(Any, None)).via_services(*services)
    return [allow("CustomerKey", {f"kms:{name}" for name in names}, (key,), condition)]


def _secret_policy(scopes: Scopes, role: str) -> list[Statement]:
    """Return the right to give the secret its policy, and no public one."""
    if not scopes.pair.side(scopes.side).security.deployers or role not in ("deploy", "hand-over"):
        return []
    secret = scopes.table()["secretsmanager", "Secret"]
    no_public = {"Bool": {"secretsmanager:BlockPublicPolicy": "true"}}
    return [
        allow("SecretPolicyMake", {"secretsmanager:PutResourcePolicy"}, secret, no_public),
        allow("SecretPolicyDelete", {"secretsmanager:DeleteResourcePolicy"}, secret),
    ]


def _events_topic(scopes: Scopes, role: str) -> list[Statement]:
    """Return the subscription to the given topic of the bucket's events."""
    topic = scopes.pair.side(scopes.side).events_topic_arn
    if not topic or role not in EVENTS_TOPIC:
        return []
    return [allow("EventsTopic", {f"sns:{name}" for name in EVENTS_TOPIC[role]}, (topic,))]
