"""Test the sweep of stale uploads: it aborts those that no request will complete, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.errors import CredentialRejectedError, PermanentError, UnavailableError
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.stale_uploads import ABANDONED_SECONDS, RECENTLY_MOVED_SECONDS, sessions_of
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.simulation.histories.world import sweep_of
from tests.support.builders import CN, PEERS_USER, ROLE, USER, Journal, Side, settings, stamp
from tests.support.fakes.gate import run


class World(Side):
    """A side with key `k` and a recorded upload of it to the peer."""

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__(settings(), gate=journal.gate) if journal else super().__init__(settings())
        self.put("k", b"content")
        version = self.here.current("k")
        assert version is not None
        self.etag = version.seen.etag
        self.identity = OriginVersion(CN, version.seen.modified, self.etag)
        self.begin()

    def begin(self, route: str = "local>remote", to: str = "k") -> str:
        """Begin another upload and record it."""
        store = self.there if route.endswith("remote") else self.here
        upload_id = store.create_upload(to, Attributes(), None, PEERS_USER)
        upload = UploadRecord(
            route=route,
            key="k",
            target_key=to,
            etag=self.etag,
            size=7,
            part_length=5,
            stamp=stamp(self.identity).encode(),
            attributes="",
            upload_id=upload_id,
            started=int(self.time.now),
        )
        run(self.ledger.record(upload_record_codec.encode(upload)))
        return upload_id

    def sweep(self, initiator: str = PEERS_USER) -> int:
        return run(sweep_of(self.context, initiator, lambda who: who.startswith(f"{ROLE}:")).run())

    def remaining(self) -> tuple[int, int]:
        """Return the numbers of uploads and of their records."""
        recorded = [r for r in self.ledger.table.records.values() if r.kind == UPLOAD]
        return len(self.here.uploads) + len(self.there.uploads), len(recorded)


def test_upload_is_aborted_after_seven_days_without_progress() -> None:
    world = World()
    world.time.now += ABANDONED_SECONDS - 1
    assert world.sweep() == 0
    assert world.remaining() == (1, 1)
    world.time.now += 1
    assert world.sweep() == 1
    assert world.remaining() == (0, 0)
    assert "nothing has moved for 7 days" in str(world.log.of("uploads")[0]["reason"])
    assert world.sweep() == 0


@pytest.mark.parametrize("act", ["delete", "replace"])
def test_upload_of_a_deleted_or_replaced_source_is_aborted_after_the_quiet_time(act: str) -> None:
    world = World()
    if act == "delete":
        world.here.delete("k", USER)
    else:
        world.here.put("k", b"another", USER)
    world.time.now += RECENTLY_MOVED_SECONDS - 1
    assert world.sweep() == 0
    world.time.now += 1
    assert world.sweep() == 1
    assert world.remaining() == (0, 0)


def test_upload_of_a_synced_version_is_aborted() -> None:
    world = World()
    world.begin(to="k.conflict-cn-1-00000000")
    synced_version = SyncedVersion(world.identity, CopyState(world.etag, 1), CopyState(world.etag))
    run(world.ledger.put(LedgerEntry("k", synced=synced_version), 0))
    world.time.now += RECENTLY_MOVED_SECONDS
    assert world.sweep() == 1
    assert world.remaining() == (1, 1), "the upload of a conflict copy is kept"


def test_upload_of_a_pull_is_aborted_on_this_side() -> None:
    world = World()
    world.begin("remote>local")
    world.time.now += RECENTLY_MOVED_SECONDS
    assert world.sweep() == 1
    assert world.here.uploads == {}
    assert world.remaining() == (1, 1)


def test_record_that_a_worker_replaced_meanwhile_is_kept() -> None:
    world = World()
    world.time.now += ABANDONED_SECONDS
    (record,) = world.ledger.table.records.values()
    newer = upload_record_codec.decode(record)

    async def abort(key: str, upload_id: str) -> None:
        world.ledger.table.records[UPLOAD, record.id] = upload_record_codec.encode(upload_record_codec.decode(record))
        run(world.ledger.record(upload_record_codec.encode(_again(newer))))

    world.remote.abort_upload = abort  # type: ignore[method-assign]
    assert world.sweep() == 0
    assert world.remaining() == (1, 1)


def _again(upload: UploadRecord) -> UploadRecord:
    return upload_record_codec.decode(
        upload_record_codec.encode(upload).__class__(
            UPLOAD,
            upload_record_codec.encode(upload).id,
            upload.started + 1,
            "k",
            upload_record_codec.encode(upload).data,
        )
    )


def test_unrecorded_uploads_of_this_sides_user_are_aborted_when_old() -> None:
    world = World()
    world.ledger.table.records.clear()
    world.there.create_upload("theirs", Attributes(), None, "somebody")
    assert world.sweep() == 0
    world.time.now += ABANDONED_SECONDS - 1
    assert world.sweep() == 0
    world.time.now += 1
    assert world.sweep(initiator="") == 0
    assert world.sweep() == 1
    assert [upload.key for upload in world.there.uploads.values()] == ["theirs"]


def test_unrecorded_pulls_are_aborted_if_a_worker_of_this_side_began_them() -> None:
    world = World()
    world.ledger.table.records.clear()
    world.there.uploads.clear()
    upload_id = run(world.local.create_upload("pulled", Attributes(), None)).id
    world.here.create_upload("somebody's", Attributes(), None, USER)
    world.here.create_upload("nobody's", Attributes(), None, "")
    world.time.now += ABANDONED_SECONDS - 1
    assert world.sweep() == 0
    world.time.now += 1
    assert world.sweep() == 1
    assert [upload.key for upload in world.here.uploads.values()] == ["somebody's", "nobody's"]
    assert [(fields["key"], fields["upload"]) for fields in world.log.of("uploads")] == [("pulled", upload_id)]


def test_recorded_pull_is_not_aborted_as_unrecorded() -> None:
    world = World()
    world.there.uploads.clear()
    world.ledger.table.records.clear()
    upload_id = run(world.local.create_upload("k", Attributes(), None)).id
    world.time.now += ABANDONED_SECONDS
    world.begin("remote>local")
    recorded = next(iter(world.ledger.table.records.values()))
    assert upload_record_codec.decode(recorded).upload_id in world.here.uploads
    assert world.sweep() == 1
    assert upload_id not in world.here.uploads
    assert world.remaining() == (1, 1)


WORKERS = sessions_of("111122223333", "p-cn-worker")


@pytest.mark.parametrize(
    ("initiator", "ours"),
    [
        ("arn:aws-cn:sts::111122223333:assumed-role/p-cn-worker/i-0123456789abcdef0", True),
        ("arn:aws:sts::111122223333:assumed-role/p-cn-worker/a@b=c,d.e-f", True),
        ("arn:aws:sts::111122223333:assumed-role/p-cn-worker-2/i-0", False),
        ("arn:aws:sts::111122223333:assumed-role/another-p-cn-worker/i-0", False),
        ("arn:aws:sts::111122223333:assumed-role/p-cn-finder/task", False),
        ("arn:aws:sts::999999999999:assumed-role/p-cn-worker/i-0", False),
        ("arn:aws:sts::111122223333:assumed-role/p-cn-worker", False),
        ("arn:aws:sts::111122223333:assumed-role/p-cn-worker/", False),
        ("arn:aws:iam::111122223333:role/p-cn-worker", False),
        ("arn:aws:iam::111122223333:user/p-cn-worker", False),
        ("arn:aws:sts::111122223333:federated-user/p-cn-worker", False),
        ("AROAWORKER:i-0", False),
        ("79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", False),
        ("", False),
    ],
)
def test_initiators_of_this_sides_workers_are_recognised(initiator: str, ours: bool) -> None:
    assert WORKERS(initiator) is ours


@pytest.mark.parametrize(("account", "role"), [("", "p-cn-worker"), ("111122223333", "")])
def test_no_initiator_matches_if_account_or_role_is_unknown(account: str, role: str) -> None:
    assert not sessions_of(account, role)(f"arn:aws:sts::{account}:assumed-role/{role}/i-0")


def test_failed_abort_is_logged_and_the_sweep_continues() -> None:
    journal = Journal()
    world = World(journal)
    world.begin("remote>local")
    world.time.now += ABANDONED_SECONDS
    journal.faults["remote.abort"] = UnavailableError("reset")
    assert world.sweep() == 1
    assert world.here.uploads == {}
    assert [fields["key"] for fields in world.log.of("uploads") if "Unavailable" in str(fields["reason"])] == ["k"]


def test_unreadable_record_is_logged_and_other_uploads_are_aborted() -> None:
    world = World()
    (good,) = [r for r in world.ledger.table.records.values() if r.kind == UPLOAD]
    run(world.ledger.record(replace(good, id="bad", key="odd", data={**good.data, "size": "x"})))
    world.time.now += ABANDONED_SECONDS
    assert world.sweep() == 1
    assert [f["key"] for f in world.log.of("uploads") if f["reason"] == "the upload's record is unreadable"] == ["odd"]


def test_sweep_skips_a_store_without_listing_and_raises_a_rejected_credential() -> None:
    journal = Journal()
    world = World(journal)
    journal.faults["remote.list_uploads"] = PermanentError("NotImplemented")
    assert world.sweep() == 0
    journal.faults["remote.list_uploads"] = CredentialRejectedError("expired")
    with pytest.raises(CredentialRejectedError):
        world.sweep()
