"""A worker as one writes it at first: guard, sequencer, conditional writes, newest wins, another try at once.

It is wrong in some per cent of the histories. A checker that finds it right is broken.
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
    """One side's worker without the rules that histories taught."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context

    async def process(self, message: FakeMessage) -> None:
        context = self.context
        for look in parse_message(message.body, context.principals, lambda key: key, message.sent):
            if look.actor is Actor.USER:
                for _ in range(TRIES):
                    try:
                        await self._look(look)
                        break
                    except (PreconditionFailedError, ConcurrentWriteError):
                        continue
                    except RetryableError:
                        return  # received again later
        await context.queue.delete([message])

    async def _look(self, look: SyncRequest) -> None:
        context = self.context
        entry = await context.ledger.get(look.key) or LedgerEntry(look.key)
        if look.sequencer and look.sequencer <= entry.sequencer:
            return
        reading = await context.local.read(look.key)
        remote = await context.remote.head(look.key)
        if reading is None:
            if look.cause is Cause.REMOVED and remote is not None:
                if entry.synced is not None and entry.synced.remote.etag == remote.etag:
                    await context.remote.delete(look.key, Precondition(remote.etag))
                await self._note(entry, look, None)
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
            look.key,
            context.stamp(look.key, identity, seen.size),
            MUST_NOT_EXIST if remote is None else Precondition(remote.etag),
        )
        await self._note(entry, look, SyncedVersion(identity, CopyState(seen.etag), CopyState(written.etag)))

    async def _note(self, entry: LedgerEntry, look: SyncRequest, agreement: SyncedVersion | None) -> None:
        new = replace(entry, synced=agreement, sequencer=look.sequencer, revision=entry.revision + 1)
        await self.context.ledger.put(new, entry.revision)


def _time(seen: ObjectHead) -> int:
    return seen.stamp.version.modified if seen.stamp else seen.modified


def naive_worker(world: SimulatedWorld, side: str) -> NaiveWorker:
    """For `simulate`."""
    return NaiveWorker(world.context(side))
