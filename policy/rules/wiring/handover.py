"""The secret in the peer's account holds the key, and the id, of the user that this side suppresses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policy import peers
from policy.environment import environments
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule
from policy.rules.wiring.guard import OWN_USER_IDS

FIELDS = ("access_key_id", "secret_access_key", "user_id")
ROLE_FIELDS = ("role_arn", "user_id")
"""Fields where the peer is a role: no key is handed over."""


def key_of_suppressed_user(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield secrets whose key, id and suppressed user do not belong together."""
    for secret in plan.of("secretsmanager.SecretVersion"):
        problem = _problem(plan, secret)
        if problem:
            yield Finding(secret, f"secret {secret.name} {problem}")


def _problem(plan: Plan, secret: Resource) -> str:
    users = peers.behind(plan, secret, "secretString")
    keys = plan.behind(secret, "secretString", "iam.AccessKey")
    if not users and not keys:
        return _received(plan, secret)
    if len(users) == 1 and users[0].kind == "iam.Role" and not keys:
        return _of_role(plan, secret, users[0])
    if len(users) != 1 or len(keys) != 1:
        return f"is made from {len(keys)} keys and {len(users)} users: one of each is a hand-over"
    user, key = users[0], keys[0]
    if _side(secret) == _side(user):
        return f"holds {user.name}'s key in that user's own account: it belongs where the peer's worker runs"
    owner = plan.behind(key, "user", "iam.User")
    if owner and owner != [user]:
        return f"holds {key.name}, a key of {owner[0].name}, beside the id of {user.name}"
    return _values(secret, user, key) or _suppressed(plan, user)


def _of_role(plan: Plan, secret: Resource, role: Resource) -> str:
    """Return what is wrong with the hand-over of a role."""
    if _side(secret) == _side(role):
        return f"names {role.name} in that role's own account: it belongs where the peer's worker runs"
    content = _content(secret)
    if content is not None:
        missing = [f for f in ROLE_FIELDS if not content.get(f)]
        if missing:
            return f"lacks {', '.join(missing)}"
        for field, path in (("user_id", "uniqueId"), ("role_arn", "arn")):
            value = role.get(path)
            if value not in (None, UNKNOWN) and content[field] != value:
                return f"has another {field} than {role.name}"
        if content.get("secret_access_key"):
            return f"holds a key besides {role.name}"
    return _suppressed(plan, role)


def _received(plan: Plan, secret: Resource) -> str:
    """Return what is wrong with a hand-over from elsewhere (config, the peer's stack)."""
    content = _content(secret)
    if content is None:
        return ""
    missing = [f for f in (ROLE_FIELDS if "role_arn" in content else FIELDS) if not content.get(f)]
    if missing:
        return f"lacks {', '.join(missing)}"
    for user in peers.peer_identities(plan):
        if _side(user) == _side(secret) and content["user_id"] == user.get("uniqueId"):
            what = "holds the key of" if user.kind == "iam.User" else "names"
            return f"{what} {user.name}, this side's own {peers.noun(user)}, not the peer's"
    return ""


def _values(secret: Resource, user: Resource, key: Resource) -> str:
    content = _content(secret)
    if content is None:
        return ""
    missing = [f for f in FIELDS if not content.get(f)]
    if missing:
        return f"lacks {', '.join(missing)}"
    for field, resource, path in (("user_id", user, "uniqueId"), ("access_key_id", key, "id")):
        value = resource.get(path)
        if value not in (None, UNKNOWN) and content[field] != value:
            return f"has another {field} than {resource.name}"
    return ""


def _suppressed(plan: Plan, user: Resource) -> str:
    """Return what is wrong if the user's side suppresses another user than this one."""
    others = [u for u in peers.peer_identities(plan) if _side(u) == _side(user) and u != user]
    for environment in sorted(environments(plan), key=lambda e: e.holder.name):  # a stable order of findings
        if _side(environment.holder) != _side(user):
            continue
        made_from = peers.behind(plan, environment.holder, environment.path)
        first = (environment.variables or {}).get(OWN_USER_IDS, "").split(",")[0]
        for other in others:
            if (other in made_from and user not in made_from) or (first and first == other.get("uniqueId")):
                what = "holds the key of" if user.kind == "iam.User" else "names"
                return f"{what} {user.name}, and {environment.holder.name} suppresses {other.name}"
    return ""


def _content(secret: Resource) -> Mapping[str, Any] | None:
    """Return the secret's text as an object; None while unknown. Findings never contain it."""
    text = secret.get("secretString")
    if not isinstance(text, str):
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _side(resource: Resource) -> str:
    return resource.account.urn if resource.account is not None else ""


RULES = (
    Rule(
        name="hand-over-names-suppressed-user",
        what="A secret written into the peer's account holds key and id of the user whose echoes this side suppresses.",
        why="With that key the peer's worker writes here, and the events of its writes name that user. If it is not the"
        " one that this side's worker suppresses, or the id beside the key is another's, replicas travel back, or the"
        " peer's worker refuses to start.",
        remedy="Make the secret from one access key and the `unique_id` of the user that owns it, through the"
        " provider of the other side; give the same `unique_id` to this side's worker.",
        all=key_of_suppressed_user,
    ),
)
