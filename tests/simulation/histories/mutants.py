"""Provide mutants: deliberate faults in the worker or the finder, each of which the histories must catch.

Most wrap an adapter, so that they remain valid when the core is rewritten. Some replace a function of the core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import dualsync.runtime.sync.decision as decide_module
from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.parser import Principals, parse_message
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes, ObjectHead, Part, Precondition, PutResult
from dualsync.runtime.model.origin_version import OriginVersion, Stamp
from dualsync.runtime.sync import echo, fast_path, fleet_upload, full_sync, handler
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import Action, Decision, KeyState, decide
from dualsync.runtime.transfer.multipart import MultipartCopier, UploadInProgressError
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.simulation.histories.plan import History
from tests.simulation.histories.result import Result as Outcomes
from tests.simulation.histories.simulation import simulate
from tests.simulation.histories.world import Processor, Searcher, SimulatedWorld, finder_of
from tests.support.fakes.bucket import FakeBucket, FakeObjectReader
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.queue import FakeMessage, FakeQueue
from tests.support.handlers import handler_of


class Proxy:
    """An adapter that forwards all calls to `inner`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Unconditional(Proxy):
    """A bucket that writes and deletes without preconditions."""

    inner: FakeBucket

    async def put(
        self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        return await self.inner.put(key, body, attributes, stamp, _Any(self.inner, key))

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        return await self.inner.complete_upload(key, upload_id, parts, _Any(self.inner, key))

    async def delete(self, key: str, condition: Precondition) -> None:
        await self.inner.delete(key, _Any(self.inner, key))


class _Any(Precondition):
    """A precondition that holds for any object, and is evaluated when the write takes effect."""

    def __init__(self, bucket: FakeBucket, key: str) -> None:
        object.__setattr__(self, "_bucket", bucket)
        object.__setattr__(self, "_key", key)

    def __getattribute__(self, name: str) -> Any:
        if name == "etag":
            bucket: FakeBucket = object.__getattribute__(self, "_bucket")
            version = bucket.store.current(object.__getattribute__(self, "_key"))
            return version.seen.etag if version else None
        return object.__getattribute__(self, name)


class IgnoredPreconditionFailure(Proxy):
    """A bucket that takes a 412 for success."""

    async def put(self, key: str, *rest: Any) -> PutResult:
        try:
            return await self.inner.put(key, *rest)  # type: ignore[no-any-return]
        except PreconditionFailedError:
            seen = await self.inner.head(key)
            return PutResult(seen.etag if seen else "")

    async def delete(self, key: str, condition: Precondition) -> None:
        try:
            await self.inner.delete(key, condition)
        except PreconditionFailedError:
            return


class WithoutStamps(Proxy):
    """A bucket that shows no stamps, so that a replica's own time counts as its version's."""

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        seen = await self.inner.head(key, version_id, checksum=checksum)
        return replace(seen, stamp=None) if seen else None

    async def read(self, key: str) -> FakeObjectReader | None:
        reading = await self.inner.read(key)
        if reading:
            reading.head = replace(reading.head, stamp=None)
        return reading  # type: ignore[no-any-return]


class PartsOfAnyVersion(Proxy):
    """A bucket that reads parts without If-Match."""

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        seen = await self.inner.head(key)
        return await self.inner.read_range(key, start, end, seen.etag if seen else etag)  # type: ignore[no-any-return]


class WithoutTombstones(Proxy):
    """A ledger that stores no tombstones."""

    inner: FakeLedger

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        await self.inner.put(replace(entry, deleted_versions=(), last_deletion="", deleted_at=0), expected_revision)


class LastWriterLedger(Proxy):
    """A ledger that is written without a condition."""

    inner: FakeLedger

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        stored = self.inner.table.entries.get(entry.key)
        revision = stored.revision if stored else 0
        await self.inner.get(entry.key)
        self.inner.table.entries.pop(entry.key, None)
        await self.inner.put(replace(entry, revision=1), 0)
        self.inner.table.entries[entry.key] = replace(entry, revision=revision + 1)


class WithoutEntries(Proxy):
    """A ledger that returns no entries to a finder."""

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        await self.inner.get_many(keys)
        return {}


class WithoutDelayedMessages(Proxy):
    """A queue that drops delayed messages, which are all retries."""

    inner: FakeQueue

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        if not delay_seconds:
            await self.inner.send(bodies, delay_seconds)


class AcknowledgesFirst:
    """A worker that deletes the message before it processes it."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context

    async def process(self, message: FakeMessage) -> None:
        await self.context.queue.delete([message])
        await handler_of(self.context).process(message)


# -- replaced functions of the core


def without_sequencers(*arguments: Any, **options: Any) -> list[SyncRequest]:
    """Return requests without sequencers, so that no event is stale or ordered."""
    return [replace(request, sequencer="") for request in parse_message(*arguments, **options)]


def first_record_only(*arguments: Any, **options: Any) -> list[SyncRequest]:
    """Return only the first record of a message."""
    return parse_message(*arguments, **options)[:1]


def deletes_without_proof(view: KeyState) -> Decision:
    """Decide to delete at the peer what is absent here, without proof that both sides held it."""
    if view.local is None and view.remote is not None and view.cause is Cause.REMOVED:
        return Decision(Action.DELETE_REMOTE, "gone here")
    return decide(view)


async def without_fast_path(*_: Any) -> None:
    """Leave every deletion to the full sync."""
    return


def own_version_wins_ties(a: OriginVersion, b: OriginVersion, policy: object) -> bool:
    """Return True if `a` is as new as `b`, so that each side prefers its own version."""
    return a.modified >= b.modified


async def ignore_echo(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Drop an echo without a ledger update."""
    return SyncResult(Outcome.CANCELLED)


async def unchecked_deletion(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """Apply a deletion without a check whether the object exists again."""
    if entry.synced is None:
        return SyncResult(Outcome.SKIPPED)
    await context.remote.delete(request.key, Precondition(entry.synced.remote.etag))
    await context.ledger.put(replace(entry, synced=None, revision=entry.revision + 1), entry.revision)
    return SyncResult(Outcome.DELETED)


def any_upload(self: UploadRecord, other: UploadRecord) -> bool:
    """Return True for every upload, so that one of another version is resumed."""
    return True


def nothing_missing(self: UploadRecord, present: Mapping[int, Part]) -> list[int]:
    """Return no missing part."""
    return []


async def believed(*_: object) -> None:
    """Take a completed upload for a copy, whatever the target shows."""


def in_one_piece(etag: str) -> bool:
    """Take each object for one that was shown when it was written."""
    return False


async def unwatched_upload(context: SyncContext, request: SyncRequest, under: UploadInProgressError) -> SyncResult:
    """Send the part requests of a shared upload without the request that later checks for missing parts."""
    return replace(await fleet_upload.watch_upload(context, request, under), follow_up=None)


def always_copy(view: KeyState) -> Decision:
    """Decide to copy whatever is here and differs at the peer, also a replica."""
    if view.local is not None and (view.remote is None or view.remote.version != view.local.version):
        return Decision(Action.PUSH, "it is here")
    return decide(view)


async def content_differs(*_: object) -> bool:
    """Return False, so that objects uploaded in other parts count as other content."""
    return False


def no_wait(self: SyncContext, head: ObjectHead, entry: LedgerEntry, request: SyncRequest) -> None:
    """Accept an event by which a user wrote a replica at once, although it may be forged."""


async def unchecked_stale_event(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Acknowledge an event below the ledger's sequencer without a check of the bucket."""
    return SyncResult(Outcome.SKIPPED, "stale")


ChangeContext = Callable[[SyncContext], SyncContext]


def same(context: SyncContext) -> SyncContext:
    """Return the context unchanged."""
    return context


@dataclass(frozen=True, slots=True)
class Mutant:
    """A named fault: the changes of a machine's context, and the functions that it replaces."""

    name: str
    context: ChangeContext = same
    finder_context: ChangeContext = same
    make: Callable[[SyncContext], Processor] = handler_of
    patches: Sequence[tuple[object, str, object]] = field(default_factory=tuple)
    shown_by: Sequence[int] = field(default_factory=tuple)
    """Seeds that show it, where few do; they are tried first."""

    def run(self, history: History) -> Outcomes:
        """Run a history with this fault in the machines of both sides."""

        def make_worker(world: SimulatedWorld, side: str) -> Processor:
            return self.make(self.context(world.context(side)))

        def make_finder(world: SimulatedWorld, side: str) -> Searcher:
            return finder_of(self.finder_context(world.context(side)))

        with ExitStack() as stack:
            for target, name, new in self.patches:
                stack.enter_context(patch.object(target, name, new))
            return simulate(history, make_worker, make_finder)


def swap(**wrappers: Callable[[Any], Any]) -> ChangeContext:
    """Return a change that wraps some adapters of a context."""

    def change(context: SyncContext) -> SyncContext:
        return replace(context, **{name: wrap(getattr(context, name)) for name, wrap in wrappers.items()})

    return change


NO_PRINCIPALS = Principals(frozenset())

MUTANTS = (
    Mutant("drop the guard", lambda c: replace(c, principals=NO_PRINCIPALS)),
    Mutant("drop the condition", swap(remote=Unconditional)),
    Mutant("take 412 for success", swap(remote=IgnoredPreconditionFailure)),
    Mutant("ignore the sequencer", patches=[(handler, "parse_message", without_sequencers)]),
    Mutant("acknowledge first", make=AcknowledgesFirst),
    Mutant("store no tombstones", swap(ledger=WithoutTombstones)),
    Mutant("trust replica times", swap(local=WithoutStamps, remote=WithoutStamps)),
    Mutant(
        "delete without proof",
        patches=[
            (decide_module, "decide", deletes_without_proof),
            (fast_path, "propagate_deletion", without_fast_path),
        ],
    ),
    Mutant("skip the second record", patches=[(handler, "parse_message", first_record_only)]),
    Mutant("write the ledger blindly", swap(ledger=LastWriterLedger)),
    Mutant("ignore echoes", patches=[(handler, "handle_echo", ignore_echo)]),
    Mutant(
        "win every tie",
        patches=[(full_sync, "wins", own_version_wins_ties), (decide_module, "wins", own_version_wins_ties)],
    ),
    Mutant("drop retries", swap(queue=WithoutDelayedMessages)),
    Mutant("read parts of any version", swap(local=PartsOfAnyVersion, remote=PartsOfAnyVersion)),
    Mutant("continue any upload", patches=[(UploadRecord, "is_same_copy", any_upload)]),
    Mutant("complete with missing parts", patches=[(UploadRecord, "missing_numbers", nothing_missing)]),
    Mutant("believe a completion", patches=[(MultipartCopier, "_check_visible", believed)], shown_by=[153]),
    Mutant("believe the event of a copy in parts", patches=[(echo, "is_in_parts", in_one_piece)], shown_by=[1432]),
    Mutant("start a shared upload and do not watch it", patches=[(handler, "watch_upload", unwatched_upload)]),
    Mutant("apply deletions unchecked", patches=[(fast_path, "propagate_deletion", unchecked_deletion)]),
    Mutant("copy replicas back", patches=[(decide_module, "decide", always_copy)]),
    Mutant("trust events about replicas", patches=[(SyncContext, "wait_for_echo", no_wait)], shown_by=[11073]),
    Mutant("acknowledge stale events unchecked", patches=[(fast_path, "acknowledge_stale", unchecked_stale_event)]),
    Mutant("run the finder without the ledger", finder_context=swap(ledger=WithoutEntries)),
    Mutant("compare no content", patches=[(full_sync, "holds_same_content", content_differs)]),
)
