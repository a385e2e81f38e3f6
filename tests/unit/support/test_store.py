"""Test that the fake bucket's service side behaves as AWS documents; `tests/contract` tests it through the ports."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dualsync.runtime.errors import ConcurrentWriteError, PreconditionFailedError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Precondition
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import START, Time
from tests.support.fakes.gate import run
from tests.support.fakes.notification import Event, body
from tests.support.fakes.store import LIFECYCLE, Store
from tests.support.fakes.version import Versioning

USER = "AIDAUSER"
STAMP = Stamp("p", key_hash("a"), OriginVersion(SideName.CN, 1, "e"), 1)


class Bench:
    """A store, its events, and its clock."""

    def __init__(self, versioning: Versioning = Versioning.NEVER, *, kms: bool = False) -> None:
        self.time = Time(START + 0.9)
        self.events: list[Event] = []
        self.store = Store("b", "cn-north-1", self.time, versioning=versioning, kms=kms, emit=self.events.append)
        self.bucket = FakeBucket(self.store, "AIDADEDICATED")

    def names(self) -> list[str]:
        return [e.name for e in self.events]


def test_last_modified_is_in_whole_seconds_and_of_an_uploads_start() -> None:
    bench = Bench()
    upload = bench.store.create_upload("a")
    bench.time.now += 100
    bench.store.put_part(upload, 1, b"x")
    bench.store.put_part(upload, 2, b"y")
    bench.store.complete_upload(upload, USER)
    seen = run(bench.bucket.head("a"))
    assert seen is not None
    assert seen.modified == START
    assert seen.etag.endswith("-2")
    assert bench.events[0].time == START + 100.9, "the event has the completion's time"


@pytest.mark.parametrize(
    ("versioning", "kept"),
    [
        (Versioning.NEVER, []),
        (Versioning.SUSPENDED, ["marker"]),
        (Versioning.ENABLED, ["object", "object", "marker"]),
    ],
)
def test_completed_upload_gives_way_to_what_was_received_after_its_start(
    versioning: Versioning, kept: list[str]
) -> None:
    bench = Bench(versioning)
    bench.store.precedes_by_start = True
    upload = bench.store.create_upload("a")
    bench.store.put("a", b"later", USER)
    bench.store.delete("a", USER)
    bench.store.put_part(upload, 1, b"x")
    written = bench.store.complete_upload(upload, USER)
    assert written.etag.endswith("-1"), "the answer is that of any completion"
    assert bench.store.current("a") is None
    assert ["marker" if v.marker else "object" for v in bench.store.keys.get("a", ())] == kept
    assert (bench.events[-1].name, bench.events[-1].etag) == ("ObjectCreated:CompleteMultipartUpload", written.etag)


def test_of_two_uploads_the_one_that_was_started_last_is_current() -> None:
    bench = Bench(Versioning.ENABLED)
    bench.store.precedes_by_start = True
    first, second = bench.store.create_upload("a"), bench.store.create_upload("a")
    for upload in (second, first):
        bench.store.put_part(upload, 1, upload.encode())
        bench.store.complete_upload(upload, USER)
    current = bench.store.current("a")
    assert current is not None
    assert current.body == second.encode()


def test_etag_is_the_md5_unless_encrypted_with_kms() -> None:
    plain, encrypted = Bench(), Bench(kms=True)
    assert plain.store.put("a", b"x", USER).etag == "9dd4e461268c8034f5c8564e155c67a6"
    one, two = encrypted.store.put("a", b"x", USER), encrypted.store.put("a", b"x", USER)
    assert one.etag != two.etag


@pytest.mark.parametrize(
    ("versioning", "names"),
    [
        (Versioning.NEVER, ["ObjectCreated:Put", "ObjectRemoved:Delete"]),
        (Versioning.ENABLED, ["ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated"]),
        (Versioning.SUSPENDED, ["ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated"]),
    ],
)
def test_a_deletion_removes_or_leaves_a_marker(versioning: Versioning, names: list[str]) -> None:
    bench = Bench(versioning)
    bench.store.put("a", b"x", USER)
    bench.store.delete("a", USER)
    assert run(bench.bucket.head("a")) is None
    assert bench.names() == names


def test_deleting_a_missing_key_sends_an_event_only_with_versioning() -> None:
    plain, versioned = Bench(), Bench(Versioning.ENABLED)
    plain.store.delete("a", USER)
    versioned.store.delete("a", USER)
    assert plain.names() == []
    assert versioned.names() == ["ObjectRemoved:DeleteMarkerCreated"]


def test_removing_the_delete_marker_restores_the_object() -> None:
    bench = Bench(Versioning.ENABLED)
    written = bench.store.put("a", b"x", USER)
    bench.store.delete("a", USER)
    marker = bench.store.keys["a"][-1].version_id
    assert bench.store.remove_version("a", marker, USER)
    seen = run(bench.bucket.head("a"))
    assert seen is not None
    assert seen.version_id == written.version_id
    assert (bench.events[-1].name, bench.events[-1].version_id) == ("ObjectRemoved:Delete", marker)


def test_a_suspended_bucket_keeps_old_versions_and_one_null_version() -> None:
    bench = Bench(Versioning.ENABLED)
    first = bench.store.put("a", b"1", USER)
    bench.store.suspend()
    bench.store.put("a", b"2", USER)
    bench.store.put("a", b"3", USER)
    assert [v.version_id for v in bench.store.keys["a"]] == [first.version_id, "null"]
    bench.store.delete("a", USER)
    assert [(v.version_id, v.marker) for v in bench.store.keys["a"]] == [(first.version_id, False), ("null", True)]


def test_expiry_has_its_own_events_and_principal() -> None:
    bench = Bench()
    bench.store.put("a", b"x", USER)
    bench.store.expire("a")
    assert (bench.events[-1].name, bench.events[-1].principal) == ("LifecycleExpiration:Delete", LIFECYCLE)


def test_a_copy_keeps_metadata_and_stamp_unless_they_are_replaced() -> None:
    bench = Bench()
    attributes = Attributes(metadata=(("w", "1"),))
    run(bench.bucket.put("a", b"x", attributes, STAMP, MUST_NOT_EXIST))
    bench.store.copy("a", "b", USER)
    bench.store.copy("a", "c", USER, Attributes())
    with_all, without = run(bench.bucket.head("b")), run(bench.bucket.head("c"))
    assert with_all is not None
    assert without is not None
    assert (with_all.stamp, with_all.attributes) == (STAMP, attributes)
    assert (without.stamp, without.attributes) == (None, Attributes())
    assert bench.names()[1:] == ["ObjectCreated:Copy", "ObjectCreated:Copy"]


def test_sequencers_of_a_key_grow_padded_on_the_left_and_differ_in_length() -> None:
    bench = Bench()
    for i in range(40):
        bench.store.put("a", b"%d" % i, USER)
    found = [e.sequencer for e in bench.events]
    assert [int(s, 16) for s in found] == sorted({int(s, 16) for s in found})
    assert len({len(s) for s in found}) > 1


def test_an_event_has_the_documented_json() -> None:
    bench = Bench(Versioning.ENABLED)
    bench.store.put("red flower+é.jpg", b"x", USER)
    record = json.loads(body(bench.events[0]))["Records"][0]
    assert record["s3"]["object"]["key"] == "red+flower%2B%C3%A9.jpg"
    assert record["userIdentity"]["principalId"] == "AWS:AIDAUSER"
    assert record["eventTime"] == "2026-09-21T14:13:20.900Z"
    assert record["s3"]["object"]["size"] == 1
    assert record["s3"]["object"]["versionId"] == bench.events[0].version_id
    assert len(json.loads(body(bench.events[0], bench.events[0]))["Records"]) == 2


def test_if_match_on_a_missing_key_is_404_and_a_deletion_may_succeed() -> None:
    bench = Bench()
    with pytest.raises(PreconditionFailedError):
        run(bench.bucket.put("a", b"x", Attributes(), None, Precondition("e")))
    with pytest.raises(PreconditionFailedError):
        run(bench.bucket.delete("a", Precondition("e")))
    bench.store.absent_delete_is_404 = False
    run(bench.bucket.delete("a", Precondition("e")))


def test_a_conflicting_conditional_write_is_409_and_ends_the_upload() -> None:
    bench = Bench()
    upload = run(bench.bucket.create_upload("a", Attributes(), None)).id
    part = run(bench.bucket.put_part("a", upload, 1, b"x"))
    bench.store.busy = lambda key: True
    with pytest.raises(ConcurrentWriteError):
        run(bench.bucket.complete_upload("a", upload, [part], MUST_NOT_EXIST))
    bench.store.busy = None
    with pytest.raises(PreconditionFailedError, match="NoSuchUpload"):
        run(bench.bucket.complete_upload("a", upload, [part], MUST_NOT_EXIST))


def test_version_ids_are_returned_only_after_versioning_was_enabled() -> None:
    bench = Bench()
    bench.store.put("a", b"x", USER)
    before = run(bench.bucket.head("a"))
    bench.store.enable()
    after = run(bench.bucket.head("a"))
    assert before is not None
    assert before.version_id == ""
    assert after == replace(before, version_id="null")
