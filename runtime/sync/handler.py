"""The worker: from a received message to a durable effect, and only then the acknowledgement."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

from dualsync.runtime.errors import Busy, Changed, Corrupt, Denied, GiveUp, Retry
from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.parser import Unreadable, parse, portion_of
from dualsync.runtime.messages.part_request import Portion
from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.key_filter import EVERYTHING
from dualsync.runtime.model.ledger_entry import Entry
from dualsync.runtime.ports import Message
from dualsync.runtime.settings import OnLifecycleExpiry
from dualsync.runtime.sync import fast_path
from dualsync.runtime.sync.context import Context, Result, Unrecorded
from dualsync.runtime.sync.echo import learn
from dualsync.runtime.sync.fleet_upload import carry, watch
from dualsync.runtime.sync.full_sync import careful
from dualsync.runtime.sync.service_health import Health
from dualsync.runtime.transfer.multipart import CORRUPT_ATTEMPTS, UnderWay

MAX_DELAY = 900
"""Seconds: SQS's longest delay."""
ARCHIVED = "archived"
"""The copier's reason for content that waits for a restore."""


class Locks(Protocol):
    """Keeps looks at one key apart within this process."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]: ...


class NoLocks:
    """Nothing runs beside: a deterministic scheduler, a test."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class Worker:
    """Handles messages one by one; any number may run beside each other, in this process and elsewhere.

    `lanes` is held while parts of a giant object are carried: how many messages of parts a process works on at a time.
    """

    def __init__(
        self,
        context: Context,
        *,
        health: Health | None = None,
        locks: Locks | None = None,
        covers: Callable[[str], bool] = EVERYTHING.covers,
        lanes: AbstractAsyncContextManager[None] | None = None,
    ) -> None:
        self._context = context
        self._health = health or Health()
        self._locks = locks or NoLocks()
        self._covers = covers
        self._lanes = lanes or nullcontext()

    async def process(self, message: Message) -> None:
        """Do all that the message asks, then acknowledge it.

        What must wait is sent anew with a delay. What can't be read stays, for the dead-letter queue; so does what
        can't be sent. Raises `CredentialRejected` and `Stop`: the message is not acknowledged then.
        """
        context = self._context
        try:
            portion = portion_of(message.body)
            looks = [] if portion else parse(message.body, context.principals, self._relative, message.sent)
        except Unreadable as e:
            context.log.line("ERROR", "outcome", outcome=Outcome.FAILED, reason=f"unreadable message: {e}")
            return
        if portion is not None:
            await self._carry(portion, message)
        for look in looks:
            if not self._covers(look.key):
                self._tell(look, Result(Outcome.SKIPPED, "not in the prefix list"))
                continue
            try:
                async with self._locks.hold(look.key):
                    result = await self._handle(look, first=message.receives <= 1)
            except GiveUp as e:
                # The next finder's run finds it again as long as it can't be read: a letter each run says nothing new.
                known = look.cause is Cause.FINDING and e.reason == ARCHIVED
                result = Result(Outcome.SKIPPED, str(e)) if known else await self._bury(message, e)
            if result.again is not None:
                await context.queue.send([sync_request_codec.encode(result.again)], result.delay)
            self._tell(look, result)
        await context.queue.delete([message])

    def _relative(self, key: str) -> str | None:
        prefix = self._context.settings.local_prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    async def _carry(self, portion: Portion, message: Message) -> None:
        """Parts of a giant object. No lock is held: many of one key are carried at a time."""
        context = self._context
        again: Portion | Look | None
        delay = 0
        try:
            async with self._lanes:
                result = await carry(context, portion)
            again = result.again
            self._health.good()
        except Retry as e:
            try:
                denied = self._denied_since(portion.denied, e)
                delay = self._wait(denied or portion.since)
                again, result = portion.later(denied), self._postponed(str(e), denied)
            except GiveUp as given_up:
                again, result = None, await self._bury(message, given_up)
        except GiveUp as e:
            again, result = None, await self._bury(message, e)
        if again is not None:
            body = part_request_codec.encode(again) if isinstance(again, Portion) else sync_request_codec.encode(again)
            await context.queue.send([body], delay)
        context.log.line(
            "WARNING" if result.outcome is Outcome.BURIED or result.denied is not None else "INFO",
            "outcome",
            outcome=result.outcome,
            cause="parts",
            key=portion.key,
            parts=f"{portion.first}-{portion.last}",
            direction=context.direction,
            reason=result.reason or None,
            attempt=portion.attempt or None,
            denied_seconds=result.denied,
        )

    async def _bury(self, message: Message, why: GiveUp) -> Result:
        await self._context.queue.bury(message, str(why))
        return Result(Outcome.BURIED, str(why))

    async def _handle(self, look: Look, *, first: bool) -> Result:
        try:
            try:
                result = await self._look(look, first=first)
            except UnderWay as e:
                result = await watch(self._context, look, e)
            self._health.good()
            return result
        except Unrecorded as e:
            return self._postpone(replace(look, wrote=e.agreement), e.cause)
        except (Changed, Retry) as e:
            return self._postpone(look, e)

    def _postpone(self, look: Look, why: Changed | Retry) -> Result:
        """The look again, later. Raises `GiveUp` when it has been tried for too long."""
        settings = self._context.settings
        if isinstance(why, Changed | Busy | Corrupt):
            again = look.again(str(why))
            if isinstance(why, Corrupt) and again.attempt > CORRUPT_ATTEMPTS:
                raise GiveUp("corrupt", f"{look.key!r} did not arrive whole in {again.attempt} looks: {why}") from why
            if again.attempt > settings.contention_attempts:
                raise GiveUp("contended", f"{look.key!r} changed under {again.attempt} looks: {why}") from why
            delay = min(MAX_DELAY, settings.retry_delay_seconds * 2 ** min(look.attempt, 6))
            return Result(Outcome.POSTPONED, str(why), again=again, delay=delay)
        denied = self._denied_since(look.denied, why)
        again, delay = look.later(str(why), denied), self._wait(denied or look.since)
        return replace(self._postponed(str(why), denied), again=again, delay=delay)

    def _denied_since(self, before: float, why: Retry) -> float:
        """Since when this is refused; 0 if it is not, but without an answer. Raises `GiveUp` after too long."""
        if not isinstance(why, Denied):
            self._health.bad(str(why))
            return 0.0
        first = before or self._context.clock.now()
        if self._context.clock.now() - first > self._context.settings.denied_seconds:
            raise GiveUp("denied", str(why)) from why
        return first

    def _wait(self, since: float) -> int:
        """Seconds until what has waited since then is worth another try."""
        waited = self._context.clock.now() - since if since else 0.0
        return int(min(MAX_DELAY, max(self._context.settings.retry_delay_seconds, waited / 4)))

    def _postponed(self, why: str, denied: float) -> Result:
        seconds = round(self._context.clock.now() - denied, 1) if denied else None
        return Result(Outcome.POSTPONED, why, denied=seconds)

    async def _look(self, look: Look, *, first: bool) -> Result:
        context = self._context
        entry = await context.ledger.get(look.key) or Entry(look.key)
        if not first:
            look = replace(look, unsure=True)
        if look.actor is not Actor.USER:
            return await learn(context, look, entry)
        if look.cause is Cause.EXPIRED:
            if look.permanent:  # a lifecycle rule takes the current version by a delete marker
                return Result(Outcome.SKIPPED, "a former version expired")
            if context.settings.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE:
                return await fast_path.lifecycle(context, look, entry)
            look = look.as_removal()
        if look.careful or look.cause is Cause.FINDING or not first:
            # A message received again may come from a worker that wrote and died: nothing is dropped as stale then.
            return await careful(context, look, entry)
        if look.sequencer and look.sequencer <= entry.sequencer:
            result = await fast_path.stale(context, look, entry, deletion=look.cause is Cause.REMOVED)
        elif look.cause is Cause.CREATED:
            return await fast_path.created(context, look, entry)
        else:
            result = await fast_path.removed(context, look, entry)
        return result if result is not None else await careful(context, look, entry)

    def _tell(self, look: Look, result: Result) -> None:
        context = self._context
        bad = result.outcome in (Outcome.BURIED, Outcome.FAILED) or result.conflict or result.denied is not None
        level = "WARNING" if bad else "INFO"
        happened = look.time or look.since
        lag = max(0.0, context.clock.now() - happened) if happened else None
        done = result.outcome in (Outcome.COPIED, Outcome.DELETED)
        context.log.line(
            level,
            "outcome",
            outcome=result.outcome,
            cause=look.cause,
            key=look.key,
            bytes=result.bytes if result.outcome in (Outcome.COPIED, Outcome.PULLED) else None,
            lag_seconds=round(lag, 3) if lag is not None and done else None,
            direction=context.direction,
            reason=result.reason or None,
            conflict=result.conflict or None,
            attempt=look.attempt or None,
            denied_seconds=result.denied,
            correlation=look.correlation or None,
            message=ECHO_LINE if result.outcome is Outcome.CANCELLED else None,
        )
