"""From API calls to IAM actions: names, further calls of the provider, and the resources of an action."""

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
"""Operations whose action has another name (Service Authorization Reference; S3 User Guide, "Required permissions
for Amazon S3 API operations"). GetCallerIdentity needs none."""

READING: Mapping[str, tuple[str, ...]] = {
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
"""Further calls of the Terraform provider behind Pulumi's when it reads a resource, which the sandbox's handlers do not
make (its source: internal/service/*/, the resources' Read functions)."""

CHANGING: Mapping[str, tuple[str, ...]] = {
    "autoscaling": ("CancelInstanceRefresh", "DeleteTags", "StartInstanceRefresh"),
    "dynamodb": ("TagResource", "UntagResource", "UpdateTable"),
    "ec2": (*("DescribeNetworkInterfaces", "ModifyVpcEndpoint", "RunInstances"),),
    "ecs": ("TagResource", "UntagResource", "UpdateCluster"),
    "iam": (
        *("CreatePolicyVersion", "DeletePolicyVersion", "PassRole", "SetDefaultPolicyVersion", "TagInstanceProfile"),
        *("TagPolicy", "TagRole", "TagUser", "UntagInstanceProfile", "UntagPolicy", "UntagRole", "UntagUser"),
        *("PutRolePermissionsBoundary", "PutUserPermissionsBoundary"),
        *("AddClientIDToOpenIDConnectProvider", "RemoveClientIDFromOpenIDConnectProvider"),
        *("TagOpenIDConnectProvider", "UntagOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint"),
        *("DeleteLoginProfile", "ListMFADevices", "ListSSHPublicKeys", "ListServiceSpecificCredentials"),
        *("ListSigningCertificates", "ListUserPolicies", "ListVirtualMFADevices"),
        *("UpdateAccessKey", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription"),
    ),
    "kms": ("PutKeyPolicy", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription"),
    "logs": ("AssociateKmsKey", "DisassociateKmsKey"),
    "s3": ("DeleteObjectTagging", "DeleteObjectVersion", "PutObjectTagging", "TagResource", "UntagResource"),
    "secretsmanager": ("TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage"),
    "ssm": ("GetParameters",),
    "sns": ("SetSubscriptionAttributes", "TagResource", "UntagResource"),
}
"""Further calls for creating, changing and deleting.

Auto Scaling requires RunInstances, PassRole and, for an image given as a parameter, ssm:GetParameters of a caller that
gives a group its launch template (EC2 Auto Scaling User Guide, "Control Amazon EC2 launch template usage" and "Use AWS
Systems Manager parameters instead of AMI IDs"). Before a user with `force_destroy` the provider deletes what the user
could have: passwords, certificates, keys for repositories, devices (`resourceUserDelete`)."""


class UnknownActionError(Exception):
    """An action that AWS does not have: the tables above, or their spelling, are wrong."""


@functools.cache
def authorization() -> Mapping[str, Any]:
    """Return AWS's Service Authorization Reference as data: each service's actions, and their kinds of resources."""
    # The linter for CloudFormation carries it. Its package is not imported, which would take seconds.
    text = importlib.resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    found: Mapping[str, Any] = json.loads(text)
    return found


def actions(service: str, operations: Iterable[str]) -> set[str]:
    """Return the actions that calls of one service need. Raises `UnknownActionError`."""
    found: set[str] = set()
    for operation in operations:
        name = f"{service}:{operation}"
        found |= set(RENAMED.get(name, (name,)))
    for action in found:
        resource_kinds(action)
    return found


@functools.cache
def resource_kinds(action: str) -> tuple[str, ...]:
    """Return the kinds of resources that an action can be confined to; none where only `*` is possible.

    Raises `UnknownActionError`.
    """
    service, _, name = action.partition(":")
    table = authorization()[service]["Actions"]
    if name.lower() not in table:
        raise UnknownActionError(f"{action}: AWS has no such action")
    return tuple(r.removesuffix("*") for r in table[name.lower()].get("Resources", ()))
