"""Test stamps: what a replica's stamp contains, and that text which users write there is no stamp."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.model.identify import is_valid_stamp
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName

ETAG = st.one_of(
    st.from_regex(r"[0-9a-f]{32}(-[1-9][0-9]{0,4})?", fullmatch=True),
    st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=80),
)
STAMP = st.builds(
    Stamp,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), max_size=40).map(key_hash),
    st.builds(OriginVersion, st.sampled_from(SideName), st.integers(0, 10**11 - 1), ETAG),
    st.integers(0, 10**15 - 1),
)
GOOD = Stamp("p", key_hash("k"), OriginVersion(SideName.CN, 1_700_000_000, "5d41402abc4b2a76b9719d911017c592-12"), 42)


@given(STAMP)
def test_stamp_round_trips_through_a_header(stamp: Stamp) -> None:
    text = stamp.encode()
    assert text.isascii()
    assert text.isprintable()
    assert Stamp.decode(text) == stamp


def test_stamp_is_at_most_160_characters() -> None:
    longest = Stamp("p" * 40, key_hash("k"), OriginVersion(SideName.GLOBAL, 10**10 - 1, "f" * 32 + "-10000"), 50 << 40)
    assert len(longest.encode()) <= 160


@given(st.text(max_size=200))
def test_decoding_any_text_gives_a_stamp_or_none(text: str) -> None:
    decoded = Stamp.decode(text)
    assert decoded is None or decoded == Stamp.decode(decoded.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "me",
        GOOD.encode().replace("1;", "2;", 1),
        GOOD.encode() + ";",
        GOOD.encode() + "\n",
        " " + GOOD.encode(),
        GOOD.encode().replace(";cn;", ";china;"),
        GOOD.encode().replace(";cn;", ";CN;"),
        GOOD.encode().replace(";42", ";-42"),
        GOOD.encode().replace(";42", ";4.2"),
        GOOD.encode().replace(";42", ";"),
        GOOD.encode().replace("1700000000", "1e9"),
        GOOD.encode().replace("1700000000", "٣"),
        GOOD.encode().replace(key_hash("k"), key_hash("k")[1:]),
        GOOD.encode().replace("5d41402abc4b2a76b9719d911017c592", 'a"b'),
        GOOD.encode().replace("5d41402abc4b2a76b9719d911017c592", "a b"),
        GOOD.encode().replace("5d41402abc4b2a76b9719d911017c592-12", ""),
        "=?UTF-8?Q?1;p;x?=",
    ],
)
def test_malformed_stamp_or_other_format_is_none(text: str) -> None:
    assert Stamp.decode(text) is None


def test_stamp_is_valid_only_for_its_pair_key_and_size() -> None:
    assert is_valid_stamp(GOOD, "p", "k", 42)
    assert not is_valid_stamp(GOOD, "q", "k", 42)
    assert not is_valid_stamp(GOOD, "p", "copy-of-k", 42)
    assert not is_valid_stamp(GOOD, "p", "k", 43)
    assert not is_valid_stamp(replace(GOOD, key_hash=key_hash("other")), "p", "k", 42)


def test_key_hashes_are_unique_and_of_equal_length() -> None:
    keys = ["a", "a/", "/a", "a//b", "A", "é", "e\u0301", "x" * 1024, "\x01"]
    assert len({key_hash(k) for k in keys}) == len(keys)
    assert {len(key_hash(k)) for k in keys} == {22}


def test_version_prints_as_side_time_and_etag() -> None:
    assert str(GOOD.version) == "cn@1700000000:5d41402abc4b2a76b9719d911017c592-12"


def test_restored_version_differs_and_keeps_the_etag_and_time_that_its_bucket_shows() -> None:
    first = OriginVersion(SideName.CN, 100, "eee")
    again = first.as_restored(200)
    assert again != first
    assert again.modified == 200
    assert again.etag_and_modified == first.etag_and_modified == ("eee", 100)
    stamp = Stamp("p", key_hash("k"), again, 3)
    assert Stamp.decode(stamp.encode()) == stamp


@pytest.mark.parametrize("etag", ["x+²", "x+٣", "x+" + "9" * 5000, "x+-1", "x+"])
def test_etag_that_resembles_a_restored_version_is_kept(etag: str) -> None:
    assert OriginVersion(SideName.CN, 7, etag).etag_and_modified == (etag, 7)
