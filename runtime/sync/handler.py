"""The worker: from a received message to a durable effect, and only then the acknowledgement."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

from dualsync.runtime.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    ConcurrentWriteError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
)
from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.parser import UnreadableMessageError, parse_message, parse_part_request
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.key_filter import EVERYTHING
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.ports import Message
from dualsync.runtime.settings import OnLifecycleExpiry
from dualsync.runtime.sync import fast_path
from dualsync.runtime.sync.context import LedgerWriteFailedError, SyncContext, SyncResult
from dualsync.runtime.sync.echo import handle_echo
from dualsync.runtime.sync.fleet_upload import carry_parts, watch_upload
from dualsync.runtime.sync.full_sync import full_check
from dualsync.runtime.sync.service_health import ServiceHealth
from dualsync.runtime.transfer.multipart import CORRUPT_ATTEMPTS, UploadInProgressError

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


class MessageHandler:
    """Handles messages one by one; any number may run beside each other, in this process and elsewhere.

    `lanes` is held while parts of a giant object are carried: how many messages of parts a process works on at a time.
    """

    def __init__(
        self,
        context: SyncContext,
        *,
        health: ServiceHealth | None = None,
        locks: Locks | None = None,
        covers: Callable[[str], bool] = EVERYTHING.covers,
        lanes: AbstractAsyncContextManager[None] | None = None,
    ) -> None:
        self._context = context
        self._health = health or ServiceHealth()
        self._locks = locks or NoLocks()
        self._covers = covers
        self._lanes = lanes or nullcontext()

    async def process(self, message: Message) -> None:
        """Do all that the message asks, then acknowledge it.

        What must wait is sent anew with a delay. What can't be read stays, for the dead-letter queue; so does what
        can't be sent. Raises `CredentialRejectedError` and `FatalError`: the message is not acknowledged then.
        """
        context = self._context
        try:
            portion = parse_part_request(message.body)
            looks = [] if portion else parse_message(message.body, context.principals, self._relative, message.sent)
        except UnreadableMessageError as e:
            context.log.line("ERROR", "outcome", outcome=Outcome.FAILED, reason=f"unreadable message: {e}")
            return
        if portion is not None:
            await self._carry(portion, message)
        for look in looks:
            if not self._covers(look.key):
                self._tell(look, SyncResult(Outcome.SKIPPED, "not in the prefix list"))
                continue
            try:
                async with self._locks.hold(look.key):
                    result = await self._handle(look, first=message.receives <= 1)
            except PermanentError as e:
                # The next finder's run finds it again as long as it can't be read: a letter each run says nothing new.
                known = look.cause is Cause.FINDER and e.reason == ARCHIVED
                result = SyncResult(Outcome.SKIPPED, str(e)) if known else await self._bury(message, e)
            if result.follow_up is not None:
                await context.queue.send([sync_request_codec.encode(result.follow_up)], result.delay)
            self._tell(look, result)
        await context.queue.delete([message])

    def _relative(self, key: str) -> str | None:
        prefix = self._context.settings.local_prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    async def _carry(self, portion: PartRequest, message: Message) -> None:
        """Parts of a giant object. No lock is held: many of one key are carried at a time."""
        context = self._context
        again: PartRequest | SyncRequest | None
        delay = 0
        try:
            async with self._lanes:
                result = await carry_parts(context, portion)
            again = result.follow_up
            self._health.record_answer()
        except RetryableError as e:
            try:
                denied = self._denied_since(portion.denied_since, e)
                delay = self._wait(denied or portion.first_sent)
                again, result = portion.retry_after_error(denied), self._postponed(str(e), denied)
            except PermanentError as given_up:
                again, result = None, await self._bury(message, given_up)
        except PermanentError as e:
            again, result = None, await self._bury(message, e)
        if again is not None:
            body = (
                part_request_codec.encode(again) if isinstance(again, PartRequest) else sync_request_codec.encode(again)
            )
            await context.queue.send([body], delay)
        context.log.line(
            "WARNING" if result.outcome is Outcome.BURIED or result.denied_seconds is not None else "INFO",
            "outcome",
            outcome=result.outcome,
            cause="parts",
            key=portion.key,
            parts=f"{portion.first}-{portion.last}",
            direction=context.direction,
            reason=result.reason or None,
            attempt=portion.attempt or None,
            denied_seconds=result.denied_seconds,
        )

    async def _bury(self, message: Message, why: PermanentError) -> SyncResult:
        await self._context.queue.send_to_dlq(message, str(why))
        return SyncResult(Outcome.BURIED, str(why))

    async def _handle(self, look: SyncRequest, *, first: bool) -> SyncResult:
        try:
            try:
                result = await self._look(look, first=first)
            except UploadInProgressError as e:
                result = await watch_upload(self._context, look, e)
            self._health.record_answer()
            return result
        except LedgerWriteFailedError as e:
            return self._postpone(replace(look, unrecorded=e.agreement), e.cause)
        except (PreconditionFailedError, RetryableError) as e:
            return self._postpone(look, e)

    def _postpone(self, look: SyncRequest, why: PreconditionFailedError | RetryableError) -> SyncResult:
        """The look again, later. Raises `PermanentError` when it has been tried for too long."""
        settings = self._context.settings
        if isinstance(why, PreconditionFailedError | ConcurrentWriteError | ChecksumMismatchError):
            again = look.retry_after_conflict(str(why))
            if isinstance(why, ChecksumMismatchError) and again.attempt > CORRUPT_ATTEMPTS:
                raise PermanentError(
                    "corrupt", f"{look.key!r} did not arrive whole in {again.attempt} looks: {why}"
                ) from why
            if again.attempt > settings.contention_attempts:
                raise PermanentError("contended", f"{look.key!r} changed under {again.attempt} looks: {why}") from why
            delay = min(MAX_DELAY, settings.retry_delay_seconds * 2 ** min(look.attempt, 6))
            return SyncResult(Outcome.POSTPONED, str(why), follow_up=again, delay=delay)
        denied = self._denied_since(look.denied_since, why)
        again, delay = look.retry_after_error(str(why), denied), self._wait(denied or look.first_sent)
        return replace(self._postponed(str(why), denied), follow_up=again, delay=delay)

    def _denied_since(self, before: float, why: RetryableError) -> float:
        """Since when this is refused; 0 if it is not, but without an answer. Raises `PermanentError` after too long."""
        if not isinstance(why, AccessDeniedError):
            self._health.record_no_answer(str(why))
            return 0.0
        first = before or self._context.clock.now()
        if self._context.clock.now() - first > self._context.settings.denied_seconds:
            raise PermanentError("denied", str(why)) from why
        return first

    def _wait(self, since: float) -> int:
        """Seconds until what has waited since then is worth another try."""
        waited = self._context.clock.now() - since if since else 0.0
        return int(min(MAX_DELAY, max(self._context.settings.retry_delay_seconds, waited / 4)))

    def _postponed(self, why: str, denied: float) -> SyncResult:
        seconds = round(self._context.clock.now() - denied, 1) if denied else None
        return SyncResult(Outcome.POSTPONED, why, denied_seconds=seconds)

    async def _look(self, look: SyncRequest, *, first: bool) -> SyncResult:
        context = self._context
        entry = await context.ledger.get(look.key) or LedgerEntry(look.key)
        if not first:
            look = replace(look, may_have_written=True)
        if look.actor is not Actor.USER:
            return await handle_echo(context, look, entry)
        if look.cause is Cause.EXPIRED:
            if look.version_removed:  # a lifecycle rule takes the current version by a delete marker
                return SyncResult(Outcome.SKIPPED, "a former version expired")
            if context.settings.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE:
                return await fast_path.handle_expiration(context, look, entry)
            look = look.as_deletion()
        if look.full_check or look.cause is Cause.FINDER or not first:
            # A message received again may come from a worker that wrote and died: nothing is dropped as stale then.
            return await full_check(context, look, entry)
        if look.sequencer and look.sequencer <= entry.sequencer:
            result = await fast_path.acknowledge_stale(context, look, entry, deletion=look.cause is Cause.REMOVED)
        elif look.cause is Cause.CREATED:
            return await fast_path.copy_created(context, look, entry)
        else:
            result = await fast_path.propagate_deletion(context, look, entry)
        return result if result is not None else await full_check(context, look, entry)

    def _tell(self, look: SyncRequest, result: SyncResult) -> None:
        context = self._context
        bad = result.outcome in (Outcome.BURIED, Outcome.FAILED) or result.conflict or result.denied_seconds is not None
        level = "WARNING" if bad else "INFO"
        happened = look.event_time or look.first_sent
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
            denied_seconds=result.denied_seconds,
            correlation=look.correlation or None,
            message=ECHO_LINE if result.outcome is Outcome.CANCELLED else None,
        )
