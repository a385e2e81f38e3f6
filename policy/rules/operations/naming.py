"""Every resource has a name and tags that identify its pair, side and part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policy.plan import UNKNOWN, Resource
from policy.rule import Finding, Option, Options, Rule

PAIR, SIDE, PART = "dualsync:pair", "dualsync:side", "dualsync:part"

UNTAGGABLE = frozenset(
    [
        *("autoscaling.LifecycleHook", "autoscaling.Policy", "secretsmanager.SecretPolicy"),
        *("cloudwatch.Dashboard", "cloudwatch.LogMetricFilter", "cloudwatch.QueryDefinition"),
        *("iam.AccessKey", "iam.RolePolicy", "iam.UserPolicyAttachment", "iam.RolePolicyAttachment"),
        *("iam.GroupMembership", "iam.GroupPolicyAttachment", "iam.PolicyAttachment", "iam.UserGroupMembership"),
        *("kms.Alias", "secretsmanager.SecretVersion", "scheduler.Schedule"),
        *("s3.BucketLifecycleConfiguration", "s3.BucketNotification", "s3.BucketOwnershipControls", "s3.BucketPolicy"),
        *("s3.BucketPublicAccessBlock", "s3.BucketServerSideEncryptionConfiguration", "s3.BucketVersioning"),
        "s3.BucketReplicationConfig",
        *("sns.TopicPolicy", "sns.TopicSubscription", "sqs.QueuePolicy"),
    ]
)
"""Kinds that have no tags at the provider."""

NAMES = ("name", "bucket", "family", "dashboardName")
"""Properties that hold a resource's physical name."""

NAMED_BY_OTHERS = frozenset(
    [
        *("s3.BucketLifecycleConfiguration", "s3.BucketOwnershipControls", "s3.BucketPolicy", "s3.BucketObjectv2"),
        *("s3.BucketPublicAccessBlock", "s3.BucketServerSideEncryptionConfiguration", "s3.BucketVersioning"),
        *("s3.BucketNotification", "s3.BucketObject"),
    ]
)
"""Kinds whose `bucket` is another resource's name."""


def tagged(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield resources without tags for pair, side and part, or with other values than their provider's."""
    if not resource.type.startswith("aws:") or resource.kind in UNTAGGABLE:
        return
    defaults = resource.account.default_tags if resource.account is not None else {}
    own = _tags(resource)
    if own is None:
        return
    tags = {**defaults, **own}
    missing = [t for t in (PAIR, SIDE, PART) if not tags.get(t)]
    if missing:
        yield Finding(resource, f"{resource.name} has no tag {', '.join(missing)}")
    for tag in (PAIR, SIDE):
        if tag in defaults and tags.get(tag) not in (defaults[tag], UNKNOWN, None):
            yield Finding(resource, f"{resource.name} is tagged {tag}={tags[tag]}, its provider {defaults[tag]}")


def prefixed(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield names that neither begin with the pair's nor come from the guide or the options."""
    pair = resource.account.default_tags.get(PAIR) if resource.account is not None else None
    if not pair or not resource.type.startswith("aws:") or resource.kind in NAMED_BY_OTHERS:
        return
    for path in NAMES:
        name = resource.get(path)
        if not isinstance(name, str) or name in options["otherNames"]:
            continue
        bare = name.removeprefix("alias/").removeprefix("/")
        guide = resource.kind == "secretsmanager.Secret" and re.fullmatch(r"dth-credentials-[a-z0-9-]+", name)
        if not bare.startswith((f"{pair}-", f"{pair}/")) and not guide:
            yield Finding(resource, f"{resource.name} is named {name}, which does not begin with {pair}-")


def _tags(resource: Resource) -> Mapping[str, object] | None:
    """Return own tags (a group's are a list); None while unknown."""
    value = resource.get("tags")
    if value is UNKNOWN:
        return None
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (list, tuple)):
        return {str(t.get("key")): t.get("value") for t in value if isinstance(t, Mapping)}
    return {}


RULES = (
    Rule(
        name="tagged",
        what="Every resource carries the tags of its pair, side and part.",
        why="Costs, permissions and searches use them, and two pairs may share an account.",
        remedy=f"Set {PAIR}, {SIDE} and {PART}; add a kind without tags to UNTAGGABLE in policy/rules/operations/"
        "naming.py.",
        each=tagged,
    ),
    Rule(
        name="prefixed",
        what="Every name begins with the pair's.",
        why="The name shows what belongs to a pair, and keeps two pairs in one account apart.",
        remedy="Take the name from the side's names; give names of your own (userName, secretName) in `otherNames`.",
        each=prefixed,
        options={
            "otherNames": Option(
                default=[],
                help="Names that need not begin with the pair's.",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
)
