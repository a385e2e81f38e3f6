"""Test the peer's secret, as stacks write it and as operators paste it."""

from __future__ import annotations

import base64
import json

import pytest

from dualsync.runtime.aws.secrets_manager import parse, text_of
from dualsync.runtime.errors import CredentialRejectedError

GOOD = {"access_key_id": "AKIA1", "secret_access_key": "hush/hush+hush", "user_id": "AIDA1"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        "\ufeff" + json.dumps(GOOD),
        "  \r\n" + json.dumps(GOOD, indent=2) + "\r\n",
        json.dumps(
            {**GOOD, "access_key_id": "AKIA1\n", "secret_access_key": " hush/hush+hush\r\n", "user_id": "AIDA1 "}
        ),
        '{"access_key_id": "AKIA1\n", "secret_access_key": "hush/hush+hush", "user_id": "AIDA1"}',
        json.dumps({**GOOD, "note": 7}),
        "\r\n\ufeff" + json.dumps(GOOD),
        "\ufeff\ufeff" + json.dumps(GOOD) + "\ufeff\n",
        json.dumps({**GOOD, "access_key_id": "\ufeffAKIA1", "user_id": "AIDA1\u00a0"}),
        json.dumps({**GOOD, "secret_access_key": "\ufeff hush/hush+hush"}),
    ],
)
def test_white_space_and_byte_order_marks_are_removed(text: str) -> None:
    found = parse("name", text)
    assert (found.access_key_id, found.secret_access_key, found.user_id) == ("AKIA1", "hush/hush+hush", "AIDA1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("{'access_key_id': 'AKIA1'}", "it is not JSON near line 1, column 2"),
        ("[]", "it is JSON, but not an object"),
        (json.dumps({"access_key_id": "AKIA1"}), "secret_access_key is missing or no text"),
        (
            json.dumps({"AccessKeyId": "AKIA1", "SecretAccessKey": "hush"}),
            "access_key_id and secret_access_key are missing or no text; it has 'AccessKeyId', 'SecretAccessKey'",
        ),
        (json.dumps({**GOOD, "secret_access_key": 7}), "secret_access_key is missing or no text"),
        (json.dumps({**GOOD, "secret_access_key": "hush hush"}), "secret_access_key holds a blank, a line break"),
        (json.dumps({**GOOD, "access_key_id": "AK\nIA"}), "access_key_id holds a blank, a line break"),
        (json.dumps({**GOOD, "user_id": "AIDA\u200b1"}), "user_id holds a blank, a line break"),
        (
            json.dumps({**GOOD, "access_key_id": "hush/hush+hush", "secret_access_key": "AKIA" + 16 * "X"}),
            "secret_access_key holds the id of a key; the two values may be swapped",
        ),
        (
            json.dumps({**GOOD, "access_key_id": 20 * "hush", "secret_access_key": "AKIA" + 16 * "X"}),
            "secret_access_key holds the id of a key; the two values may be swapped",
        ),
        (json.dumps({**GOOD, "access_key_id": "hush/hush+hush"}), "access_key_id is not the id of a key"),
        (json.dumps({**GOOD, "access_key_id": "ASIA" + 16 * "X"}), "access_key_id is that of a temporary key"),
        (json.dumps({**GOOD, "user_id": "arn:aws:iam::111122223333:user/u"}), "user_id is not the unique id of a user"),
        (json.dumps({**GOOD, "user_id": "hush/hush+hush"}), "user_id is not the unique id of a user"),
        ("[" * 100_000, "it is not JSON"),
        (json.dumps(json.dumps(GOOD)), "it is JSON, but not an object"),
        (json.dumps({"AccessKey": {"AccessKeyId": "AKIA1", "SecretAccessKey": "hush"}}), "it has 'AccessKey' instead"),
    ],
)
def test_malformed_secret_is_described_and_never_shown(text: str, words: str) -> None:
    with pytest.raises(CredentialRejectedError) as caught:
        parse("dth/peer", text)
    message = str(caught.value)
    assert message.startswith("secret dth/peer is not a JSON object with access_key_id and secret_access_key: ")
    assert words in message
    assert "`pulumi up --refresh`" in message
    assert "hush" not in message
    assert "\n" not in message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_binary_secret_is_read(encoding: str) -> None:
    """`aws secretsmanager put-secret-value --secret-binary` of a file, as Windows writes it too."""
    stored = base64.b64encode(json.dumps(GOOD).encode(encoding)).decode()
    assert parse("name", text_of({"SecretBinary": stored})).access_key_id == "AKIA1"


@pytest.mark.parametrize("stored", ["!", base64.b64encode(b"\xff\x00\xfe").decode(), 7])
def test_binary_secret_that_is_no_text_is_refused(stored: object) -> None:
    with pytest.raises(CredentialRejectedError, match=r"^secret name is not a JSON object .*: it is not JSON"):
        parse("name", text_of({"SecretBinary": stored}))


def test_secret_without_a_value_is_empty() -> None:
    assert text_of({}) == text_of({"SecretString": None}) == ""


ROLE = "arn:aws-cn:iam::111122223333:role/dth-dual-cn-peer"


def test_secret_with_a_role_needs_no_key() -> None:
    found = parse("s", json.dumps({"role_arn": ROLE, "user_id": "AROA1", "bucket": "b", "region": "r"}))
    assert (found.role_arn, found.user_id, found.access_key_id, found.secret_access_key) == (ROLE, "AROA1", "", "")
    both = parse("s", json.dumps({"role_arn": ROLE, "access_key_id": "AKIA1", "secret_access_key": "s"}))
    assert (both.role_arn, both.access_key_id) == (ROLE, "")


@pytest.mark.parametrize(
    "wrong", ["x", "arn:aws:iam::1:role/x", "arn:aws:iam::111122223333:user/x", ROLE + " y", ROLE + "\n&Action=x"]
)
def test_malformed_role_is_refused(wrong: str) -> None:
    with pytest.raises(CredentialRejectedError, match="role_arn"):
        parse("s", json.dumps({"role_arn": wrong, "user_id": "AROA1"}))
