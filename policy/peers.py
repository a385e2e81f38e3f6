"""The identities of a plan as which the peers' workers act: a user with a key, or a role for the peer's tokens."""

from __future__ import annotations

from collections.abc import Iterator

from policy.plan import Plan, Resource

PROVIDER = "iam.OpenIdConnectProvider"
ACTION = "sts:AssumeRoleWithWebIdentity"
"""With which a token is exchanged for a session (STS API Reference)."""


def is_peer_role(plan: Plan, role: Resource) -> bool:
    """Return whether a role's trust is made from an identity provider of this plan; known at preview, too."""
    return role.kind == "iam.Role" and bool(plan.behind(role, "assumeRolePolicy", PROVIDER))


def peer_identities(plan: Plan) -> Iterator[Resource]:
    """Yield the dedicated users, and the roles that take their place."""
    for resource in plan.of("iam.User", "iam.Role"):
        if resource.kind == "iam.User" or is_peer_role(plan, resource):
            yield resource


def of_peer_role(plan: Plan, policy: Resource) -> bool:
    """Return whether an inline policy is that of a peer's role."""
    if policy.kind != "iam.RolePolicy":
        return False
    roles = plan.behind(policy, "role", "iam.Role") or [
        r for r in plan.of("iam.Role") if _same_side(r, policy) and r.get("name") == policy.get("role")
    ]
    return any(is_peer_role(plan, role) for role in roles)


def behind(plan: Plan, resource: Resource, path: str) -> list[Resource]:
    """Return the identities that a property was made from."""
    return [r for r in plan.behind(resource, path, "iam.User", "iam.Role") if r in [*peer_identities(plan)]]


def noun(identity: Resource) -> str:
    """Return what an identity is, as findings name it."""
    return "user" if identity.kind == "iam.User" else "role"


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn
