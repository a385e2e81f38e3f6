"""Decide over a key of a one-way pair: the destination mirrors the source, and nothing is written at the source.

Only the source has workers, so *here* is always the source. The two-way table keeps its part: which deletions have a
proof, and when two objects are the same. Everything else is a copy of what the source holds. Why:
docs/decisions/2026-11-28-one-way-pairs.md.
"""

from __future__ import annotations

from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, SyncRequest
from dualsync.runtime.model.carried_attributes import select_carried
from dualsync.runtime.settings import Settings
from dualsync.runtime.sync import decision
from dualsync.runtime.sync.decision import Action, Decision, KeyState, ObservedVersion


def decide_for(settings: Settings, state: KeyState) -> Decision:
    """Return the decision of the pair's mode."""
    return decide(state) if settings.direction.one_way else decision.decide(state)


def decide(state: KeyState) -> Decision:
    """Return what the source's worker does: push, record, delete at the destination, or nothing."""
    local, remote = state.local, state.remote
    two_way = decision.decide(state)
    if local is None:
        return _decide_absence(state, two_way)
    if remote is None:
        return Decision(Action.PUSH, "missing at the destination")
    if two_way.action is Action.COMPARE:
        return two_way
    if two_way.action is Action.RECORD_SYNCED:
        # Metadata can be changed there without a new ETag and with the stamp kept. No worker there would report it.
        if local.version != remote.version or _same_attributes(state, local, remote):
            return two_way
        return Decision(Action.PUSH, "other metadata at the destination: the source's apply")
    return Decision(Action.PUSH, "the destination holds another version: the source's applies")


def _decide_absence(state: KeyState, two_way: Decision) -> Decision:
    """Return what follows from an absence here: the proofs of a deletion are those of a two-way pair."""
    remote, entry = state.remote, state.entry
    if two_way.action is not Action.NOTHING or remote is None:
        return two_way
    held = entry.synced or entry.expired
    if held is not None and held.version == remote.version:
        return two_way
    return Decision(Action.NOTHING, "only at the destination: it stays there")


def _same_attributes(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> bool:
    ours, theirs = (
        select_carried(seen.head.attributes, include_metadata=state.include_metadata) for seen in (local, remote)
    )
    return ours == theirs


def is_refused(settings: Settings, part: PartRequest) -> bool:
    """Return True for parts of an upload to the source, which was begun before the pair became one-way."""
    return settings.direction.one_way and part.route.endswith(">local")


def as_check(settings: Settings, request: SyncRequest) -> SyncRequest:
    """Return an event of a worker's write as a request to check its key.

    The source has no dedicated user. Such an event is from the time before the pair became one-way, or forged with the
    id of a former user. Both buckets decide then, and nothing is deleted for it.
    """
    if settings.direction.one_way and request.actor is not Actor.USER:
        return request.as_plain_check()
    return request
