"""Test uploads in parts that are completed, and give way to what was written or deleted after their start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.errors import UploadGoneError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, ObjectHead, Precondition, PutResult
from dualsync.runtime.ports import Route
from tests.support.copy_harness import MIB, STAMP, CopyHarness
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.gate import run
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning

SMALL = b"x" * 8
LARGE = b"x" * (2 * MIB) + b"yz"
USER = "AIDAUSER"


class Changing(FakeBucket):
    """A target where users act before the first completion of an upload, or after it."""

    def __init__(self, store: Store, act: Callable[[Store], object], *, after: bool = False) -> None:
        super().__init__(store, "AIDA")
        self.acts = [act]
        self.after = after

    async def complete_upload(self, *arguments: Any, **named: Any) -> PutResult:
        acts, self.acts = self.acts, []
        if not self.after:
            for act in acts:
                act(self.store)
        written = await super().complete_upload(*arguments, **named)
        if self.after:
            for act in acts:
                act(self.store)
        return written


def put_and_delete(store: Store) -> None:
    store.put("k", b"of a user", USER)
    store.delete("k", USER)


def harness(versioning: Versioning, act: Callable[[Store], object], *, after: bool = False) -> CopyHarness:
    world = CopyHarness()
    world.target.versioning = versioning
    world.target.precedes_by_start = True
    world.route = Route(world.route.source, Changing(world.target, act, after=after), "local>remote")
    return world


def copy(world: CopyHarness) -> PutResult:
    reading = run(world.route.source.read("k"))
    assert reading is not None
    return run(world.copier.copy(world.route, reading, "k", STAMP, MUST_NOT_EXIST))


def write_in_parts(store: Store, content: bytes) -> None:
    upload = store.create_upload("k")
    store.put_part(upload, 1, content[: len(content) // 2])
    store.put_part(upload, 2, content[len(content) // 2 :])
    store.complete_upload(upload, USER)


@pytest.mark.parametrize("versioning", list(Versioning), ids=lambda versioning: versioning.name)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_upload_that_gave_way_is_no_copy_and_the_next_one_is(versioning: Versioning, content: bytes) -> None:
    world = harness(versioning, put_and_delete)
    write_in_parts(world.source, content)
    with pytest.raises(UploadGoneError, match="'k' shows what was written or deleted after its upload started"):
        copy(world)
    assert world.copied() is None
    assert world.upload_records() == [], "the next check starts another upload"
    written = copy(world)
    shown = world.copied()
    assert shown is not None
    assert (shown[0], shown[1].etag) == (content, written.etag)


@pytest.mark.parametrize("versioning", list(Versioning), ids=lambda versioning: versioning.name)
def test_same_bytes_of_a_user_are_told_apart_by_their_version_only(versioning: Versioning) -> None:
    """Where S3 keeps no versions, nothing tells them apart; the user's object has the copy's bytes then."""

    def act(store: Store) -> None:
        write_in_parts(store, SMALL)
        store.spent_by_412 = False

    world = harness(versioning, act)
    write_in_parts(world.source, SMALL)
    condition = Precondition(world.source.keys["k"][-1].seen.etag)
    write_in_parts(world.target, SMALL)
    reading = run(world.route.source.read("k"))
    assert reading is not None
    if versioning is Versioning.ENABLED:
        with pytest.raises(UploadGoneError):
            run(world.copier.copy(world.route, reading, "k", STAMP, condition))
    else:
        run(world.copier.copy(world.route, reading, "k", STAMP, condition))


def test_store_that_names_no_version_when_asked_is_believed_by_the_etag() -> None:
    class Nameless(FakeBucket):
        async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
            head = await super().head(key, version_id, checksum=checksum)
            return None if head is None else replace(head, version_id="")

    world = CopyHarness()
    world.target.versioning = Versioning.ENABLED
    world.route = Route(world.route.source, Nameless(world.target, "AIDA"), "local>remote")
    write_in_parts(world.source, LARGE)
    assert copy(world).version_id


def test_copy_that_a_user_deletes_before_it_is_seen_is_checked_again() -> None:
    world = harness(Versioning.ENABLED, lambda store: store.delete("k", USER), after=True)
    write_in_parts(world.source, LARGE)
    with pytest.raises(UploadGoneError):
        copy(world)
    assert world.target.uploads == {}
    assert world.upload_records() == []
