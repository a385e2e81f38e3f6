"""Test notification filters, which match URL-decoded as in S3 (User Guide, "Configuring event notifications …")."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud.patches.s3_notifications import decoded
from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]
PREFIXES = ["dt=2026-11-27/", "my data/", "a+b/", "R&D/", "数据/", "x@y:z/", "50%/", 'q"uote/', "plain-_.!*'()/"]


def configure(w: Watched, *filters: tuple[str, str], name: str = "prefix") -> None:
    entries = []
    for number, (prefix, suffix) in enumerate(filters):
        rules = [{"Name": n, "Value": v} for n, v in ((name, prefix), ("suffix", suffix)) if v]
        entry = {"Id": f"{number}", "QueueArn": w.queue_arn, "Events": ["s3:ObjectCreated:*"]}
        entries.append({**entry, "Filter": {"Key": {"FilterRules": rules}}})
    w.s3.put_bucket_notification_configuration(
        Bucket=w.bucket, NotificationConfiguration={"QueueConfigurations": entries}
    )
    w.events()


def keys(w: Watched) -> int:
    return len(w.events())


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_encoded_filter_matches(watched: Make, prefix: str) -> None:
    w = watched()
    configure(w, (quote_plus(prefix, safe="/-_.!*'()"), ""))
    w.s3.put_object(Bucket=w.bucket, Key=f"{prefix}key", Body=b"x")
    w.s3.put_object(Bucket=w.bucket, Key="other/key", Body=b"x")
    assert keys(w) == 1


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if not p.startswith(("plain", "a+b"))])
def test_a_raw_special_character_never_matches(watched: Make, prefix: str) -> None:
    w = watched()
    configure(w, (prefix, ""))
    w.s3.put_object(Bucket=w.bucket, Key=f"{prefix}key", Body=b"x")
    assert keys(w) == 0


def test_a_raw_plus_matches_a_blank(watched: Make) -> None:
    w = watched()
    configure(w, ("a+b/", ""))
    w.s3.put_object(Bucket=w.bucket, Key="a b/key", Body=b"x")
    w.s3.put_object(Bucket=w.bucket, Key="a+b/key", Body=b"x")
    (event,) = w.events()
    assert event["s3"]["object"]["key"] == "a+b/key"


def test_suffixes_match_and_rule_names_ignore_case(watched: Make) -> None:
    w = watched()
    configure(w, ("logs/", "%3Dx.txt"), name="Prefix")
    w.s3.put_object(Bucket=w.bucket, Key="logs/a=x.txt", Body=b"x")
    w.s3.put_object(Bucket=w.bucket, Key="logs/a=y.txt", Body=b"x")
    assert keys(w) == 1
    kept = w.s3.get_bucket_notification_configuration(Bucket=w.bucket)["QueueConfigurations"][0]
    assert [rule["Name"] for rule in kept["Filter"]["Key"]["FilterRules"]] == ["Prefix", "Suffix"]


def test_overlapping_filters_are_compared_decoded(watched: Make) -> None:
    w = watched()
    with pytest.raises(ClientError, match="overlap"):
        configure(w, ("dt%3D2026", ""), ("dt%3d2026/11", ""))
    configure(w, ("dt%3D2026", ""), ("dt%3D2027", ""))


@pytest.mark.parametrize("text", ["a=b", "a b", "ü", "%zz", "%", "%ff", "a&b", "a\tb"])
def test_an_undecodable_filter_matches_no_key(text: str) -> None:
    assert decoded(text) is None
