"""Test sequencers: the order of events on one key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.model.sequencer import earliest, latest, normalise

NUMBER = st.integers(0, 16**24 - 1)


@given(NUMBER, NUMBER, st.booleans(), st.integers(0, 4))
def test_sequencers_order_as_numbers_in_any_length_and_case(a: int, b: int, upper: bool, padding: int) -> None:
    text = "0" * padding + (f"{a:X}" if upper else f"{a:x}")
    assert (normalise(text) < normalise(f"{b:x}")) == (a < b)
    assert normalise(normalise(text)) == normalise(text)


def test_documented_sequencer_is_ordered() -> None:
    assert normalise("0055AED6DCD90281E5") == normalise("55aed6dcd90281e5")
    assert normalise("0055AED6DCD90281E5") < normalise("0055AED6DCD90281E6") < normalise("01055AED6DCD90281E5")


@pytest.mark.parametrize("text", ["", " ", "xyz", "-1", "0x1f", "1" * 33, "٣"])
def test_malformed_sequencer_is_empty_and_never_later(text: str) -> None:
    assert normalise(text) == ""
    assert not normalise(text) > normalise("0")


def test_latest_returns_the_highest_sequencer() -> None:
    one, two = normalise("ff"), normalise("100")
    assert latest(two, "", one) == two
    assert latest("", "") == latest() == ""


def test_earliest_returns_the_lower_sequencer_and_nothing_if_the_other_is_not_known() -> None:
    one, two = normalise("ff"), normalise("100")
    assert earliest(two, one) == earliest(one, two) == earliest("", one) == one
    assert earliest(one, "") == ""
