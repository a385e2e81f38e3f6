"""Statements about IAM and KMS: users and roles inside a boundary, keys by their own policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dualsync.components.config.names import OWN_TAGS
from tools.iam_roles.actions import resource_kinds
from tools.iam_roles.scopes import Scopes
from tools.iam_roles.statements import Statement, allow, deny

BOUNDED = frozenset(
    f"iam:{name}"
    for name in (
        *("AttachRolePolicy", "AttachUserPolicy", "CreateRole", "CreateUser", "PutRolePermissionsBoundary"),
        *("PutRolePolicy", "PutUserPermissionsBoundary", "PutUserPolicy"),
    )
)
"""Actions that give rights and have the condition key iam:PermissionsBoundary (Service Authorization Reference)."""

KEY_READS = frozenset(
    ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListResourceTags"],
)
"""Actions on a key that change nothing and decrypt nothing."""


def identities(scopes: Scopes, names: Iterable[str]) -> list[Statement]:
    """Return the statements for these actions of IAM."""
    statements = []
    by_resources: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    table = scopes.table()
    for action in set(names) - {"iam:PassRole"}:
        if resource_kinds(action) and scopes.unused.issuperset(resource_kinds(action)):
            continue
        kinds = [k for k in resource_kinds(action) if ("iam", k) in table]
        if not kinds and resource_kinds(action):
            raise LookupError(f"{action}: its kinds {resource_kinds(action)} are not in tools/iam_roles/scopes.py")
        resources = tuple(sorted({arn for k in kinds for arn in table["iam", k]})) or ("*",)
        by_resources[resources, _condition_of(action)].add(action)
    for (resources, condition), actions in sorted(by_resources.items()):
        if condition == "bounded":
            statements.append(allow("IamBounded", actions, resources, _bounded(scopes)))
        elif condition == "attach":
            attach = {**_bounded(scopes), "ArnEquals": {"iam:PolicyARN": scopes.user_policy}}
            statements.append(allow("IamAttach", actions, resources, attach))
        else:
            statements.append(allow("Iam", actions, resources))
    return statements


def boundary_stays(scopes: Scopes) -> list[Statement]:
    """Return denials that hold even if the role gets further policies: the boundary is neither removed nor changed."""
    remove = {"iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"}
    change = {
        *("iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion"),
        "iam:SetDefaultPolicyVersion",
    }
    return [deny("BoundaryStays", remove, ("*",)), deny("BoundaryAsItIs", change, (scopes.boundary,))]


def passing(scopes: Scopes) -> list[Statement]:
    """Return the rights to pass the program's roles to their services, and to have services make their own roles."""
    model = scopes.pair.side(scopes.side)
    partition = model.partition
    to = {name for s in ("ec2", "ecs-tasks", "scheduler") for name in partition.trusted(s)}
    linked = {name for s in ("autoscaling", "ecs", "spot") for name in partition.trusted(s)}
    return [
        allow("PassRoles", {"iam:PassRole"}, scopes.roles, {"StringEquals": {"iam:PassedToService": sorted(to)}}),
        allow(
            "ServiceRoles",
            {"iam:CreateServiceLinkedRole"},
            (scopes.arn("iam", "role/aws-service-role/*", anywhere=True),),
            {"StringEquals": {"iam:AWSServiceName": sorted(linked)}},
        ),
    ]


def keys(scopes: Scopes, names: Iterable[str]) -> list[Statement]:
    """Return the statements for these actions of KMS.

    A key is managed by virtue of its own policy, which names the deploy role by a tag (`deployers` in
    components/monitoring/observability.py). IAM gives no right on a key by the key's tag: to tag a key at its creation
    a role needs kms:TagResource on all keys, and could tag another team's key as the pair's.
    """
    asked, table = set(names), scopes.table()
    statements = []
    blind = {a for a in asked if not resource_kinds(a)} - {"kms:CreateKey"}
    if blind:
        statements.append(allow("KeysRead", blind, ("*",)))
    if "kms:CreateKey" in asked:
        tags = {**scopes.tagged("aws:RequestTag"), "ForAllValues:StringEquals": {"aws:TagKeys": _tag_keys(scopes)}}
        # The tags of a new key need a permission that names no key (KMS Developer Guide, "Controlling access to tags").
        statements.append(allow("KeyMake", {"kms:CreateKey", "kms:TagResource"}, ("*",), tags))
    aliases = {a for a in asked if "alias" in resource_kinds(a)}
    if aliases:
        statements.append(allow("KeyAlias", aliases, table["kms", "alias"]))
    own = asked & KEY_READS
    if own:
        statements.append(allow("KeyRead", own, table["kms", "key"], scopes.tagged()))
    return statements


def by_key_policy(names: Iterable[str]) -> set[str]:
    """Return those actions of KMS on a key that only the key's own policy allows."""
    return {a for a in names if a.startswith("kms:") and "key" in resource_kinds(a)} - KEY_READS


def _condition_of(action: str) -> str:
    if action in ("iam:AttachUserPolicy", "iam:AttachRolePolicy"):
        return "attach"
    return "bounded" if action in BOUNDED else ""


def _bounded(scopes: Scopes) -> dict[str, object]:
    return {"StringEquals": {"iam:PermissionsBoundary": scopes.boundary}}


def _tag_keys(scopes: Scopes) -> list[str]:
    return sorted({*OWN_TAGS, *scopes.pair.tags})
