"""Test the bucket's notification document: the pair's entries are added and removed, entries of other programs stay."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CreateRequest,
    DeleteRequest,
    DiffRequest,
    ReadRequest,
    UpdateRequest,
)
from pulumi.runtime.rpc import UNKNOWN

from dualsync.components.bucket_access import notifications
from dualsync.components.bucket_access.notifications import NotificationError, Subscription
from dualsync.components.bucket_access.sessions import Reach
from dualsync.components.config.model import Access
from dualsync.components.plugin import plugin

OURS = Subscription(
    bucket="bucket",
    owner="111122223333",
    id="ours",
    queue_arn="arn:aws-cn:sqs:cn-north-1:111122223333:ours",
    events=("s3:ObjectCreated:*", "s3:ObjectRemoved:*"),
    prefix="photos/",
)
OTHERS: dict[str, Any] = {
    "QueueConfigurations": [{"Id": "a", "QueueArn": "arn:a", "Events": ["s3:ObjectTagging:*"]}],
    "TopicConfigurations": [{"Id": "b", "TopicArn": "arn:b", "Events": ["s3:ReducedRedundancyLostObject"]}],
    "LambdaFunctionConfigurations": [{"Id": "c", "LambdaFunctionArn": "arn:c", "Events": ["s3:ObjectRestore:*"]}],
    "EventBridgeConfiguration": {},
}


class S3:
    """A fake bucket's notification document. At each write, S3 may fail or another program may write too."""

    def __init__(self, document: dict[str, Any], *happenings: Callable[[S3, dict[str, Any]], None]) -> None:
        self.document = copy.deepcopy(document)
        self.happenings = list(happenings)
        self.puts: list[dict[str, Any]] = []

    def get_bucket_notification_configuration(self, *, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert (Bucket, ExpectedBucketOwner) == (OURS.bucket, OURS.owner)
        return {"ResponseMetadata": {}, **copy.deepcopy(self.document)}

    def put_bucket_notification_configuration(self, **request: Any) -> None:
        self.puts.append(request)
        if self.happenings:
            self.happenings.pop(0)(self, request)
        else:
            self.document = copy.deepcopy(request["NotificationConfiguration"])


def lost(s3: S3, request: dict[str, Any]) -> None:
    """Overwrite the last write with another program's, which is based on an earlier read."""


def added(s3: S3, request: dict[str, Any]) -> None:
    """Do the same as `lost`; the other program also adds an entry of its own."""
    s3.document["QueueConfigurations"] = [
        *s3.document.get("QueueConfigurations", []),
        {"Id": "late", "QueueArn": "arn:late", "Events": ["s3:ObjectAcl:Put"]},
    ]


def fault(code: str, message: str) -> Callable[[S3, dict[str, Any]], None]:
    def raising(s3: S3, request: dict[str, Any]) -> None:
        error = {"Error": {"Code": code, "Message": message}}
        raise ClientError(error, "PutBucketNotificationConfiguration")  # type: ignore[arg-type]

    return raising


UNVERIFIED = "Unable to validate the following destination configurations"


def test_put_adds_the_pairs_entry_and_keeps_all_others() -> None:
    s3 = S3(OTHERS)
    notifications.put(s3, OURS)
    assert {k: v for k, v in s3.document.items() if k != "QueueConfigurations"} == {
        k: v for k, v in OTHERS.items() if k != "QueueConfigurations"
    }
    assert s3.document["QueueConfigurations"] == [*OTHERS["QueueConfigurations"], OURS.entry()]
    assert notifications.get(s3, OURS) == OURS


def test_second_put_and_remove_change_only_the_pairs_entry() -> None:
    s3 = S3(OTHERS)
    notifications.put(s3, OURS)
    changed = Subscription(bucket="bucket", owner=OURS.owner, id="ours", queue_arn="arn:new", events=OURS.events)
    notifications.put(s3, changed)
    assert notifications.get(s3, OURS) == changed
    notifications.remove(s3, OURS)
    assert s3.document == OTHERS
    assert notifications.get(s3, OURS) is None


def test_an_overwritten_write_is_repeated_and_keeps_the_other_programs_entry() -> None:
    pauses: list[float] = []
    s3 = S3(OTHERS, lost, added)
    notifications.put(s3, OURS, pauses.append)
    assert [e["Id"] for e in s3.document["QueueConfigurations"]] == ["a", "late", "ours"]
    assert pauses == [0.5, 1.0, notifications.SETTLE_SECONDS]


def test_an_entry_overwritten_after_it_was_read_back_is_written_again() -> None:
    """Two programs write to one bucket. The second writes what it read before the first one's write, a moment later."""
    s3 = S3(OTHERS)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        if not pauses:
            s3.document = copy.deepcopy(OTHERS)
        pauses.append(seconds)

    notifications.put(s3, OURS, pause)
    assert notifications.get(s3, OURS) == OURS
    assert pauses.count(notifications.SETTLE_SECONDS) == 2


def test_entries_of_two_programs_that_read_before_either_wrote_both_stay() -> None:
    """Each write replaces the whole document. Because of the second read, both entries are there in the end."""
    theirs = Subscription(bucket="bucket", owner=OURS.owner, id="theirs", queue_arn="arn:b", events=OURS.events)
    s3 = S3(OTHERS)
    stale = copy.deepcopy(s3.document)

    def pause(seconds: float) -> None:
        if seconds == notifications.SETTLE_SECONDS and not turns:
            turns.append(1)
            s3.document = {**stale, "QueueConfigurations": [*stale["QueueConfigurations"], theirs.entry()]}

    turns: list[int] = []
    notifications.put(s3, OURS, pause)
    assert notifications.get(s3, OURS) == OURS
    assert notifications.get(s3, theirs) == theirs


def test_put_waits_until_s3_accepts_the_own_queues_policy() -> None:
    s3 = S3(OTHERS, fault("InvalidArgument", UNVERIFIED), fault("InvalidArgument", f"{UNVERIFIED}: {OURS.queue_arn}"))
    notifications.put(s3, OURS, lambda seconds: None)
    assert notifications.get(s3, OURS) == OURS
    assert not any("SkipDestinationValidation" in put for put in s3.puts)


def test_put_succeeds_when_another_programs_destination_does_not_exist() -> None:
    s3 = S3(OTHERS, fault("InvalidArgument", f"{UNVERIFIED}: arn:aws-cn:sqs:cn-north-1:1:dead"))
    notifications.put(s3, OURS, lambda seconds: None)
    assert [put.get("SkipDestinationValidation") for put in s3.puts] == [None, True]


def test_put_that_is_overwritten_each_time_fails_with_a_one_line_error() -> None:
    s3 = S3(OTHERS, *[lost] * notifications.ATTEMPTS)
    with pytest.raises(NotificationError, match=r"notifications of bucket bucket: another program changed .*run again"):
        notifications.put(s3, OURS, lambda seconds: None)


def test_other_errors_are_not_retried() -> None:
    with pytest.raises(ClientError):
        notifications.put(S3(OTHERS, fault("AccessDenied", "no")), OURS, lambda seconds: None)


def test_remove_from_a_deleted_bucket_is_harmless() -> None:
    notifications.remove(S3(OTHERS, fault("NoSuchBucket", "gone")), OURS, lambda seconds: None)


@pytest.mark.parametrize(
    ("events", "prefix", "overlapping"),
    [
        (["s3:ObjectCreated:*"], "", True),
        (["s3:ObjectCreated:Put"], "photos/2024/", True),
        (["s3:ObjectRemoved:Delete"], "pho", True),
        (["s3:ObjectCreated:*"], "videos/", False),
        (["s3:ObjectTagging:*"], "", False),
        (["s3:ObjectCreated:*"], "photos%2F", True),
        (["s3:ObjectCreated:*"], "photos%2Fdt%3D1/", True),
        (["s3:ObjectCreated:*"], "photos+/", False),
    ],
)
@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("QueueConfigurations", "QueueArn"),
        ("TopicConfigurations", "TopicArn"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
    ],
)
def test_put_names_another_consumer_of_the_same_events(
    events: list[str], prefix: str, overlapping: bool, kind: str, target: str
) -> None:
    rules = [{"Name": "Prefix", "Value": prefix}, {"Name": "Suffix", "Value": ".jpg"}]
    entry = {"Id": "theirs", target: "arn:theirs", "Events": events, "Filter": {"Key": {"FilterRules": rules}}}
    found = notifications.overlaps(S3({kind: [entry, OURS.entry()] if target == "QueueArn" else [entry]}), OURS)
    assert len(found) == overlapping
    if overlapping:
        assert "arn:theirs (notification 'theirs')" in found[0]
        assert "eventsTopicArn" in found[0]


class Provider(plugin.DualSyncProvider):
    """The provider over the test's fake bucket."""

    def __init__(self, s3: S3) -> None:
        super().__init__(pause=lambda seconds: None)
        self._client = s3
        self._reach = Reach(region="cn-north-1", account_id=OURS.owner, access=Access())


def test_the_provider_creates_updates_reads_and_deletes_the_subscription() -> None:
    s3 = S3(OTHERS)
    provider = Provider(s3)
    properties = plugin.properties_of(OURS)
    urn = "urn:pulumi:s::p::dualsync:index:BucketSubscription::n"

    async def life() -> None:
        checked = await provider.check(CheckRequest(urn, {}, properties, b""))
        assert not checked.failures
        made = await provider.create(CreateRequest(urn, properties, 0, preview=True))
        assert s3.document == OTHERS
        made = await provider.create(CreateRequest(urn, properties, 0, preview=False))
        assert made.resource_id == "bucket/ours"
        read = await provider.read(ReadRequest(urn, "bucket/ours", {}, {}))
        assert read.properties == made.properties
        same = await provider.diff(DiffRequest(urn, "bucket/ours", made.properties, properties, []))
        assert same.changes is False
        moved = await provider.diff(
            DiffRequest(urn, "bucket/ours", made.properties, {**properties, "bucket": PropertyValue("b2")}, [])
        )
        assert (moved.replaces, moved.delete_before_replace) == (["bucket"], True)
        await provider.delete(DeleteRequest(urn, "bucket/ours", made.properties, 0))
        assert s3.document == OTHERS
        assert (await provider.read(ReadRequest(urn, "bucket/ours", {}, {}))).resource_id == ""

    asyncio.run(life())


def test_a_raw_filter_of_an_earlier_version_is_written_again_encoded() -> None:
    """Version 0.1 wrote `dt=1/` as it is, which S3 never matches; its state has no filter."""
    ours = dataclasses.replace(OURS, prefix="dt=1/")
    raw = ours.entry()
    raw["Filter"]["Key"]["FilterRules"][0]["Value"] = "dt=1/"
    s3 = S3({"QueueConfigurations": [raw]})
    provider = Provider(s3)
    new = {k: v for k, v in plugin.properties_of(ours).items() if k != plugin.FILTER}

    async def life() -> None:
        for old in (new, (await provider.read(ReadRequest("urn", "bucket/ours", {}, {}))).properties):
            diff = await provider.diff(DiffRequest("urn", "bucket/ours", old, new, []))
            assert (diff.changes, diff.diffs, diff.replaces) == (True, ["prefix"], [])
        await provider.update(UpdateRequest("urn", "bucket/ours", new, new, 0, [], False))
        assert s3.document["QueueConfigurations"] == [ours.entry()]
        read = await provider.read(ReadRequest("urn", "bucket/ours", {}, {}))
        assert read.inputs == new
        assert (await provider.diff(DiffRequest("urn", "bucket/ours", read.properties, new, []))).changes is False
        plain = {k: v for k, v in plugin.properties_of(OURS).items() if k != plugin.FILTER}
        assert (await provider.diff(DiffRequest("urn", "bucket/ours", plain, plain, []))).changes is False

    asyncio.run(life())


def test_refresh_removes_the_subscription_of_a_deleted_bucket_from_the_state() -> None:
    class Gone(S3):
        def get_bucket_notification_configuration(self, *, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
            fault("NoSuchBucket", "The specified bucket does not exist")(self, {})
            raise AssertionError

    read = asyncio.run(Provider(Gone({})).read(ReadRequest("urn", "bucket/ours", {}, {})))
    assert read.resource_id == ""


def test_an_overlap_error_names_the_pair_that_owns_the_other_entry() -> None:
    """Its names are this program's own: a rename, or a second pair in the same bucket."""
    queue = "arn:aws-cn:sqs:cn-north-1:111122223333:old-cn-queue"
    entry = {"Id": "old-cn-events", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    (found,) = notifications.overlaps(S3({"QueueConfigurations": [entry]}), OURS)
    assert "the queue of pair 'old'" in found
    assert "can't be renamed: to keep it, set pair to 'old' again" in found
    stranger = {**entry, "QueueArn": "arn:aws-cn:sqs:cn-north-1:111122223333:another"}
    (found,) = notifications.overlaps(S3({"QueueConfigurations": [stranger]}), OURS)
    assert "pair" not in found


def test_a_second_state_over_a_live_pair_is_refused_at_preview() -> None:
    provider = Provider(S3({"QueueConfigurations": [OURS.entry()]}))
    known = plugin.properties_of(OURS)
    unknown = {**known, "queueArn": PropertyValue(UNKNOWN)}

    def reasons(old: dict[str, PropertyValue], new: dict[str, PropertyValue]) -> list[str]:
        checked = asyncio.run(provider.check(CheckRequest("urn", old, new, b"")))
        return [f.reason for f in checked.failures or ()]

    (reason,) = reasons({}, unknown)
    assert "another state deploys this pair: select its backend and stack" in reason
    assert reasons(known, unknown) == [], "the own state replaces its queue"
    assert reasons({}, known) == [], "an `up` that was interrupted after it had written the entry"


def test_overlapping_filters_are_refused_at_preview() -> None:
    entry = {"Id": "theirs", "QueueArn": "arn:theirs", "Events": ["s3:ObjectCreated:*"]}
    provider = Provider(S3({"QueueConfigurations": [entry]}))
    unknown = {**plugin.properties_of(OURS), "queueArn": PropertyValue(UNKNOWN)}
    checked = asyncio.run(provider.check(CheckRequest("urn", {}, unknown, b"")))
    assert checked.failures is not None
    assert "arn:theirs" in checked.failures[0].reason
