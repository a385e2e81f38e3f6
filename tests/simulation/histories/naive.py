"""A worker as one writes it at first: guard, sequencer, conditional writes, newest wins, another try at once.

It is wrong in some per cent of the histories. A checker that finds it right is broken.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import Busy, Changed, Retry
from dualsync.runtime.messages.parser import parse
from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.ledger_entry import Agreement, Entry, Held
from dualsync.runtime.model.objects import NOTHING, Condition, Seen
from dualsync.runtime.model.origin_version import Identity
from dualsync.runtime.sync.context import Context
from tests.simulation.histories.world import World
from tests.support.fakes.queue import FakeMessage

TRIES = 5


class NaiveWorker:
    """One side's worker without the rules that histories taught."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def process(self, message: FakeMessage) -> None:
        context = self.context
        for look in parse(message.body, context.principals, lambda key: key, message.sent):
            if look.actor is Actor.USER:
                for _ in range(TRIES):
                    try:
                        await self._look(look)
                        break
                    except (Changed, Busy):
                        continue
                    except Retry:
                        return  # received again later
        await context.queue.delete([message])

    async def _look(self, look: Look) -> None:
        context = self.context
        entry = await context.ledger.get(look.key) or Entry(look.key)
        if look.sequencer and look.sequencer <= entry.sequencer:
            return
        reading = await context.local.read(look.key)
        remote = await context.remote.head(look.key)
        if reading is None:
            if look.cause is Cause.REMOVED and remote is not None:
                if entry.agreed is not None and entry.agreed.remote.etag == remote.etag:
                    await context.remote.delete(look.key, Condition(remote.etag))
                await self._note(entry, look, None)
            return
        seen = reading.seen
        known = entry.agreed is not None and remote is not None and entry.agreed.remote.etag == remote.etag
        if remote is not None and (remote.etag == seen.etag or seen.stamp):
            return
        if remote is not None and not known and _time(remote) > _time(seen):
            return
        identity = Identity(context.side, seen.modified, seen.etag)
        written = await context.copier.copy(
            context.pushing,
            reading,
            look.key,
            context.stamp(look.key, identity, seen.size),
            NOTHING if remote is None else Condition(remote.etag),
        )
        await self._note(entry, look, Agreement(identity, Held(seen.etag), Held(written.etag)))

    async def _note(self, entry: Entry, look: Look, agreement: Agreement | None) -> None:
        new = replace(entry, agreed=agreement, sequencer=look.sequencer, revision=entry.revision + 1)
        await self.context.ledger.put(new, entry.revision)


def _time(seen: Seen) -> int:
    return seen.stamp.identity.modified if seen.stamp else seen.modified


def naive_worker(world: World, side: str) -> NaiveWorker:
    """For `simulate`."""
    return NaiveWorker(world.context(side))
