"""What every part of a worker needs: its settings and its ways to the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dualsync.runtime.errors import Changed, DualSyncError, Retry
from dualsync.runtime.log import Log, Outcome
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.identify import name_version
from dualsync.runtime.model.ledger_entry import Agreement, Entry
from dualsync.runtime.model.objects import Seen
from dualsync.runtime.model.origin_version import Identity, Stamp, key_hash
from dualsync.runtime.ports import Bucket, Clock, Ledger, Queue, Route
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.sync.decision import Sighting
from dualsync.runtime.transfer.copier import Copier


class Unrecorded(DualSyncError):
    """A write was done at the peer, and the ledger could not be told: the next look must know it."""

    def __init__(self, agreement: Agreement, cause: Changed | Retry) -> None:
        super().__init__(f"written, but not recorded: {cause}")
        self.agreement = agreement
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Result:
    """How a look ended. `again` is a look to be sent, `delay` seconds from now, before this one is acknowledged.
    `denied`: for how many seconds it has been refused and waited for a person."""

    outcome: Outcome
    reason: str = ""
    bytes: int = 0
    again: Look | None = None
    delay: int = 0
    conflict: bool = False
    denied: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
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
    def pushing(self) -> Route:
        """From this side's bucket to the peer's."""
        return self.route(self.local, self.remote)

    @property
    def pulling(self) -> Route:
        """From the peer's bucket to this side's."""
        return self.route(self.remote, self.local)

    def route(self, source: Bucket, target: Bucket) -> Route:
        """From one of the two buckets to the other, or within one."""
        names = ("local" if bucket is self.local else "remote" for bucket in (source, target))
        return Route(source, target, ">".join(names))

    def named(self, route: str) -> Route:
        """The route of this name."""
        source, _, target = route.partition(">")
        return self.route(*(self.local if name == "local" else self.remote for name in (source, target)))

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock.now())

    async def write(self, before: Entry, after: Entry) -> None:
        """Write `after` to the ledger if it still holds `before`. Raises `Changed` otherwise."""
        await self.ledger.put(replace(after, revision=before.revision + 1), before.revision)

    async def write_agreed(self, before: Entry, after: Entry) -> None:
        """`write` after the peer's bucket was written. Raises `Unrecorded`."""
        try:
            await self.write(before, after)
        except (Changed, Retry) as e:
            if after.agreed is None:
                raise
            raise Unrecorded(after.agreed, e) from e

    def sight_local(self, seen: Seen, entry: Entry, look: Look) -> Sighting:
        """Name what the local bucket shows, knowing what the look's event proves."""
        wrote = look.actor is Actor.USER and look.cause is Cause.CREATED and look.etag == seen.etag
        identity, replica = name_version(
            seen,
            side=self.side,
            pair=self.settings.pair,
            key=entry.key,
            entry=entry,
            local=True,
            user_wrote=wrote,
        )
        return Sighting(seen, identity, replica)

    def sight_remote(self, seen: Seen, entry: Entry) -> Sighting:
        """Name what the peer's bucket shows."""
        identity, replica = name_version(
            seen, side=self.side.peer, pair=self.settings.pair, key=entry.key, entry=entry, local=False
        )
        return Sighting(seen, identity, replica)

    def stamp(self, key: str, identity: Identity, size: int) -> Stamp:
        """The stamp of a replica of `identity` at `key`; `size` in bytes."""
        return Stamp(self.settings.pair, key_hash(key), identity, size)
