"""Test two buckets with equal objects: no transfer and no conflict (`__main__` runs a million keys)."""

from __future__ import annotations

import pytest

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.settings import FirstContact, SideName
from tests.simulation.seeding.world import first_contact

KEYS = 6000


@pytest.mark.parametrize("contact", [FirstContact.CHECKSUM, FirstContact.CONTENT])
def test_seeded_keys_in_other_parts_are_recognised(contact: FirstContact) -> None:
    counts, reports = first_contact(KEYS, first_contact=contact)
    assert (counts.transfers, counts.across, counts.conflicts, counts.dead) == (0, 0, 0, 0)
    assert counts.synced == {SideName.CN: KEYS, SideName.GLOBAL: KEYS}
    assert counts.messages == 2 * KEYS // 3, "only what has another ETag needs a worker"
    for report in reports.values():
        assert report.found == {Difference.UNKNOWN: KEYS * 2 // 3, Difference.CHANGED_BOTH: KEYS // 3}
    # A stored checksum on both sides spares the reading.
    assert counts.calls["cn.local.read_range"] == KEYS // 6 * -(-48 // 10)


def test_comparison_by_size_needs_only_a_listing_and_a_ledger_write() -> None:
    counts, _ = first_contact(KEYS, first_contact=FirstContact.SIZE)
    assert counts.synced == {SideName.CN: KEYS, SideName.GLOBAL: KEYS}
    assert (counts.messages, dict(counts.calls)) == (0, {})
