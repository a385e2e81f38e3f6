"""Create the dedicated user: the peer's worker acts as it here, and this side's worker recognises echoes by its id."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext

Statement = dict[str, Any]


class Identity(pulumi.ComponentResource):
    """Policy, user and access key. The secret key is a secret output and is only used for the hand-over."""

    user_id: pulumi.Output[str]
    """Id of the user (AIDA…), as S3's events name it."""
    user_name: pulumi.Output[str]
    """Name of the user."""
    user_arn: pulumi.Output[str]
    """ARN of the user."""
    access_key_id: pulumi.Output[str]
    """Id of the access key."""
    secret_access_key: pulumi.Output[str]
    """Secret of the access key, a secret output."""
    role_arn = ""
    """Empty: a user has no role."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        # Elsewhere the subscription names the bucket that the user is for. The policy pack reads it here.
        local = context.local
        facts = {"bucket": local.bucket, "prefix": local.prefix, "owner": local.account_id}
        known = facts if not context.pair.carries(context.side) else None
        super().__init__("dualsync:index:Identity", context.names.of("identity"), known, opts)
        names = context.names
        policy = aws.iam.Policy(
            names.of("policy"),
            name=names.policy,
            # Without the bucket's name: a new description replaces a policy, and the peer is denied meanwhile.
            description=f"Rights of the peer of pair {context.pair.name} on this side's bucket.",
            policy=json.dumps(user_policy(context)),
            tags=context.tags("policy"),
            opts=context.options(self),
        )
        # Key and attachment are resources of their own and are deleted before the user, so the provider's
        # force_destroy would only add calls that the deployment's role does not need otherwise.
        user = aws.iam.User(
            names.of("user"),
            name=names.user,
            permissions_boundary=context.local.permissions_boundary or None,
            tags=context.tags("user"),
            # A new user would have a new id, while events of the old one wait in queues for days. Another name means
            # another user: the provider renames a user but then looks for the old key under the old name.
            opts=context.options(self, protect=context.pair.protect, replace_on_changes=["name"]),
        )
        attachment = aws.iam.UserPolicyAttachment(
            names.of("user-policy"),
            user=user.name,
            policy_arn=policy.arn,
            opts=context.options(self),
        )
        # A higher keyVersion creates a new key, the hand-over's secret follows, and only then the old key is deleted.
        # IAM allows a user two keys, so neither the reverse order nor two rotations at once would work.
        key = aws.iam.AccessKey(
            names.of("key"),
            user=user.name,
            opts=context.options(
                self,
                depends_on=[attachment],
                replacement_trigger=context.pair.key_version,
                delete_before_replace=False,
                additional_secret_outputs=["secret", "sesSmtpPasswordV4"],
            ),
        )
        self.user_id, self.user_name, self.user_arn = user.unique_id, user.name, user.arn
        self.access_key_id = key.id
        self.secret_access_key = pulumi.Output.secret(key.secret)
        self.register_outputs({"userId": self.user_id, "userName": self.user_name})


def user_policy(context: SideContext, *, sessions: bool = False) -> dict[str, Any]:
    """Return the user's policy: the guide's eight actions, each on its resource, objects under the side's prefix only.

    With `sessions` it is a role's, which has nothing but sessions.

    ListBucket has no `s3:prefix` condition: HEAD and GET do not meet it, and without ListBucket S3 answers 403 for a
    missing key, so that a missing object would be taken for a fault of the credential (S3 API Reference, GetObject).
    """
    objects = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ]
    if context.peer.replicas.include_tags:
        objects += ["s3:PutObjectTagging"]
        # Tags are read here only when an object is copied from here.
        objects += ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"] if context.pair.carries(context.side) else []
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Bucket",
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
                "Resource": context.local.bucket_arn,
            },
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": sorted(objects),
                "Resource": context.local.objects_arns,
            },
            *_acl(context),
            *_key(context),
            *_denials(context, sessions=sessions),
        ],
    }


def _acl(context: SideContext) -> list[Statement]:
    """Allow the configured canned ACL and no other, nor grants: those requests lack the condition's key."""
    acl = context.peer.replicas.acl
    if not acl:
        return []
    return [
        {
            "Sid": "Acl",
            "Effect": "Allow",
            "Action": ["s3:PutObjectAcl"],
            "Resource": context.local.objects_arns,
            "Condition": {"StringEquals": {"s3:x-amz-acl": acl}},
        }
    ]


def _key(context: SideContext) -> list[Statement]:
    """Allow the use of the replicas' KMS key, through S3 only."""
    key = context.peer.replicas.kms_key
    if not key:
        return []
    return [
        {
            "Sid": "Key",
            "Effect": "Allow",
            # Decrypt, as an upload in parts reads what it has written (KMS developer guide, "How Amazon S3 uses AWS
            # KMS").
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key,
            "Condition": context.via_services("s3"),
        }
    ]


def _denials(context: SideContext, *, sessions: bool) -> list[Statement]:
    """Deny what a thief of the key could do beyond what the worker does.

    Session credentials are denied because `sts:GetSessionToken` needs no permission and its sessions outlive the key
    for up to 36 hours (IAM User Guide, "Disabling permissions for temporary security credentials"). Requests that a
    service makes on the user's behalf, as S3 to KMS, carry such credentials by design and are exempt.
    """
    direct = {"aws:ViaAWSService": "false"}
    found: list[Statement] = []
    if not sessions:
        found.append(
            {
                "Sid": "NoSessions",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"Null": {"aws:TokenIssueTime": "false"}, "BoolIfExists": direct},
            }
        )
    found.append(
        {
            "Sid": "NoKeysOfOthers",
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": "*",
            "Condition": {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
        }
    )
    if context.local.peer_addresses:
        found.append(
            {
                "Sid": "OnlyPeerAddresses",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {
                    "NotIpAddress": {"aws:SourceIp": list(context.local.peer_addresses)},
                    "BoolIfExists": direct,
                },
            }
        )
    return found
