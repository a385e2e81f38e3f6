"""Classify an echo whose version is no longer the current one here: it was deleted or replaced before it was read.

Pure: `classify_late_echo` is a truth table read from top to bottom; `tests/unit/runtime/sync/test_late_echo.py` names
each row. Why each case matters: docs/decisions/2026-11-23-consistency-rules.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.identify import matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.sync.ledger_updates import record_first_arrival, was_current_in_between


class LateEcho(StrEnum):
    """What a late echo means for the ledger and the buckets."""

    SUPERSEDED = "superseded"
    """A later event was acted on: nothing to learn."""
    FORMER_VERSION = "former version"
    """A later event was acted on, but the version still exists under its id: if a user brings it back, it must be
    known as one that was deleted."""
    UNPROVEN = "unproven"
    """This bucket does not show the version any more, so that only the event says that it was here. An event can be
    forged: it proves no synced version, and justifies no deletion. The two buckets and the finders decide."""
    GONE_AT_PEER = "gone at the peer"
    """The peer holds nothing any more."""
    REPLACED_AT_PEER = "replaced at the peer"
    """The peer holds another version by now."""
    COPY_OF_SYNCED = "copy of the synced version"
    """An earlier copy of the synced version, which arrived more than once."""
    REWRITTEN = "rewritten after deletion"
    """As `COPY_OF_SYNCED`, and a user deleted that earlier copy: the later one must go."""
    BEFORE_SYNCED = "before the synced version"
    """It was here before the synced version arrived."""
    DELETED_BEFORE_ECHO = "deleted before its echo"
    """A user deleted it here, and that deletion waited for the proof that the peer holds the same version."""
    EXPIRED_SINCE = "expired since"
    """It is gone, and no deletion by a user is known: a lifecycle rule removed it."""
    LEARNT = "learnt"
    """It was synced at that time: the newest that the ledger can know."""
    LEARNT_REPLACED = "learnt, replaced since"
    """As `LEARNT`, and what is here now replaced it. That may have been taken for a conflict: check the key again."""


@dataclass(frozen=True, slots=True)
class LateEchoState:
    """All that the classification depends on."""

    entry: LedgerEntry
    """The ledger's entry of the key."""
    request: SyncRequest
    """The echo."""
    local: ObjectHead | None
    """The current object here, which is not the echo's."""
    former: ObjectHead | None
    """The echo's version, where a HEAD of its version id still shows it with a valid stamp."""
    remote: ObservedVersion | None
    """The current object at the peer."""
    deletions_travel: bool
    """False if only creations are synchronised."""


def classify_late_echo(state: LateEchoState) -> LateEcho:
    """Return the case. Cases that need no HEAD of the peer come first."""
    entry, request, local, former, remote = state.entry, state.request, state.local, state.former, state.remote
    if is_superseded(entry, request, local):
        # Only on a versioned bucket the version can come back.
        can_return = former is not None and is_gone_since(entry, request, local)
        return LateEcho.FORMER_VERSION if can_return else LateEcho.SUPERSEDED
    if former is None or former.stamp is None:
        return LateEcho.UNPROVEN
    if remote is None:
        return LateEcho.GONE_AT_PEER
    if not _peer_holds_it(remote, former.stamp.version):
        # No proof that both sides held it: a deletion of it here can not be applied at the peer.
        return LateEcho.REPLACED_AT_PEER
    if _is_later(entry, request) and _is_synced_since(entry, request):
        if entry.synced is None or former.stamp.version != entry.synced.version:
            return LateEcho.BEFORE_SYNCED
        rewritten = record_first_arrival(entry, request, former, local).rewritten_after_deletion
        current = local is not None and matches_copy(local, entry.synced.local)
        return LateEcho.REWRITTEN if rewritten and current else LateEcho.COPY_OF_SYNCED
    if local is None and request.sequencer < entry.last_deletion and state.deletions_travel:
        return LateEcho.DELETED_BEFORE_ECHO
    if is_gone_since(entry, request, local):
        return LateEcho.EXPIRED_SINCE
    # What is here now was written over it: that write knew this version.
    return LateEcho.LEARNT_REPLACED if local is not None and _is_later(entry, request) else LateEcho.LEARNT


def synced_at_echo(version: OriginVersion, former: ObjectHead, remote: ObservedVersion) -> SyncedVersion:
    """Return what both sides held when the echo's version was here."""
    there = CopyState(remote.head.etag, remote.head.modified)
    return SyncedVersion(version, CopyState(former.etag, former.modified), there)


def is_superseded(entry: LedgerEntry, request: SyncRequest, local: ObjectHead | None) -> bool:
    """Return True if a later event settled what the echo could prove."""
    if not _is_later(entry, request):
        return False
    since = _is_synced_since(entry, request)
    # What was deleted before the echo's event was another version.
    deleted_since = is_gone_since(entry, request, local) and entry.deleted_at >= max(1, int(request.event_time))
    return (since or deleted_since) and not (since and was_current_in_between(entry, request.sequencer))


def is_gone_since(entry: LedgerEntry, request: SyncRequest, local: ObjectHead | None) -> bool:
    """Return True if a later event is known, nothing is here, and no user's deletion explains that."""
    return _is_later(entry, request) and local is None and entry.last_deletion < request.sequencer


def is_rewrite_candidate(entry: LedgerEntry, request: SyncRequest, local: ObjectHead | None) -> bool:
    """Return True if the echo may be that of the synced version's first copy, whose ETag is no digest.

    Each copy has another ETag then.
    """
    return _is_later(entry, request) and _is_synced_since(entry, request) and local is not None and local.opaque


def _is_later(entry: LedgerEntry, request: SyncRequest) -> bool:
    return entry.sequencer > request.sequencer


def _is_synced_since(entry: LedgerEntry, request: SyncRequest) -> bool:
    return entry.synced is not None and not "" < entry.last_event < request.sequencer


def _peer_holds_it(remote: ObservedVersion, version: OriginVersion) -> bool:
    if remote.version == version:
        return True
    # A restored version bears its old time at the peer, and no stamp.
    shown = (remote.head.etag, remote.head.modified) == version.etag_and_modified
    return not remote.is_replica and remote.version.origin is version.origin and shown
