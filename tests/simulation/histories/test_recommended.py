"""Test the recommended set-up: with versioning, events and ledgers intact, two exceptions are left."""

from __future__ import annotations

from tests.simulation.histories.findings import Excuse
from tests.simulation.histories.recommended import count


def test_histories_of_the_recommended_set_up_have_two_exceptions() -> None:
    counts = count(range(150))
    assert counts["wrong"] == 0
    # In some histories users write before the first finder run.
    assert set(counts) <= {"histories", "wrong", Excuse.SAME_BYTES, Excuse.EXPIRED, Excuse.NEVER_MET}
    assert counts[Excuse.SAME_BYTES] >= 1, "the histories repeat bytes on purpose"
