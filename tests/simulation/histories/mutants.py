"""Deliberate faults, each a mistake that a developer could make in the worker or the finder. Every one must be caught.

Most sit between the core and its edges, so that the core can be rewritten without touching them; some replace a
function of the core.
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
from dualsync.runtime.sync import fast_path, fleet_upload, full_sync, handler
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import Action, Decision, KeyState, decide
from dualsync.runtime.transfer.multipart import UploadInProgressError
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
    """Passes everything on to `inner`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Unconditional(Proxy):
    """Writes whatever is there."""

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
    """A condition that holds whatever there is, asked when the write takes effect."""

    def __init__(self, bucket: FakeBucket, key: str) -> None:
        object.__setattr__(self, "_bucket", bucket)
        object.__setattr__(self, "_key", key)

    def __getattribute__(self, name: str) -> Any:
        if name == "etag":
            bucket: FakeBucket = object.__getattribute__(self, "_bucket")
            version = bucket.store.current(object.__getattribute__(self, "_key"))
            return version.seen.etag if version else None
        return object.__getattribute__(self, name)


class ChangedIsDone(Proxy):
    """Takes a 412 for success, as if another write were as good."""

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


class StampBlind(Proxy):
    """Sees no stamps: a replica's own time is taken for its version's."""

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        seen = await self.inner.head(key, version_id, checksum=checksum)
        return replace(seen, stamp=None) if seen else None

    async def read(self, key: str) -> FakeObjectReader | None:
        reading = await self.inner.read(key)
        if reading:
            reading.head = replace(reading.head, stamp=None)
        return reading  # type: ignore[no-any-return]


class PartsOfAnyVersion(Proxy):
    """Reads parts without If-Match."""

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        seen = await self.inner.head(key)
        return await self.inner.read_range(key, start, end, seen.etag if seen else etag)  # type: ignore[no-any-return]


class Amnesiac(Proxy):
    """A ledger that keeps no tombstones."""

    inner: FakeLedger

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        await self.inner.put(replace(entry, deleted_versions=(), last_deletion="", deleted_at=0), expected_revision)


class LastWriterLedger(Proxy):
    """A ledger written without condition."""

    inner: FakeLedger

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        stored = self.inner.table.entries.get(entry.key)
        revision = stored.revision if stored else 0
        await self.inner.get(entry.key)
        self.inner.table.entries.pop(entry.key, None)
        await self.inner.put(replace(entry, revision=1), 0)
        self.inner.table.entries[entry.key] = replace(entry, revision=revision + 1)


class Unproven(Proxy):
    """A ledger that answers a finder nothing."""

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        await self.inner.get_many(keys)
        return {}


class NothingPostponed(Proxy):
    """A queue to which nothing is sent again."""

    inner: FakeQueue

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        if not delay_seconds:
            await self.inner.send(bodies, delay_seconds)


class AcknowledgesFirst:
    """Deletes the message, then does what it says."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context

    async def process(self, message: FakeMessage) -> None:
        await self.context.queue.delete([message])
        await handler_of(self.context).process(message)


# -- replaced functions of the core


def without_sequencers(*arguments: Any, **options: Any) -> list[SyncRequest]:
    """No event is ever stale, none is known to be later than another."""
    return [replace(look, sequencer="") for look in parse_message(*arguments, **options)]


def first_record_only(*arguments: Any, **options: Any) -> list[SyncRequest]:
    """As the guide's worker does with a message of several records."""
    return parse_message(*arguments, **options)[:1]


def deletes_without_proof(view: KeyState) -> Decision:
    """What is gone here must go there."""
    if view.local is None and view.remote is not None and view.cause is Cause.REMOVED:
        return Decision(Action.DELETE_REMOTE, "gone here")
    return decide(view)


async def never_quiet(*_: Any) -> None:
    """A removal without the fast path."""
    return


def mine_wins_ties(a: OriginVersion, b: OriginVersion, policy: object) -> bool:
    """Each side gives itself the benefit of the doubt."""
    return a.modified >= b.modified


async def deaf_to_echoes(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Echoes are dropped and teach nothing."""
    return SyncResult(Outcome.CANCELLED)


async def edge_not_level(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """A deletion is applied without looking whether the object is back."""
    if entry.synced is None:
        return SyncResult(Outcome.SKIPPED)
    await context.remote.delete(look.key, Precondition(entry.synced.remote.etag))
    await context.ledger.put(replace(entry, synced=None, revision=entry.revision + 1), entry.revision)
    return SyncResult(Outcome.DELETED)


def any_upload(self: UploadRecord, other: UploadRecord) -> bool:
    """An upload is resumed, whatever version it is of."""
    return True


def nothing_missing(self: UploadRecord, present: Mapping[int, Part]) -> list[int]:
    """What is there is taken for all."""
    return []


async def not_watched(context: SyncContext, look: SyncRequest, under: UploadInProgressError) -> SyncResult:
    """A giant's messages are sent, and lost ones are not noticed."""
    return replace(await fleet_upload.watch_upload(context, look, under), follow_up=None)


def always_copy(view: KeyState) -> Decision:
    """Level-triggered but with no idea of whose version it is: copies what is here, replica or not."""
    if view.local is not None and (view.remote is None or view.remote.version != view.local.version):
        return Decision(Action.PUSH, "it is here")
    return decide(view)


async def never_the_same(*_: object) -> bool:
    """Other parts are taken for other content."""
    return False


def no_wait(self: SyncContext, head: ObjectHead, entry: LedgerEntry, request: SyncRequest) -> None:
    """An event that a user wrote a replica is believed at once, forged or not."""


async def stale_at_its_word(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """An event below the ledger's sequencer is acknowledged, whatever the bucket shows."""
    return SyncResult(Outcome.SKIPPED, "stale")


ChangeContext = Callable[[SyncContext], SyncContext]


def same(context: SyncContext) -> SyncContext:
    """No change."""
    return context


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault by name: what it does to a machine's surroundings, which functions it replaces."""

    name: str
    context: ChangeContext = same
    finder_context: ChangeContext = same
    make: Callable[[SyncContext], Processor] = handler_of
    patches: Sequence[tuple[object, str, object]] = field(default_factory=tuple)

    def run(self, history: History) -> Outcomes:
        """A history with this fault in both sides' machines."""

        def make_worker(world: SimulatedWorld, side: str) -> Processor:
            return self.make(self.context(world.context(side)))

        def make_finder(world: SimulatedWorld, side: str) -> Searcher:
            return finder_of(self.finder_context(world.context(side)))

        with ExitStack() as stack:
            for target, name, new in self.patches:
                stack.enter_context(patch.object(target, name, new))
            return simulate(history, make_worker, make_finder)


def swap(**wrappers: Callable[[Any], Any]) -> ChangeContext:
    """A context with some of its parts wrapped."""

    def change(context: SyncContext) -> SyncContext:
        return replace(context, **{name: wrap(getattr(context, name)) for name, wrap in wrappers.items()})

    return change


NOBODY = Principals(frozenset())

MUTANTS = (
    Mutant("drop the guard", lambda c: replace(c, principals=NOBODY)),
    Mutant("drop the condition", swap(remote=Unconditional)),
    Mutant("take 412 for success", swap(remote=ChangedIsDone)),
    Mutant("ignore the sequencer", patches=[(handler, "parse_message", without_sequencers)]),
    Mutant("acknowledge first", make=AcknowledgesFirst),
    Mutant("forget tombstones", swap(ledger=Amnesiac)),
    Mutant("trust replica times", swap(local=StampBlind, remote=StampBlind)),
    Mutant(
        "delete without proof",
        patches=[(decide_module, "decide", deletes_without_proof), (fast_path, "propagate_deletion", never_quiet)],
    ),
    Mutant("skip the second record", patches=[(handler, "parse_message", first_record_only)]),
    Mutant("write the ledger blindly", swap(ledger=LastWriterLedger)),
    Mutant("let echoes teach nothing", patches=[(handler, "handle_echo", deaf_to_echoes)]),
    Mutant("win every tie", patches=[(full_sync, "wins", mine_wins_ties), (decide_module, "wins", mine_wins_ties)]),
    Mutant("lose what is postponed", swap(queue=NothingPostponed)),
    Mutant("read parts of any version", swap(local=PartsOfAnyVersion, remote=PartsOfAnyVersion)),
    Mutant("continue any upload", patches=[(UploadRecord, "is_of", any_upload)]),
    Mutant("complete what is there", patches=[(UploadRecord, "missing", nothing_missing)]),
    Mutant("begin a giant and forget it", patches=[(handler, "watch_upload", not_watched)]),
    Mutant("apply deletions unseen", patches=[(fast_path, "propagate_deletion", edge_not_level)]),
    Mutant("copy replicas back", patches=[(decide_module, "decide", always_copy)]),
    Mutant("believe that a user wrote any replica", patches=[(SyncContext, "wait_for_echo", no_wait)]),
    Mutant("take a stale event at its word", patches=[(fast_path, "acknowledge_stale", stale_at_its_word)]),
    Mutant("search without the ledger", finder_context=swap(ledger=Unproven)),
    Mutant("compare no content", patches=[(full_sync, "holds_same_content", never_the_same)]),
)
