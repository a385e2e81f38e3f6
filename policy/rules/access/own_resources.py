"""Identity policies reach the plan's own resources, and attachments join the plan's own policies to its own holders."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import allowed, is_identity
from policy.ownership import Owned
from policy.plan import UNKNOWN, Plan, Resource, known
from policy.rule import Finding, Option, Options, Rule
from policy.rules.access.wildcards import names_something

ATTACHMENTS = {
    "iam.RolePolicyAttachment": "role",
    "iam.UserPolicyAttachment": "user",
}
"""Kinds that attach a policy to one holder, and the property that names the holder."""

HOLDERS = {"role": "iam.Role", "user": "iam.User"}

_ALWAYS_WRONG = {
    "iam.GroupPolicyAttachment": "attaches a policy to a group, whose members this pack does not review",
    "iam.GroupPolicy": "gives rights to a group, whose members this pack does not review",
    "iam.Group": "makes a group: the dedicated user and the roles have policies of their own",
    "iam.GroupMembership": "puts users into a group, and the group's policies are none of this plan's",
    "iam.UserGroupMembership": "puts a user into a group, and the group's policies are none of this plan's",
    "iam.PolicyAttachment": "owns all attachments of a policy; attach it to its one holder instead",
    "iam.RolePolicyAttachmentsExclusive": "owns all attachments of a role; attach each policy instead",
    "iam.UserPolicyAttachmentsExclusive": "owns all attachments of a user; attach each policy instead",
}


def reaches_own(plan: Plan, options: Options) -> Iterator[Finding]:
    """Yield ARNs in identity policies that are none of the plan's."""
    owned: dict[str, Owned] = {}
    for resource in plan.resources:
        if not is_identity(resource) or resource.account is None:
            continue
        account = owned.setdefault(resource.account.urn, Owned(plan, resource.account))
        for statement in allowed(resource):
            for arn in statement.resources:
                foreign_partition = arn.startswith("arn:") and arn.split(":")[1] != account.partition
                if arn == "*" or not names_something(arn) or foreign_partition or arn in options["otherArns"]:
                    continue
                if not account.covers(arn):
                    where = f"{resource.name}: statement {statement.sid}"
                    yield Finding(resource, f"{where} reaches {arn}, which is not one of this plan's resources")


def attaches_own(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield attachments, group memberships and managed policies that are none of the plan's."""
    for resource in plan.resources:
        if resource.kind in _ALWAYS_WRONG:
            yield Finding(resource, f"{resource.name} {_ALWAYS_WRONG[resource.kind]}")
        elif resource.kind in ATTACHMENTS:
            holder = ATTACHMENTS[resource.kind]
            if not _is_of(plan, resource, "policyArn", "iam.Policy", "arn"):
                yield Finding(
                    resource, f"{resource.name} attaches {_shown(resource, 'policyArn')}, not a policy of this plan"
                )
            if not _is_of(plan, resource, holder, HOLDERS[holder], "name"):
                yield Finding(
                    resource,
                    f"{resource.name} gives a policy to {_shown(resource, holder)}, not a {holder} of this plan",
                )
        elif resource.kind == "iam.RolePolicy" and not _is_of(plan, resource, "role", "iam.Role", "name"):
            yield Finding(
                resource, f"{resource.name} gives a policy to {_shown(resource, 'role')}, not a role of this plan"
            )
        elif resource.kind == "iam.UserPolicy" and not _is_of(plan, resource, "user", "iam.User", "name"):
            yield Finding(
                resource, f"{resource.name} gives a policy to {_shown(resource, 'user')}, not a user of this plan"
            )
        elif resource.kind == "iam.Role":
            own = {p.get("arn") for p in plan.of("iam.Policy")}
            for arn in known(resource.items("managedPolicyArns")):
                if arn not in own:
                    yield Finding(resource, f"{resource.name} attaches {arn}, not a policy of this plan")


def boundary_kept(plan: Plan, options: Options) -> Iterator[Finding]:
    """Yield users and roles without the boundary that the rest of their account has, or that the option names."""
    holders = list(plan.of("iam.User", "iam.Role"))
    for holder in holders:
        wanted = options["permissionsBoundary"]
        beside = [
            value
            for other in holders
            if other.account and holder.account and other.account.urn == holder.account.urn
            if isinstance(value := other.get("permissionsBoundary"), str) and value
        ]
        if not wanted and beside:
            wanted = [beside[0]]
        value = holder.get("permissionsBoundary")
        if wanted and value is not UNKNOWN and value not in wanted:
            yield Finding(holder, f"{holder.name} has {value or 'no permissions boundary'}, not {' or '.join(wanted)}")


def _is_of(plan: Plan, resource: Resource, path: str, kind: str, own: str) -> bool:
    """Return whether a property names a resource of that kind in the plan, by value or by what it was made from."""
    value = resource.get(path)
    behind = plan.behind(resource, path, kind)
    if value is UNKNOWN or value is None:
        return bool(behind)
    same = [r for r in plan.of(kind) if r.account and resource.account and r.account.urn == resource.account.urn]
    return any(r.get(own) == value for r in same) or (bool(behind) and all(r.get(own) is UNKNOWN for r in behind))


def _shown(resource: Resource, path: str) -> str:
    value = resource.get(path)
    return value if isinstance(value, str) else "(known later)"


RULES = (
    Rule(
        name="own-resources-only",
        what="Every ARN in an identity policy is that of a resource of this plan, or the data bucket under its prefix.",
        why="The right actions on another bucket, secret or role are as harmful as the wrong actions. An account holds"
        " more than this pair.",
        remedy="Derive the ARN from the plan's resource. Name a resource of another owner that an option of yours uses"
        " (a KMS key, a cluster) in `otherArns`.",
        all=reaches_own,
        options={
            "otherArns": Option(
                default=[],
                help="ARNs besides the plan's own that identity policies may name, for options of yours.",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
    Rule(
        name="own-policies-only",
        what="Users and roles have policies of this plan alone, and belong to no group.",
        why="A policy, a group or a managed policy that is written elsewhere can grant anything, now or later, without"
        " a change that this pack would review.",
        remedy="Take the attachment out, and write the statement into the policy of this plan.",
        all=attaches_own,
    ),
    Rule(
        name="boundary-kept",
        what="Users and roles of one account carry the same permissions boundary, if any does.",
        why="The deploy role may make users and roles only inside its boundary. One without it would be an exit.",
        remedy="Set the config key permissionsBoundary of the side; name the ARNs that your account requires in"
        " `permissionsBoundary`.",
        all=boundary_kept,
        options={
            "permissionsBoundary": Option(
                default=[],
                help="ARNs of which every user and role must carry one as its boundary; empty: one for each account.",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
)
