"""Test the order of a deletion and the arrival of the version it would delete: by sequencers, by times, or unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.arrival import UPLOAD_SECONDS
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync.event_order import EventOrder
from tests.support.builders import GLOBAL

HELD = SyncedVersion(OriginVersion(GLOBAL, 98, "there"), CopyState("here", 100), CopyState("there", 98))
PARTS = replace(HELD, local=CopyState("here-3", 100))
SYNCED = LedgerEntry("k", 3, synced=HELD, sequencer=normalise("20"))
ARRIVED = replace(SYNCED, last_event=normalise("10"))
"""As `SYNCED`, after the event of its arrival and a later event of the key."""
EXPIRED = replace(ARRIVED, synced=None, expired=HELD, sequencer=normalise("30"))


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    entry: LedgerEntry
    sequencer: str
    time: float
    stale: bool
    unknown: bool = False
    expires: bool = True


ROWS = [
    Row("before the second in which it is shown", ARRIVED, "15", 99.9, True),
    Row("the same, by an event of whatever sequencer", SYNCED, "f0", 99.9, True, unknown=True),
    Row("in the second, before its arrival", ARRIVED, "0f", 100.5, True),
    Row("in the second, after its arrival, though a later event is known", ARRIVED, "15", 100.5, False),
    Row("later, before its arrival: a forged event raised that", ARRIVED, "0f", 101.0, False),
    Row("in the second, its arrival not known, a later event known: forged", SYNCED, "15", 100.5, False, unknown=True),
    Row("in the second, neither known", SYNCED, "25", 100.5, False, unknown=True),
    Row("later, its arrival not known", SYNCED, "25", 101.0, False),
    Row("later, its arrival not known, a later event known: forged", SYNCED, "15", 101.0, False),
    Row("in parts, while it may have been under way", replace(SYNCED, synced=PARTS), "25", 140.0, False, unknown=True),
    Row("in parts, an upload's time later", replace(SYNCED, synced=PARTS), "25", 101.0 + UPLOAD_SECONDS, False),
    Row("before what expired since arrived", EXPIRED, "0f", 100.5, True),
    Row("after what expired since arrived", EXPIRED, "15", 100.5, False),
    Row("expired, its arrival not known", replace(EXPIRED, last_event=""), "15", 100.5, True),
    Row("in parts, before its arrival, after the second shown", replace(ARRIVED, synced=PARTS), "0f", 140.0, True),
    Row("the same, after its arrival", replace(ARRIVED, synced=PARTS), "15", 140.0, False),
    Row("the same, expired since", replace(EXPIRED, expired=PARTS), "0f", 140.0, True),
    Row(
        "the same, an upload's time later: forged", replace(EXPIRED, expired=PARTS), "0f", 101.0 + UPLOAD_SECONDS, False
    ),
    Row("in parts, where nothing expires: forged", replace(ARRIVED, synced=PARTS), "0f", 140.0, False, expires=False),
    Row("its arrival not known, where nothing expires", SYNCED, "25", 100.5, False, expires=False),
    Row("without a time, before its arrival", ARRIVED, "0f", 0.0, True),
    Row("without a sequencer", SYNCED, "", 101.0, False),
    Row("no synced version, an older event", LedgerEntry("k", 1, sequencer=normalise("20")), "15", 100.0, True),
    Row("no synced version, a newer event", LedgerEntry("k", 1, sequencer=normalise("20")), "25", 100.0, False),
    Row("no entry", LedgerEntry("k"), "25", 100.0, False),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    sequencer = normalise(row.sequencer) if row.sequencer else ""
    order = EventOrder(
        SyncRequest("k", Cause.REMOVED, sequencer=sequencer, event_time=row.time), row.entry, row.expires
    )
    assert (order.is_stale, order.is_unknown) == (row.stale, row.unknown)


def test_order_uses_sequencers_if_the_local_time_is_unknown() -> None:
    entry = replace(ARRIVED, synced=replace(HELD, local=CopyState("here")))
    older, newer = (SyncRequest("k", Cause.REMOVED, sequencer=normalise(s), event_time=1.0) for s in ("0f", "15"))
    assert EventOrder(older, entry, True).is_stale
    assert not EventOrder(newer, entry, True).is_stale
    assert not EventOrder(newer, replace(entry, last_event=""), True).is_unknown
