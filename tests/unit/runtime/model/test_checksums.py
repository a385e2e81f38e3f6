"""The number of parts in a checksum's text, which a server or a ledger may have spoiled."""

from __future__ import annotations

import pytest

from dualsync.runtime.model.checksums import composite


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
def test_parts(text: str, parts: int) -> None:
    assert composite(text) == parts
