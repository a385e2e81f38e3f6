"""Abort multipart uploads that no request will complete: S3 keeps and bills their parts for ever.

A recorded upload (`dualsync.runtime.transfer.upload_record`) is of use as long as its source shows the version that it
carries, and the ledger does not show that both sides hold it. An upload without a record is that of a worker which was
stopped between the two calls. Only those that the dedicated user started at the peer, or the workers' own role here,
are this program's.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dualsync.runtime.errors import CredentialRejectedError, DualSyncError, PermanentError, PreconditionFailedError
from dualsync.runtime.log import Log
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.ports import Bucket, Clock, Ledger
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord

RECENTLY_MOVED_SECONDS = 3600
"""Seconds since an upload last moved within which it is left alone: a worker is copying its parts."""
ABANDONED_SECONDS = 7 * 86400
"""Seconds without any progress after which an upload is aborted, whatever it carries."""


def sessions_of(account: str, role: str) -> Callable[[str], bool]:
    """Return a test for initiators that are sessions of this role in this account. Empty names match nothing.

    A session's name does not matter: on EC2 it is the instance's id. "Initiator" (API Reference) describes only
    accounts and IAM users. For a role only the ARN that STS gives its sessions ("IAM identifiers", IAM User Guide) is
    certain; any other form matches nothing.
    """
    ours = re.compile(rf"arn:[a-z-]+:sts::{re.escape(account)}:assumed-role/{re.escape(role)}/[^/]+")
    return lambda initiator: bool(account and role and ours.fullmatch(initiator))


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleUploadSweep:
    """One pass over the uploads under way, which aborts the stale ones."""

    clock: Clock
    """The clock."""
    local: Bucket
    """This side's bucket."""
    remote: Bucket
    """The peer's bucket."""
    ledger: Ledger
    """Where uploads under way are recorded."""
    log: Log
    """Where aborted uploads are logged."""
    initiator: str
    """ARN of the user whose key writes to `remote`."""
    by_worker: Callable[[str], bool]
    """Returns True for initiators of uploads to `local` that are this side's workers."""

    async def run(self) -> int:
        """Return how many were aborted. A failure is logged and left to the next pass.

        Raises `CredentialRejectedError`.
        """
        now = self.clock.now()
        recorded = []
        async for record in self.ledger.records(UPLOAD):
            if (upload := upload_record_codec.decode_or_none(record)) is not None:
                recorded.append(upload)
            else:
                self.log.line("WARNING", "uploads", key=record.key or None, reason="the upload's record is unreadable")
        ended = 0
        for upload in recorded:
            ended += await self._try(self._recorded(upload, now), upload.target_key)
        ids = {upload.upload_id for upload in recorded}
        ended += await self._try(self._unrecorded(self.remote, self._by_dedicated_user, ids, now), "")
        return ended + await self._try(self._unrecorded(self.local, self.by_worker, ids, now), "")

    async def _try(self, work: Awaitable[int], key: str) -> int:
        """Return how many uploads were aborted, 0 after a failure, which is logged."""
        try:
            return await work
        except CredentialRejectedError:
            raise
        except DualSyncError as e:
            self.log.line("WARNING", "uploads", key=key or None, reason=f"{type(e).__name__}: {e}")
            return 0

    async def _recorded(self, upload: UploadRecord, now: float) -> int:
        since = max(upload.started, upload.last_progress)
        if now - since < RECENTLY_MOVED_SECONDS:
            return 0
        why = "" if now - since < ABANDONED_SECONDS else f"nothing has moved for {ABANDONED_SECONDS // 86400} days"
        why = why or await self._useless(upload)
        if not why:
            return 0
        await self._bucket(upload.route.partition(">")[2]).abort_upload(upload.target_key, upload.upload_id)
        try:
            await self.ledger.release(upload_record_codec.encode(upload))
        except PreconditionFailedError:
            return 0  # replaced by a worker meanwhile
        self.log.line("INFO", "uploads", key=upload.target_key, upload=upload.upload_id, reason=f"aborted: {why}")
        return 1

    async def _useless(self, upload: UploadRecord) -> str:
        seen = await self._bucket(upload.route.partition(">")[0]).head(upload.key)
        if seen is None or seen.etag != upload.etag:
            return "its source has gone or was replaced"
        agreed = (await self.ledger.get(upload.key) or LedgerEntry(upload.key)).synced
        stamp = Stamp.decode(upload.stamp)
        if (
            upload.target_key == upload.key
            and agreed is not None
            and stamp is not None
            and agreed.version == stamp.version
        ):
            return "both sides hold this version"
        return ""

    def _by_dedicated_user(self, initiator: str) -> bool:
        return bool(self.initiator) and initiator == self.initiator

    async def _unrecorded(self, bucket: Bucket, ours: Callable[[str], bool], recorded: set[str], now: float) -> int:
        try:
            begun = await bucket.list_uploads()
        except PermanentError:
            return 0  # a store without this call
        ended = 0
        for upload in begun:
            if ours(upload.initiator) and upload.id not in recorded and now - upload.initiated >= ABANDONED_SECONDS:
                await bucket.abort_upload(upload.key, upload.id)
                self.log.line("INFO", "uploads", key=upload.key, upload=upload.id, reason="aborted: no record of it")
                ended += 1
        return ended

    def _bucket(self, name: str) -> Bucket:
        return self.local if name == "local" else self.remote
