"""Bundle what every part of a worker needs: settings, clock, buckets, ledger, queue, log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dualsync.runtime.errors import DualSyncError, PreconditionFailedError, RetryableError
from dualsync.runtime.log import Log, Outcome
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.identify import identify_version, is_valid_stamp, object_mark
from dualsync.runtime.model.ledger_entry import LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.ports import Bucket, Clock, Ledger, Message, Queue, Route
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.sync.decision import WAIT_ATTEMPTS_IN_A_TIE, ObservedVersion
from dualsync.runtime.transfer.copier import Copier
from dualsync.runtime.transfer.observed_bucket import Observations, ObservedBucket

MAX_DELAY = 900
"""Seconds, SQS's longest delay (SQS API Reference, "SendMessage")."""


class LedgerWriteFailedError(DualSyncError):
    """A write was done at the peer but not recorded in the ledger: the next check must take it into account."""

    def __init__(self, synced: SyncedVersion, cause: PreconditionFailedError | RetryableError) -> None:
        super().__init__(f"written, but not recorded: {cause}")
        self.synced = synced
        self.cause = cause


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How a request ended."""

    outcome: Outcome
    """What was done, for logs and metrics."""
    reason: str = ""
    """Why, for the log."""
    bytes: int = 0
    """Bytes that were copied."""
    follow_up: SyncRequest | None = None
    """A request to be sent before this one is acknowledged."""
    delay: int = 0
    """Seconds before `follow_up` may be received."""
    conflict: bool = False
    """True if users of both sides wrote without knowing of each other."""
    denied_seconds: float | None = None
    """For how many seconds the request has been refused; None if it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """One side's worker and its surroundings."""

    settings: Settings
    """The side's settings."""
    clock: Clock
    """The time."""
    local: Bucket
    """This side's bucket, accessed with the side's own role."""
    remote: Bucket
    """The peer's bucket, accessed with the key of the peer's dedicated user."""
    ledger: Ledger
    """This side's ledger."""
    queue: Queue
    """This side's queue."""
    copier: Copier
    """Copies objects between the buckets."""
    principals: Principals
    """Who is who in this side's events."""
    authenticator: Authenticator
    """Signs and verifies the messages that this side sends to itself."""
    log: Log
    """The process's log."""
    observations: Observations | None = None
    """What the handling of one message has read; None outside of it."""

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
        """Return the route from one of the two buckets to the other, or within one."""
        names = ("local" if bucket is self.local else "remote" for bucket in (source, target))
        return Route(source, target, ">".join(names))

    def route_named(self, route: str) -> Route:
        """Return the route of this name."""
        source, _, target = route.partition(">")
        return self.route(*(self.local if name == "local" else self.remote for name in (source, target)))

    def for_message(self, message: Message) -> SyncContext:
        """Return the context for one message, in which nothing acts on an old observation or for a lost message."""
        observations = Observations(self.clock, message)
        return replace(
            self,
            observations=observations,
            local=ObservedBucket(self.local, observations),
            remote=ObservedBucket(self.remote, observations),
        )

    def now(self) -> int:
        """Return the time in whole seconds since the epoch."""
        return int(self.clock.now())

    def delay_after(self, attempt: int) -> int:
        """Return the seconds before the check that follows this attempt. They double, up to SQS's limit."""
        factor: int = 2 ** min(attempt, 6)
        return min(MAX_DELAY, self.settings.retry_delay_seconds * factor)

    async def send(self, requests: Iterable[SyncRequest | PartRequest], delay: int = 0) -> None:
        """Send authenticated requests to this side's queue, to be received `delay` seconds from now at the earliest."""
        bodies = [
            part_request_codec.encode(request)
            if isinstance(request, PartRequest)
            else sync_request_codec.encode(request)
            for request in requests
        ]
        await self.queue.send([self.authenticator.sign(body) for body in bodies], delay)

    async def entry(self, key: str) -> LedgerEntry:
        """Return the ledger's entry of the key, an empty one if there is none."""
        asked = self.clock.monotonic()
        entry = await self.ledger.get(key) or LedgerEntry(key)
        if self.observations is not None:
            self.observations.record_entry(self.ledger, key, entry.revision, asked)
        return entry

    async def write(self, before: LedgerEntry, after: LedgerEntry) -> None:
        """Write `after` to the ledger if it still holds `before`. Raises `PreconditionFailedError` otherwise."""
        asked = self.clock.monotonic()
        await self.ledger.put(replace(after, revision=before.revision + 1), before.revision)
        if self.observations is not None:
            self.observations.record_entry(self.ledger, after.key, before.revision + 1, asked)

    async def write_synced(self, before: LedgerEntry, after: LedgerEntry) -> None:
        """Do as `write` does, after the peer's bucket was written. Raises `LedgerWriteFailedError`."""
        try:
            await self.write(before, after)
        except (PreconditionFailedError, RetryableError) as e:
            if after.synced is None:
                raise
            raise LedgerWriteFailedError(after.synced, e) from e

    def observe_local(self, head: ObjectHead, entry: LedgerEntry, request: SyncRequest) -> ObservedVersion:
        """Identify what the local bucket shows, knowing what the request's event proves."""
        version, replica = identify_version(
            head,
            side=self.side,
            pair=self.settings.pair,
            key=entry.key,
            entry=entry,
            local=True,
            user_wrote=_is_written_by_user(head, entry, request),
        )
        return ObservedVersion(head, version, replica)

    def wait_for_echo(self, head: ObjectHead, entry: LedgerEntry, request: SyncRequest) -> None:
        """Raise `PreconditionFailedError` while only an event says that a user wrote a replica that is not known yet.

        A user may copy a replica onto itself. Such an event can be forged as well, and would have the copy of a deleted
        version written back. The copy's echo, still on its way, tells them apart by the time that the bucket shows.
        A one-way pair's source gets no copies, and so no echoes.
        """
        stamp = head.stamp
        if self.settings.direction.one_way:
            return
        if stamp is None or request.attempt >= WAIT_ATTEMPTS_IN_A_TIE or not _is_written_by_user(head, entry, request):
            return
        known = entry.synced is not None and entry.synced.version == stamp.version
        if not known and is_valid_stamp(stamp, self.settings.pair, entry.key, head.size):
            raise PreconditionFailedError("a replica that the ledger does not know: its echo may be on its way")

    def observe_remote(self, head: ObjectHead, entry: LedgerEntry) -> ObservedVersion:
        """Identify what the peer's bucket shows."""
        version, replica = identify_version(
            head, side=self.side.peer, pair=self.settings.pair, key=entry.key, entry=entry, local=False
        )
        return ObservedVersion(head, version, replica)

    def stamp(self, key: str, version: OriginVersion, size: int) -> Stamp:
        """Return the stamp of a replica of `version` at `key`; `size` in bytes."""
        return Stamp(self.settings.pair, key_hash(key), version, size)


def _is_written_by_user(head: ObjectHead, entry: LedgerEntry, request: SyncRequest) -> bool:
    """Return True if the request's event says that a user wrote the content that is here, and no echo denied that."""
    says_so = request.actor is Actor.USER and request.cause is Cause.CREATED and request.etag == head.etag
    return says_so and entry.echoed != object_mark(head)
