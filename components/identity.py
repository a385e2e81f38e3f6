"""The dedicated user that the peer's worker acts as here, and by whose id this side's worker knows its echoes."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext


class Identity(pulumi.ComponentResource):
    """Policy, user and access key. The secret key is a secret output and goes into the hand-over only."""

    user_id: pulumi.Output[str]
    user_name: pulumi.Output[str]
    user_arn: pulumi.Output[str]
    access_key_id: pulumi.Output[str]
    secret_access_key: pulumi.Output[str]

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Identity", context.names.of("identity"), None, opts)
        names, protect = context.names, context.pair.protect
        policy = aws.iam.Policy(
            names.of("policy"),
            name=names.policy,
            description=f"What the peer of pair {context.pair.name} may do with bucket {context.local.bucket}.",
            policy=json.dumps(user_policy(context)),
            tags=context.tags("policy"),
            opts=context.options(self),
        )
        user = aws.iam.User(
            names.of("user"),
            name=names.user,
            permissions_boundary=context.local.permissions_boundary or None,
            force_destroy=not protect,
            tags=context.tags("user"),
            # A new user would have a new id, while events of the old one wait in queues for days.
            opts=context.options(self, protect=protect),
        )
        attachment = aws.iam.UserPolicyAttachment(
            names.of("user-policy"), user=user.name, policy_arn=policy.arn, opts=context.options(self)
        )
        # A higher keyVersion makes a new key, the hand-over's secret follows, and only then the old key is deleted.
        # IAM allows a user two keys, so this must not happen the other way round, nor twice at once.
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


def user_policy(context: SideContext) -> dict[str, Any]:
    """The guide's eight actions, each on the resource that it knows, objects under the side's prefix only.

    ListBucket has no `s3:prefix` condition: HEAD and GET do not meet it, and without ListBucket S3 answers 403 for a
    missing key, so that "is it gone?" would read as a fault of the credential (S3 API Reference, GetObject).
    """
    objects = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ]
    if context.peer.replicas.acl:
        objects.append("s3:PutObjectAcl")
    if context.peer.replicas.include_tags:
        objects += ["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"]
    key = context.peer.replicas.kms_key
    encryption = {
        "Sid": "Key",
        "Effect": "Allow",
        # Decrypt, as an upload in parts reads what it has written (KMS developer guide, "How Amazon S3 uses AWS KMS").
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": key,
    }
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
            *([encryption] if key else []),
        ],
    }
