"""Provide a naive worker: guard, sequencer, conditional writes, newest wins, immediate retries.

It is wrong in some percent of the histories. A checker that finds nothing wrong with it is broken.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import ConcurrentWriteError, PreconditionFailedError, RetryableError
from dualsync.runtime.messages.parser import parse_message
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import MUST_NOT_EXIST, ObjectHead, Precondition
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.sync.context import SyncContext
from tests.simulation.histories.world import SimulatedWorld
from tests.support.fakes.queue import FakeMessage

TRIES = 5


class NaiveWorker:
    """A worker of one side without the rules that the histories require."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context

    async def process(self, message: FakeMessage) -> None:
        context = self.context
        for request in parse_message(message.body, context.principals, lambda key: key, message.sent):
            if request.actor is Actor.USER:
                for _ in range(TRIES):
                    try:
                        await self._sync(request)
                        break
                    except (PreconditionFailedError, ConcurrentWriteError):
                        continue
                    except RetryableError:
                        return  # received again later
        await context.queue.delete([message])

    async def _sync(self, request: SyncRequest) -> None:
        context = self.context
        entry = await context.ledger.get(request.key) or LedgerEntry(request.key)
        if request.sequencer and request.sequencer <= entry.sequencer:
            return
        reading = await context.local.read(request.key)
        remote = await context.remote.head(request.key)
        if reading is None:
            if request.cause is Cause.REMOVED and remote is not None:
                if entry.synced is not None and entry.synced.remote.etag == remote.etag:
                    await context.remote.delete(request.key, Precondition(remote.etag))
                await self._note(entry, request, None)
            return
        seen = reading.head
        known = entry.synced is not None and remote is not None and entry.synced.remote.etag == remote.etag
        if remote is not None and (remote.etag == seen.etag or seen.stamp):
            return
        if remote is not None and not known and _time(remote) > _time(seen):
            return
        identity = OriginVersion(context.side, seen.modified, seen.etag)
        written = await context.copier.copy(
            context.push_route,
            reading,
            request.key,
            context.stamp(request.key, identity, seen.size),
            MUST_NOT_EXIST if remote is None else Precondition(remote.etag),
        )
        await self._note(entry, request, SyncedVersion(identity, CopyState(seen.etag), CopyState(written.etag)))

    async def _note(self, entry: LedgerEntry, request: SyncRequest, synced: SyncedVersion | None) -> None:
        new = replace(entry, synced=synced, sequencer=request.sequencer, revision=entry.revision + 1)
        await self.context.ledger.put(new, entry.revision)


def _time(seen: ObjectHead) -> int:
    return seen.stamp.version.modified if seen.stamp else seen.modified


def naive_worker(world: SimulatedWorld, side: str) -> NaiveWorker:
    """Return a naive worker, for `simulate`."""
    return NaiveWorker(world.context(side))
