"""The loop guard has the right user: each side's worker suppresses its own account's dedicated user."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.runtime.settings import Direction, SideName, variable
from policy.environment import Environment, environments
from policy.peers import behind, noun, peer_identities
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

OWN_USER_IDS = variable("own_user_ids")


def own_user_suppressed(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield workers and finders whose first own user id is not that of their side's dedicated user.

    At preview, while ids are unknown, the resources that the environment is made from decide.
    """
    for environment in environments(plan):
        problem = _problem(plan, environment)
        if problem:
            text = f"{environment.process} {environment.holder.name}: {OWN_USER_IDS} {problem}"
            yield Finding(environment.holder, text)


def _problem(plan: Plan, environment: Environment) -> str:
    holder = environment.holder
    identities = sorted(peer_identities(plan), key=lambda user: user.name)
    own = [u for u in identities if _same_side(u, holder)]
    direction, side = _direction(environment), environment.get(variable("side"))
    if side in list(SideName) and not direction.carries(SideName(side)):
        return f"is of no use: {direction} has no worker or finder at {side}, its destination"
    if direction.one_way and own:
        return f"names no user with {direction}: {own[0].name} has a key by which others could write at the source"
    if not own and environment.variables is not None and not direction.one_way:
        return "has no id to name: its side has no dedicated user in this stack"
    made_from = behind(plan, holder, environment.path)
    for user in made_from:
        if not _same_side(user, holder):
            instead = f", not from {own[0].name}" if own else ""
            return f"is made from {user.name}, the dedicated {noun(user)} of the other side{instead}"
    if environment.variables is None:
        # Without a user it may be the source of a one-way pair, which is known at deployment only.
        return "" if made_from or not own else f"is not made from {own[0].name}, its side's dedicated {noun(own[0])}"
    ids = [i for i in environment.variables.get(OWN_USER_IDS, "").split(",") if i]
    if not ids and not direction.one_way:
        return "is empty"
    known = {user.get("uniqueId"): user for user in identities if user.get("uniqueId") not in (None, UNKNOWN)}
    for user_id in ids:
        if user_id in known and not _same_side(known[user_id], holder):
            return f"names {user_id}, which is {known[user_id].name} of the other side"
    wanted = [u.get("uniqueId") for u in own]
    if own and UNKNOWN not in wanted and ids[0] not in wanted:
        return f"begins with {ids[0]}, and {own[0].name} has {wanted[0]}"
    return ""


def _direction(environment: Environment) -> Direction:
    """Return the directions in which the pair copies; both while not known."""
    text = environment.get(variable("direction"))
    return Direction(text) if text in list(Direction) else Direction.BOTH


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn


RULES = (
    Rule(
        name="guard-knows-own-user",
        what="Worker and finder suppress the dedicated user or role of their own side, and of no other. A one-way"
        " pair's source has none, and its destination no worker and no finder.",
        why="The peer's worker writes here as this side's dedicated user or role. A worker without that id takes every"
        " replica for a user's write and sends it back: the sides copy to each other without end.",
        remedy=f"Make {OWN_USER_IDS} of each side from `unique_id` of the user that this side's own provider creates"
        " (earlier users of the same side may follow it).",
        all=own_user_suppressed,
    ),
)
