"""What every part of a worker needs: its settings and its ways to the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dualsync.runtime.errors import DualSyncError, PreconditionFailedError, RetryableError
from dualsync.runtime.log import Log, Outcome
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.identify import identify_version
from dualsync.runtime.model.ledger_entry import LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.ports import Bucket, Clock, Ledger, Queue, Route
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.transfer.copier import Copier


class LedgerWriteFailedError(DualSyncError):
    """A write was done at the peer, and the ledger could not be told: the next look must know it."""

    def __init__(self, synced: SyncedVersion, cause: PreconditionFailedError | RetryableError) -> None:
        super().__init__(f"written, but not recorded: {cause}")
        self.agreement = synced
        self.cause = cause


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How a look ended. `again` is a look to be sent, `delay` seconds from now, before this one is acknowledged.
    `denied`: for how many seconds it has been refused and waited for a person."""

    outcome: Outcome
    reason: str = ""
    bytes: int = 0
    follow_up: SyncRequest | None = None
    delay: int = 0
    conflict: bool = False
    denied_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """One side's worker and its surroundings. `local` is read and written with the side's own role, `remote` with the
    peer's dedicated user's key."""

    settings: Settings
    clock: Clock
    local: Bucket
    remote: Bucket
    ledger: Ledger
    queue: Queue
    copier: Copier
    principals: Principals
    log: Log

    @property
    def side(self) -> SideName:
        return self.settings.side

    @property
    def direction(self) -> str:
        """`cn->global`, for logs and metrics."""
        return f"{self.side}->{self.side.peer}"

    @property
    def push_route(self) -> Route:
        """From this side's bucket to the peer's."""
        return self.route(self.local, self.remote)

    @property
    def pull_route(self) -> Route:
        """From the peer's bucket to this side's."""
        return self.route(self.remote, self.local)

    def route(self, source: Bucket, target: Bucket) -> Route:
        """From one of the two buckets to the other, or within one."""
        names = ("local" if bucket is self.local else "remote" for bucket in (source, target))
        return Route(source, target, ">".join(names))

    def route_named(self, route: str) -> Route:
        """The route of this name."""
        source, _, target = route.partition(">")
        return self.route(*(self.local if name == "local" else self.remote for name in (source, target)))

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock.now())

    async def write(self, before: LedgerEntry, after: LedgerEntry) -> None:
        """Write `after` to the ledger if it still holds `before`. Raises `PreconditionFailedError` otherwise."""
        await self.ledger.put(replace(after, revision=before.revision + 1), before.revision)

    async def write_synced(self, before: LedgerEntry, after: LedgerEntry) -> None:
        """`write` after the peer's bucket was written. Raises `LedgerWriteFailedError`."""
        try:
            await self.write(before, after)
        except (PreconditionFailedError, RetryableError) as e:
            if after.synced is None:
                raise
            raise LedgerWriteFailedError(after.synced, e) from e

    def observe_local(self, seen: ObjectHead, entry: LedgerEntry, look: SyncRequest) -> ObservedVersion:
        """Name what the local bucket shows, knowing what the look's event proves."""
        wrote = look.actor is Actor.USER and look.cause is Cause.CREATED and look.etag == seen.etag
        identity, replica = identify_version(
            seen,
            side=self.side,
            pair=self.settings.pair,
            key=entry.key,
            entry=entry,
            local=True,
            user_wrote=wrote,
        )
        return ObservedVersion(seen, identity, replica)

    def observe_remote(self, seen: ObjectHead, entry: LedgerEntry) -> ObservedVersion:
        """Name what the peer's bucket shows."""
        identity, replica = identify_version(
            seen, side=self.side.peer, pair=self.settings.pair, key=entry.key, entry=entry, local=False
        )
        return ObservedVersion(seen, identity, replica)

    def stamp(self, key: str, identity: OriginVersion, size: int) -> Stamp:
        """The stamp of a replica of `identity` at `key`; `size` in bytes."""
        return Stamp(self.settings.pair, key_hash(key), identity, size)
