"""The role that replaces a dedicated user: what it may do, and whose tokens it trusts (peerIdentity: role).

Only the whole plan shows which role that is, so this is checked at its end. The rules that check a single policy
(`least-privilege`, `roles-for-services`) refuse what neither a user nor a role of the program may do before it is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.runtime.settings import variable
from policy.documents import Statement, allowed, trust
from policy.environment import environments
from policy.ownership import Owned
from policy.peers import PROVIDER, is_peer_role, of_peer_role
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule
from policy.rules.access.confinement import unconfined
from policy.rules.access.privilege import USER_ACTIONS

_SESSION = 3600
"""Seconds that a session of a role lasts at most by default (IAM API Reference, CreateRole)."""


def peer_role_confined(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield policies of a peer's role beyond those of a user, and trust in tokens that are not bound to one signer."""
    for resource in plan.of("iam.RolePolicy"):
        if resource.get("policy") is UNKNOWN or not of_peer_role(plan, resource):
            continue
        yield from unconfined(resource, of_role=True)
        for statement in allowed(resource):
            for action in statement.actions:
                if action not in USER_ACTIONS and "*" not in action:
                    yield Finding(resource, f"{resource.name}: statement {statement.sid} allows {action} to the peer")
    for role in plan.of("iam.Role"):
        longest = role.get("maxSessionDuration")
        if is_peer_role(plan, role) and longest not in (None, UNKNOWN) and int(longest) > _SESSION:
            hours = int(longest) // 3600
            yield Finding(role, f"{role.name} gives the peer sessions of {hours} hours (maxSessionDuration)")
        for statement in trust(role):
            for kind, name in statement.principals if statement.allows else ():
                if kind == "Federated":
                    for problem in _tokens(plan, role, statement, name):
                        yield Finding(role, f"{role.name} {problem}")


def _tokens(plan: Plan, role: Resource, statement: Statement, name: str) -> Iterator[str]:
    """Yield what is wrong with the trust in an identity provider's tokens."""
    own = [p for p in plan.of(PROVIDER) if p.account and role.account and p.account.urn == role.account.urn]
    provider = next((p for p in own if p.get("arn") == name), None)
    if provider is None:
        yield f"can be assumed with tokens of {name}, an identity provider that this plan does not have"
        return
    issuer = name.partition(":oidc-provider/")[2]
    for claim in ("aud", "sub"):
        values = statement.condition("StringEquals", f"{issuer}:{claim}")
        if len(values) != 1:
            yield f"can be assumed with tokens whose {claim} is not one value"
        elif claim == "aud" and tuple(provider.items("clientIdLists")) != values:
            yield f"can be assumed with tokens for {values[0]}, and {provider.name} accepts other audiences"
        elif claim == "sub" and not values[0].startswith(f"{Owned(plan, role.account).pair}-"):
            yield f"can be assumed with tokens of {values[0]}, which is not a side of this pair"
    peers = [e.get(variable("token_issuer")) for e in environments(plan) if e.holder.account != role.account]
    known = {i.removeprefix("https://") for i in peers if i}
    if known and issuer not in known:
        yield f"can be assumed with tokens of {issuer}, and the other side's issuer is {', '.join(sorted(known))}"


RULES = (
    Rule(
        name="peer-role-confined",
        what="The role of the peer's workers has the dedicated user's rights, and trusts tokens of one issuer of this"
        " plan, one audience and one subject.",
        why="A holder of any token that the role accepts acts as the peer's workers do, and the loop guard takes the"
        " writes for the peer's. A stolen session is as good as the role until it ends.",
        remedy="Trust the plan's own identity provider, with StringEquals on its `aud` and `sub`, and give the role the"
        " policy of components/identity.py and no longer sessions than by default.",
        all=peer_role_confined,
    ),
)
