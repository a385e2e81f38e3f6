"""Test the number of parts in a checksum's or ETag's text, also if it is malformed."""

from __future__ import annotations

import pytest

from dualsync.runtime.model.checksums import composite_parts, parts_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sha256:AAAA-12", 12),
        ("sha256:AAAA", 0),
        ("sha256:AAAA-", 0),
        ("sha256:AAAA-²", 0),
        ("sha256:AAAA-" + "9" * 5000, 0),
    ],
    ids=["composite", "whole", "no number", "no digit of ASCII", "too long"],
)
def test_part_count_of_a_checksum(text: str, parts: int) -> None:
    assert composite_parts(text) == parts


@pytest.mark.parametrize(
    ("etag", "parts"),
    [("0123-7", 7), ("0123", 0), ("a-b-3", 3), ("0123-²", 0), ("0123-", 0)],
    ids=["in parts", "whole", "two dashes", "no digit of ASCII", "no number"],
)
def test_part_count_of_an_etag(etag: str, parts: int) -> None:
    assert parts_of(etag) == parts
