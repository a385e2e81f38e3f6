"""From API calls to IAM actions: names, the provider's further calls, and which kinds of resources an action knows."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from typing import Any

RENAMED: Mapping[str, tuple[str, ...]] = {
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeleteObject": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject", "s3:GetObjectVersion"),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "logs:ListTagsLogGroup": ("logs:ListTagsForResource",),
    "logs:TagLogGroup": ("logs:TagResource",),
    "logs:UntagLogGroup": ("logs:UntagResource",),
    "sts:GetCallerIdentity": (),
}
"""Operations whose action is called otherwise (Service Authorization Reference; S3 User Guide, "Required permissions
for Amazon S3 API operations"). GetCallerIdentity needs none."""

LOOKING: Mapping[str, tuple[str, ...]] = {
    "autoscaling": ("DescribeInstanceRefreshes", "DescribeScalingActivities"),
    "ec2": ("DescribePrefixLists", "DescribeSecurityGroupRules"),
    "ecs": ("ListTagsForResource",),
    "iam": (
        *("ListAttachedRolePolicies", "ListGroupsForUser", "ListInstanceProfilesForRole", "ListPolicyVersions"),
        "ListRolePolicies",
    ),
    "s3": (
        *("GetAccelerateConfiguration", "GetBucketAcl", "GetBucketCORS", "GetBucketLocation", "GetBucketLogging"),
        *("GetBucketObjectLockConfiguration", "GetBucketRequestPayment", "GetBucketWebsite", "GetObjectTagging"),
        *("GetReplicationConfiguration", "ListTagsForResource"),
    ),
    "secretsmanager": ("GetResourcePolicy",),
}
"""What the Terraform provider behind Pulumi's reads besides, and the sandbox's handlers do not (its source:
internal/service/*/, the resources' Read functions)."""

CHANGING: Mapping[str, tuple[str, ...]] = {
    "autoscaling": ("CancelInstanceRefresh", "DeleteTags", "StartInstanceRefresh"),
    "dynamodb": ("TagResource", "UntagResource", "UpdateTable"),
    "ec2": (
        *("AuthorizeSecurityGroupIngress", "DescribeNetworkInterfaces", "ModifyVpcEndpoint"),
        *("RevokeSecurityGroupIngress", "RunInstances"),
    ),
    "ecs": ("TagResource", "UntagResource", "UpdateCluster"),
    "iam": (
        *("CreatePolicyVersion", "DeletePolicyVersion", "PassRole", "SetDefaultPolicyVersion", "TagInstanceProfile"),
        *("TagPolicy", "TagRole", "TagUser", "UntagInstanceProfile", "UntagPolicy", "UntagRole", "UntagUser"),
        *("UpdateAccessKey", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription"),
    ),
    "kms": ("PutKeyPolicy", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription"),
    "s3": ("DeleteObjectTagging", "DeleteObjectVersion", "PutObjectTagging", "TagResource", "UntagResource"),
    "secretsmanager": ("TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage"),
    "sns": ("SetSubscriptionAttributes", "TagResource", "UntagResource"),
}
"""Likewise for creating, changing and deleting. RunInstances and PassRole are asked of whoever gives a group its launch
template (Auto Scaling User Guide, "Control Amazon EC2 launch template usage")."""


class UnknownAction(Exception):
    """An action that AWS does not have: the tables above, or their spelling, are wrong."""


@functools.cache
def authorization() -> Mapping[str, Any]:
    """AWS's Service Authorization Reference as data: each service's actions, and the resources that these know."""
    # The linter for CloudFormation carries it; its package is only looked into, as importing it takes seconds.
    text = importlib.resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    found: Mapping[str, Any] = json.loads(text)
    return found


def actions(service: str, operations: Iterable[str]) -> set[str]:
    """The actions that calls of one service need. Raises `UnknownAction`."""
    found: set[str] = set()
    for operation in operations:
        name = f"{service}:{operation}"
        found |= set(RENAMED.get(name, (name,)))
    for action in found:
        knows(action)
    return found


def knows(action: str) -> tuple[str, ...]:
    """Kinds of resources that an action can be confined to; none where only `*` will do. Raises `UnknownAction`."""
    service, _, name = action.partition(":")
    table = authorization()[service]["Actions"]
    if name.lower() not in table:
        raise UnknownAction(f"{action}: AWS has no such action")
    return tuple(r.removesuffix("*") for r in table[name.lower()].get("Resources", ()))
