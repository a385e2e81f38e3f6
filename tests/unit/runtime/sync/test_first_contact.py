"""Test first contact: equal content that both buckets held before is recognised without a transfer or a conflict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest

from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.errors import AccessDeniedError
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.records import CONFLICT
from dualsync.runtime.settings import FirstContact
from dualsync.runtime.sync import first_contact
from dualsync.runtime.sync.decision import WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
from dualsync.runtime.transfer import digest_reader
from dualsync.runtime.transfer.forwarding_bucket import ForwardingBucket
from tests.support.builders import USER, Journal, Side, settings
from tests.support.fakes.gate import run
from tests.support.fakes.store import Store

CONTENT = bytes(range(256)) * 40
TEXT = Attributes(content_type="text/plain")
PATIENCE = WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
WRITES = {"put", "create_upload", "put_part", "complete", "delete"}


class Seeded(Side):
    """Side `cn` and its peer's bucket, filled by others, with a journal of all calls."""

    def __init__(self, **changes: Any) -> None:
        self.journal = Journal()
        super().__init__(settings(**changes), gate=self.journal.gate)

    def check(self, attempt: int = 0) -> None:
        """Process a finder request of the key, once everything is old."""
        self.time.now += 10_000
        run(self.worker.process(self.signed(SyncRequest("k", Cause.FINDER, attempt=attempt, full_check=True))))

    def encrypt(self) -> None:
        """Let both buckets encrypt with KMS, so that no ETag is a digest."""
        self.here.kms = self.there.kms = True
        self.there.random = Random(1)

    @property
    def reads(self) -> list[str]:
        return [call for call in self.journal.calls if "get_range" in call]

    def was_recognised(self) -> bool:
        """Return whether the check recorded one version and wrote nothing."""
        objects = [call.split(".") for call in self.journal.calls if call.startswith(("local.", "remote."))]
        written = [call for _, call in objects if call in WRITES]
        conflicts = [r for r in self.ledger.table.records.values() if r.kind == CONFLICT]
        synced = self.entry().synced
        assert (synced is None) == (self.outcomes()["agreed"] == 0)
        return synced is not None and not written and not conflicts


def upload(store: Store, content: bytes, lengths: list[int], checksum: str = "", given: Attributes = TEXT) -> None:
    """Write `k` in parts of these lengths; the last one may be cut."""
    id = store.create_upload("k", given, None, USER, checksum)
    at = 0
    for number, length in enumerate(lengths, 1):
        store.put_part(id, number, content[at : at + length])
        at += length
    assert at >= len(content)
    store.complete_upload(id, USER)


def whole(store: Store, content: bytes = CONTENT, checksum: str = "", given: Attributes = TEXT) -> None:
    store.put("k", content, USER, replace(given, checksum=checksum))


def even(length: int) -> list[int]:
    return [length] * -(-len(CONTENT) // length)


Fill = Callable[[Store], None]
LAYOUTS: dict[str, Fill] = {
    "in one piece": whole,
    "in even parts": lambda store: upload(store, CONTENT, even(1000)),
    "in other even parts": lambda store: upload(store, CONTENT, even(3000)),
    "in one part": lambda store: upload(store, CONTENT, [len(CONTENT)]),
    "in parts that grow": lambda store: upload(store, CONTENT, [100, 200, 400, 9_540]),
}


@pytest.mark.parametrize("there", LAYOUTS)
@pytest.mark.parametrize("here", LAYOUTS)
def test_same_content_in_other_parts_is_recognised_without_transfer_or_conflict(here: str, there: str) -> None:
    side = Seeded()
    LAYOUTS[here](side.here)
    side.time.now += 60
    LAYOUTS[there](side.there)
    side.check()
    assert side.was_recognised()
    assert not [call for call in side.reads if call.startswith("remote.")], "content was read across the partitions"


@pytest.mark.parametrize("there", LAYOUTS)
@pytest.mark.parametrize("here", LAYOUTS)
def test_different_content_of_the_same_size_is_a_conflict(here: str, there: str) -> None:
    side = Seeded()
    LAYOUTS[here](side.here)
    side.time.now += 60
    other = Store("other", "region", side.time)
    LAYOUTS[there](other)
    current = other.current("k")
    assert current is not None
    count = len(current.parts) if "-" in current.seen.etag else 0
    changed = CONTENT[:-1] + b"!"
    if count:
        upload(side.there, changed, [length for length, _ in current.parts])
    else:
        whole(side.there, changed)
    side.check(PATIENCE)
    assert [r for r in side.ledger.table.records.values() if r.kind == CONFLICT]


def test_equal_stored_checksums_are_recognised_without_reading_content() -> None:
    side = Seeded()
    upload(side.here, CONTENT, even(1000), "crc64nvme")
    whole(side.there, checksum="crc64nvme:")
    side.check()
    assert side.was_recognised()
    assert side.reads == []


def test_different_stored_checksums_are_a_conflict_without_reading_content() -> None:
    side = Seeded()
    upload(side.here, CONTENT, even(1000), "crc64nvme")
    whole(side.there, CONTENT[::-1], checksum="crc64nvme:")
    side.check()
    assert not side.was_recognised()
    assert side.reads == []


def test_composite_checksums_are_not_compared() -> None:
    side = Seeded()
    upload(side.here, CONTENT, even(1000), "sha256-")
    upload(side.there, CONTENT, even(3000), "sha256-")
    side.check()
    assert side.was_recognised()
    assert side.reads, "the content's digest decided"


@pytest.mark.parametrize("kind", ["crc32", "sha1", "sha256"])
def test_encrypted_object_is_compared_by_its_checksum(kind: str) -> None:
    side = Seeded()
    side.there.kms = True
    whole(side.here)
    whole(side.there, checksum=f"{kind}:")
    side.check()
    assert side.was_recognised()
    assert {call.split(".")[0] for call in side.reads} == {"local"}


@pytest.mark.parametrize(("contact", "recognised"), [(FirstContact.CHECKSUM, False), (FirstContact.CONTENT, True)])
def test_content_at_the_peer_is_read_only_if_configured(contact: FirstContact, recognised: bool) -> None:
    side = Seeded(first_contact=contact)
    side.encrypt()
    whole(side.here)
    whole(side.there)
    side.check()
    assert side.was_recognised() is recognised
    assert bool([call for call in side.reads if call.startswith("remote.")]) is recognised


def test_different_encrypted_content_is_not_recognised() -> None:
    side = Seeded(first_contact=FirstContact.CONTENT)
    side.encrypt()
    whole(side.here)
    whole(side.there, CONTENT[:-1] + b"!")
    side.check()
    assert not side.was_recognised()


def test_equal_sizes_are_enough_where_configured() -> None:
    side = Seeded(first_contact=FirstContact.SIZE)
    whole(side.here)
    whole(side.there, CONTENT[::-1], given=Attributes(content_type="image/png"))
    side.check()
    assert side.was_recognised()
    assert side.reads == []


def test_denied_checksum_counts_as_missing() -> None:
    side = Seeded()
    whole(side.here, checksum="crc64nvme:")
    upload(side.there, CONTENT, even(1000), "crc64nvme")
    shown = side.remote.head

    async def head(key: str, version_id: str = "", *, checksum: bool = False) -> Any:
        if checksum:
            raise AccessDeniedError("kms Decrypt: AccessDenied")
        return await shown(key, version_id)

    side.remote.head = head  # type: ignore[method-assign]
    side.check()
    assert side.was_recognised()


def test_object_replaced_during_the_comparison_is_checked_again() -> None:
    side = Seeded()
    whole(side.here)
    upload(side.there, CONTENT, even(1000))
    read = side.local.read_range

    async def replaced(key: str, start: int, end: int, etag: str) -> bytes:
        side.here.put("k", b"new", USER, TEXT)
        return await read(key, start, end, etag)

    side.local.read_range = replaced  # type: ignore[method-assign]
    side.check()
    assert side.entry().synced is None
    assert side.outcomes()["postponed"] == 1


def test_archived_object_is_compared_by_stored_checksums_only() -> None:
    side = Seeded()
    whole(side.here, checksum="crc64nvme:")
    upload(side.there, CONTENT, even(1000), "crc64nvme")
    side.here.archive("k")
    side.check()
    assert side.was_recognised()
    assert side.reads == []


def test_equal_bytes_with_other_metadata_converge_to_the_newest() -> None:
    side = Seeded()
    whole(side.there, given=Attributes(content_type="application/octet-stream"))
    side.time.now += 60
    whole(side.here, given=Attributes(content_type="text/css", metadata=(("owner", "a"),)))
    side.check(PATIENCE)
    there = side.there.current("k")
    assert there is not None
    assert there.seen.attributes == Attributes(content_type="text/css", metadata=(("owner", "a"),))
    assert [r.kind for r in side.ledger.table.records.values()] == [CONFLICT]


@pytest.mark.parametrize("contact", [FirstContact.CHECKSUM, FirstContact.CONTENT])
async def test_comparison_holds_one_piece_at_a_time(contact: FirstContact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise many comparisons, each holding one piece, would deadlock on the memory bound."""
    monkeypatch.setattr(digest_reader, "PIECE_BYTES", 4000)
    w = Seeded(first_contact=contact)
    if contact is FirstContact.CONTENT:
        w.encrypt()
    for store in (w.here, w.there):
        whole(store)
    admission = Admission(4000)

    class Bounded(ForwardingBucket):
        async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
            piece = await admission.body(end - start)
            piece[:] = await super().read_range(key, start, end, etag)
            return cast(bytes, piece)

    context = replace(w.context, local=Bounded(w.local), remote=Bounded(w.remote))
    local, remote = await w.local.head("k"), await w.remote.head("k")
    assert local is not None
    assert remote is not None
    assert await asyncio.wait_for(first_contact.holds_same_content(context, "k", local, remote), 60)
    assert admission.held_bytes == 0
