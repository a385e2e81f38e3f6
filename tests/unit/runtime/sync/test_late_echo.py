"""Test the table of late echoes, whose version was deleted or replaced before the echo was read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.sync.late_echo import LateEcho, LateEchoState, classify_late_echo
from tests.support.builders import CN, GLOBAL, stamp, synced_version

ECHO = SyncRequest("k", Cause.CREATED, Actor.ECHO, sequencer="5", etag="e", event_time=1000.0)
THEIRS = OriginVersion(GLOBAL, 990, "e")
REMOTE = ObservedVersion(ObjectHead("e", 3, 990), THEIRS, False)
OTHER = ObservedVersion(ObjectHead("x", 3, 1200), OriginVersion(GLOBAL, 1200, "x"), False)
OURS = ObjectHead("mine", 3, 1100)
NEWER = synced_version(OriginVersion(CN, 1100, "mine"))
"""A version of this side, synced after the echo's."""
NOTHING = LedgerEntry("k")


def synced(version: SyncedVersion, **fields: str) -> LedgerEntry:
    return replace(LedgerEntry("k", revision=1, synced=version), **fields)  # type: ignore[arg-type]


def former(version: OriginVersion = THEIRS) -> ObjectHead:
    """Return the echo's version, as a bucket with versioning still shows it."""
    return ObjectHead("e", 3, 1000, stamp=stamp(version))


def state(
    entry: LedgerEntry = NOTHING,
    *,
    local: ObjectHead | None = None,
    former: ObjectHead | None = None,
    remote: ObservedVersion | None = REMOTE,
    deletions_travel: bool = True,
) -> LateEchoState:
    return LateEchoState(entry, ECHO, local, former, remote, deletions_travel)


COPY = synced(SyncedVersion(THEIRS, CopyState("e2", 1100), CopyState("e", 990)), sequencer="9", last_event="8")
"""A later copy of the echo's own version."""
HERE = ObjectHead("e2", 3, 1100)
DELETED = replace(NOTHING, sequencer="6", last_deletion="6")

ROWS = {
    "a later version was synced": (state(synced(NEWER, sequencer="9"), local=OURS), LateEcho.SUPERSEDED),
    "a later deletion was recorded": (state(replace(NOTHING, sequencer="9", deleted_at=1001)), LateEcho.SUPERSEDED),
    "deleted later, and still there under its id": (
        state(replace(NOTHING, sequencer="9", deleted_at=1001), former=former()),
        LateEcho.FORMER_VERSION,
    ),
    "what was deleted before the echo was another version": (
        state(replace(NOTHING, sequencer="9", deleted_at=999), former=former()),
        LateEcho.EXPIRED_SINCE,
    ),
    "only the event names the copy": (state(), LateEcho.UNPROVEN),
    "only the event names the copy, and a user deleted something": (state(DELETED), LateEcho.UNPROVEN),
    "only the event names the copy, and another object is here": (state(local=OURS), LateEcho.UNPROVEN),
    "only the event names the copy before the synced version": (
        state(COPY, local=HERE),
        LateEcho.UNPROVEN,
    ),
    "nothing at the peer": (state(former=former(), remote=None), LateEcho.GONE_AT_PEER),
    "another version at the peer": (state(former=former(), remote=OTHER), LateEcho.REPLACED_AT_PEER),
    "another version at the peer, and a deletion here": (
        state(DELETED, former=former(), remote=OTHER),
        LateEcho.REPLACED_AT_PEER,
    ),
    "the stamp names what the peer holds, whatever its ETag here": (
        state(former=former(OTHER.version), remote=OTHER),
        LateEcho.LEARNT,
    ),
    "a restored version bears its old time at the peer": (
        state(former=former(THEIRS.as_restored(1150))),
        LateEcho.LEARNT,
    ),
    "it came before the synced version, after all other known events": (
        state(synced(NEWER, sequencer="9", last_event="8"), local=OURS, former=former()),
        LateEcho.BEFORE_SYNCED,
    ),
    "an earlier copy of the synced version": (state(COPY, local=HERE, former=former()), LateEcho.COPY_OF_SYNCED),
    "an earlier copy, deleted by a user, and the later one is here": (
        state(replace(COPY, last_deletion="7"), local=HERE, former=former()),
        LateEcho.REWRITTEN,
    ),
    "the same copy, whatever the order of events says": (
        state(replace(COPY, last_deletion="7"), local=HERE, former=replace(former(), modified=1100)),
        LateEcho.COPY_OF_SYNCED,
    ),
    "an earlier copy, deleted by a user, and the later one has gone": (
        state(replace(COPY, last_deletion="7"), former=former()),
        LateEcho.COPY_OF_SYNCED,
    ),
    "a user's deletion waits for the proof": (state(DELETED, former=former()), LateEcho.DELETED_BEFORE_ECHO),
    "a deletion that is not synchronised": (
        state(DELETED, former=former(), deletions_travel=False),
        LateEcho.LEARNT,
    ),
    "gone, and no deletion known": (state(replace(NOTHING, sequencer="6"), former=former()), LateEcho.EXPIRED_SINCE),
    "gone, and no later event known": (state(former=former()), LateEcho.LEARNT),
    "replaced, and no later event known": (state(local=OURS, former=former()), LateEcho.LEARNT),
    "replaced, and a later event was acted on": (
        state(replace(NOTHING, sequencer="6"), local=OURS, former=former()),
        LateEcho.LEARNT_REPLACED,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_late_echo_is_classified_as_in_the_table(row: str) -> None:
    given, case = ROWS[row]
    assert classify_late_echo(given) is case


def test_all_kinds_of_late_echo_have_a_row() -> None:
    assert {case for _, case in ROWS.values()} == set(LateEcho)
