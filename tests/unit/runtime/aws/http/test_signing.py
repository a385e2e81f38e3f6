"""Signatures beside botocore's."""

from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.aws.http.signing import _trimmed

TEXT = st.text(
    st.one_of(
        st.sampled_from(" \t  \t\x0b\x0c\x1c\x1f\x85\xa0à\u2003\u3000é"),
        st.characters(min_codepoint=0x20, exclude_categories=["Cs"]),
    ),
    max_size=30,
)


@given(TEXT)
def test_header_values_are_canonicalised_as_botocore_does(value: str) -> None:
    """Headers go out as UTF-8; botocore signs the text, we the bytes."""
    theirs = SigV4Auth(Credentials("AKID", "secret"), "s3", "us-west-2")._header_value(value)  # type: ignore[attr-defined]
    assert _trimmed(value.encode().decode("latin-1")) == theirs.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("value", "signed"),
    [
        ('attachment;\tfilename="x"', 'attachment; filename="x"'),
        ("a\t", "a"),
        ("a \t b", "a b"),
        ("a\xa0\xfc", "a\xa0\xfc"),  # Latin-1 bytes, no UTF-8: nothing but ASCII's white space is folded
        ("\xfc\t \xa0", "\xfc \xa0"),
    ],
)
def test_tabs_are_folded_like_blanks(value: str, signed: str) -> None:
    assert _trimmed(value) == signed
