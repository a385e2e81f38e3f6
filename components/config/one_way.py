"""Check what does not go with a one-way pair."""

from __future__ import annotations

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel, PeerIdentity
from dualsync.runtime.settings import ConflictPolicy


def check(pair: PairModel) -> None:
    """Raise `ConfigError` for keys about conflicts, which a one-way pair does not have, and for roles."""
    if not pair.direction.one_way:
        return
    direction = f"direction={str(pair.direction)!r}"
    problem = f"has no use with {direction}, where the source's version always applies"
    if pair.conflict_policy is not ConflictPolicy.NEWEST:
        raise ConfigError("conflictPolicy", str(pair.conflict_policy), problem, "remove it, or set direction to both")
    if pair.keep_loser:
        raise ConfigError("keepLoser", True, problem, "remove it, or set direction to both")
    if pair.peer_identity is PeerIdentity.ROLE:
        problem = f"is not offered with {direction}"
        raise ConfigError("peerIdentity", str(pair.peer_identity), problem, "use user, or set direction to both")
