"""Test signatures against botocore's."""

from __future__ import annotations

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.aws.credentials import Credential
from dualsync.runtime.aws.http.signing import UNSIGNED, Signer, _trimmed

TEXT = st.text(
    st.one_of(
        st.sampled_from(" \t  \t\x0b\x0c\x1c\x1f\x85\xa0à\u2003\u3000é"),
        st.characters(min_codepoint=0x20, exclude_categories=["Cs"]),
    ),
    max_size=30,
)


@given(TEXT)
def test_header_values_are_canonicalised_as_botocore_does(value: str) -> None:
    """Headers are sent as UTF-8; botocore signs the text, this client signs the bytes."""
    theirs = SigV4Auth(Credentials("AKID", "secret"), "s3", "us-west-2")._header_value(value)  # type: ignore[attr-defined]
    assert _trimmed(value.encode().decode("latin-1")) == theirs.encode().decode("latin-1")


VALUES = st.one_of(
    TEXT.filter(lambda value: len(value.splitlines()) < 2),
    st.sampled_from(["", "x", " x", "x ", "x  y", "a: b", "bytes=0-9", '"e"', "x\ty"]),
)
SIGNER = Signer("s3", "us-west-2")
"""One signer for all examples: its cache must not affect the next signature."""


@given(
    st.dictionaries(st.sampled_from(["x-amz-meta-a", "x-amz-meta-b", "if-match", "content-type", "range"]), VALUES),
    st.sampled_from(["secret", "another"]),
    st.sampled_from(["", "token"]),
    st.sampled_from([1792567680.0, 1792567681.0, 1792654080.0]),
)
def test_request_is_signed_as_by_botocore(values: dict[str, str], secret: str, token: str, moment: float) -> None:
    given = values | {"x-amz-content-sha256": UNSIGNED, "host": "b.s3.us-west-2.amazonaws.com"}
    headers = {name: value.encode().decode("latin-1") for name, value in given.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: moment)
        SIGNER.sign(Credential("AKID", secret, token), "PUT", "/a/k%20b", "versionId=1", headers, UNSIGNED)

    theirs = AWSRequest("PUT", "https://b.s3.us-west-2.amazonaws.com/a/k%20b?versionId=1", headers=given)
    theirs.context["timestamp"] = headers["x-amz-date"]
    theirs.headers["X-Amz-Date"] = headers["x-amz-date"]
    if token:
        theirs.headers["X-Amz-Security-Token"] = token
    auth = S3SigV4Auth(Credentials("AKID", secret, token or None), "s3", "us-west-2")
    signature = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
    assert headers["authorization"].endswith(f", Signature={signature}")


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
def test_tabs_are_folded_like_spaces(value: str, signed: str) -> None:
    assert _trimmed(value) == signed
