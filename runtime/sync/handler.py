"""Handle one message: from its receipt to a durable effect, and only then to its acknowledgement."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from dualsync.runtime.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    ConcurrentWriteError,
    CredentialRejectedError,
    DualSyncError,
    FatalError,
    MessageLostError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
    ServiceBlockedError,
    UnavailableError,
)
from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages.parser import UnreadableMessageError, parse_message, parse_part_request
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import NEWER_FORMAT
from dualsync.runtime.ports import Message
from dualsync.runtime.settings import OnLifecycleExpiry
from dualsync.runtime.sync import fast_path, one_way
from dualsync.runtime.sync.context import MAX_DELAY, LedgerWriteFailedError, SyncContext, SyncResult
from dualsync.runtime.sync.echo import handle_echo
from dualsync.runtime.sync.fleet_upload import copy_requested_parts, watch_upload
from dualsync.runtime.sync.full_sync import full_check
from dualsync.runtime.sync.service_health import ServiceHealth, probe
from dualsync.runtime.transfer.multipart import CORRUPT_ATTEMPTS, UploadInProgressError

ARCHIVED = "archived"
"""The copier's reason for content that must be restored first."""


class Locks(Protocol):
    """Serialises the requests for one key within this process."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold the key's lock for the duration of the context."""


class MessageHandler:
    """Handles messages, each on its own; any number of calls may run concurrently, in this process and elsewhere."""

    def __init__(
        self,
        context: SyncContext,
        *,
        health: ServiceHealth,
        locks: Locks,
        covers: Callable[[str], bool],
        part_slots: AbstractAsyncContextManager[object],
        on_event: Callable[[float], None],
    ) -> None:
        """Create a handler.

        `covers` returns True for keys of the prefix list. `part_slots` is held while parts of a giant object are copied
        and bounds how many part requests the process works on at a time. `on_event` is called with the time of each
        event, in seconds since the epoch.
        """
        self._context = context
        self._health = health
        self._locks = locks
        self._covers = covers
        self._part_slots = part_slots
        self._on_event = on_event
        self._lengths: set[int] = set()
        """Numbers of digits of the sequencers that S3 has sent."""

    async def process(self, message: Message) -> None:
        """Do all that the message asks, then acknowledge it.

        What must wait is sent again with a delay. What can't be read stays, for the dead-letter queue; so does what
        can't be sent. Raises `CredentialRejectedError` and `FatalError`: the message is not acknowledged then.
        """
        context = self._context
        skipped: list[str] = []
        try:
            part = parse_part_request(message.body, context.authenticator)
            requests = [] if part else self._parse(message, skipped)
        except UnreadableMessageError as e:
            context.log.line("ERROR", "outcome", outcome=Outcome.FAILED, reason=f"unreadable message: {e}")
            return
        for bucket in skipped:
            reason = f"a record of another bucket: {bucket}"
            context.log.line("INFO", "outcome", outcome=Outcome.SKIPPED, reason=reason)
        if part is not None and not one_way.is_refused(context.settings, part):
            await self._copy_parts(part, message)
        failed: Exception | None = None
        for request in requests:
            if request.event_time:
                self._on_event(request.event_time)
            try:
                await self._process_key(request, message)
            except MessageLostError as e:
                context.log.line("WARNING", "outcome", outcome=Outcome.SKIPPED, key=request.key, reason=str(e))
                return
            except (CredentialRejectedError, FatalError):
                raise
            except Exception as e:
                failed = failed or e  # a message may hold several keys: the others are handled all the same
        if failed is not None:
            raise failed
        await context.queue.delete([message])

    async def _process_key(self, request: SyncRequest, message: Message) -> None:
        """Handle one key of a message. When this returns, its effect or its retry is durable."""
        if not self._covers(request.key):
            self._log_result(request, SyncResult(Outcome.SKIPPED, "not in the prefix list"))
            return
        context = self._context.for_message(message)
        try:
            async with self._locks.hold(request.key):
                result = await self._handle(context, request, first=message.receives <= 1)
        except PermanentError as e:
            # Each finder run finds it until it is restored: one dead letter per run would add nothing.
            known = request.cause is Cause.FINDER and e.reason == ARCHIVED
            result = SyncResult(Outcome.SKIPPED, str(e)) if known else await self._send_to_dlq(message, e)
        if result.follow_up is not None:
            await self._context.send([result.follow_up], result.delay)
        self._log_result(request, result)

    def _parse(self, message: Message, skipped: list[str]) -> list[SyncRequest]:
        context = self._context
        return parse_message(
            message.body,
            context.principals,
            self._relative_key,
            message.sent,
            authenticator=context.authenticator,
            bucket=context.settings.local_bucket,
            skip=skipped.append,
            note_length=self._note_length,
        )

    def _note_length(self, digits: int) -> None:
        """Log a second length of sequencers: the order of events depends then on how the shorter one is padded."""
        if digits in self._lengths:
            return
        self._lengths.add(digits)
        if len(self._lengths) > 1:
            lengths = ", ".join(map(str, sorted(self._lengths)))
            how = "the shorter ones are padded on the left to compare them, as AWS's pages disagree"
            self._context.log.line("WARNING", "sequencer", reason=f"sequencers of {lengths} digits: {how}")

    def _relative_key(self, key: str) -> str | None:
        prefix = self._context.settings.local_prefix
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    async def _copy_parts(self, part: PartRequest, message: Message) -> None:
        """Copy parts of a giant object. No lock is held: many parts of one key are copied at a time."""
        context = self._context
        retry: PartRequest | SyncRequest | None
        delay = 0
        try:
            async with self._part_slots:
                result = await copy_requested_parts(context, part)
            retry = result.follow_up
            self._health.record_answer(part.key, copied=True)
        except RetryableError as e:
            try:
                denied = self._denied_since(part.key, part.denied_since, e)
                await self._give_up_unanswered(part.key, part.first_sent, e)
                delay = self._retry_delay(denied or part.first_sent)
                retry, result = part.retry_after_error(denied), self._postponed_result(str(e), denied)
            except PermanentError as given_up:
                retry, result = None, await self._send_to_dlq(message, given_up)
        except PermanentError as e:
            retry, result = None, await self._send_to_dlq(message, e)
        if retry is not None:
            await context.send([retry], delay)
        context.log.line(
            "WARNING" if result.outcome is Outcome.BURIED or result.denied_seconds is not None else "INFO",
            "outcome",
            outcome=result.outcome,
            cause="parts",
            key=part.key,
            parts=f"{part.first}-{part.last}",
            direction=context.direction,
            reason=result.reason or None,
            attempt=part.attempt or None,
            denied_seconds=result.denied_seconds,
        )

    async def _send_to_dlq(self, message: Message, why: PermanentError) -> SyncResult:
        await self._context.queue.send_to_dlq(message, str(why))
        return SyncResult(Outcome.BURIED, str(why))

    async def _handle(self, context: SyncContext, request: SyncRequest, *, first: bool) -> SyncResult:
        try:
            try:
                result = await self._check(context, request, first=first)
            except UploadInProgressError as e:
                result = await watch_upload(context, request, e)
            copied = result.outcome in (Outcome.COPIED, Outcome.PULLED)
            self._health.record_answer(request.key, copied=copied)
            return result
        except LedgerWriteFailedError as e:
            return self._postpone(replace(request, unrecorded=e.synced), e.cause)
        except (PreconditionFailedError, RetryableError) as e:
            result = self._postpone(request, e)
            await self._give_up_unanswered(request.key, request.first_sent, e)
            return result

    def _postpone(self, request: SyncRequest, why: PreconditionFailedError | RetryableError) -> SyncResult:
        """Return the request to be sent again later. Raises `PermanentError` when it has been tried for too long."""
        settings = self._context.settings
        if isinstance(why, PreconditionFailedError | ConcurrentWriteError | ChecksumMismatchError):
            retry = request.retry_after_conflict(str(why))
            if isinstance(why, ChecksumMismatchError) and retry.attempt > CORRUPT_ATTEMPTS:
                raise PermanentError(
                    "corrupt", f"{request.key!r} did not arrive whole in {retry.attempt} attempts: {why}"
                ) from why
            if retry.attempt > settings.contention_attempts:
                raise PermanentError(
                    "contended", f"{request.key!r} changed during {retry.attempt} checks: {why}"
                ) from why
            delay = self._context.delay_after(request.attempt)
            return SyncResult(Outcome.POSTPONED, str(why), follow_up=retry, delay=delay)
        denied = self._denied_since(request.key, request.denied_since, why)
        retry, delay = request.retry_after_error(str(why), denied), self._retry_delay(denied or request.first_sent)
        return replace(self._postponed_result(str(why), denied), follow_up=retry, delay=delay)

    def _denied_since(self, key: str, before: float, why: RetryableError) -> float:
        """Return since when `key` is refused (seconds), 0 if it is not refused but has no answer.

        Raises `PermanentError` after too long. While every key is refused alike, none is given up.
        """
        now = self._context.clock.now()
        if not isinstance(why, AccessDeniedError):
            self._health.record_no_answer(str(why), key, now)
            return 0.0
        if isinstance(why, ServiceBlockedError):
            self._health.record_refusal(str(why), key)
            if self._health.refuses_every_key:
                return before or now
        first = before or now
        if now - first > self._context.settings.denied_seconds:
            raise PermanentError("denied", str(why)) from why
        return first

    async def _give_up_unanswered(
        self, key: str, first_sent: float, why: PreconditionFailedError | RetryableError
    ) -> None:
        """Raise `PermanentError` for a key that got no answer for hours while the services answer for another key.

        The time counts from this process's first failure with the key, but not from before the request was sent: an
        earlier request may have been answered in another process.
        """
        context = self._context
        since = max(self._health.failing_since.get(key, math.inf), first_sent)
        if not isinstance(why, UnavailableError) or context.clock.now() - since <= context.settings.denied_seconds:
            return
        try:
            await probe(context.local, context.remote, context.ledger)
        except DualSyncError:
            return
        self._health.failing_since.pop(key, None)
        raise PermanentError("unanswered", f"other keys get an answer, this one got none: {why}") from why

    def _retry_delay(self, since: float) -> int:
        """Return the seconds until the next try of what has waited since then."""
        waited = self._context.clock.now() - since if since else 0.0
        return int(min(MAX_DELAY, max(self._context.settings.retry_delay_seconds, waited / 4)))

    def _postponed_result(self, why: str, denied: float) -> SyncResult:
        seconds = round(self._context.clock.now() - denied, 1) if denied else None
        return SyncResult(Outcome.POSTPONED, why, denied_seconds=seconds)

    async def _check(self, context: SyncContext, request: SyncRequest, *, first: bool) -> SyncResult:
        entry = await context.entry(request.key)
        if entry.unreadable:
            # Nothing is known of the key then: only a full check can tell what to do, and writes the entry again.
            context.log.line("ERROR", "ledger", key=request.key, reason=f"unreadable entry: {entry.unreadable}")
            if entry.revision == NEWER_FORMAT:
                raise ConcurrentWriteError(f"the ledger entry of {request.key!r} is a newer version's")
            return await full_check(context, replace(request.as_plain_check(), may_have_written=not first), entry)
        if not first:
            request = replace(request, may_have_written=True)
        request = one_way.as_check(context.settings, request)
        if request.actor is not Actor.USER:
            return await handle_echo(context, request, entry)
        if request.cause is Cause.EXPIRED:
            if request.version_removed:  # a lifecycle rule takes the current version by a delete marker
                return SyncResult(Outcome.SKIPPED, "a former version expired")
            if context.settings.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE:
                return await fast_path.handle_expiration(context, request, entry)
            request = request.as_deletion()
        if request.full_check or request.cause is Cause.FINDER or not first:
            # A message received again may come from a worker that wrote and stopped: nothing is dropped as stale then.
            return await full_check(context, request, entry)
        if request.sequencer and request.sequencer <= entry.sequencer:
            result = await fast_path.acknowledge_stale(context, request, entry)
        elif request.cause is Cause.CREATED:
            result = await fast_path.copy_created(context, request, entry)
        else:
            result = await fast_path.propagate_deletion(context, request, entry)
        return result if result is not None else await full_check(context, request, entry)

    def _log_result(self, request: SyncRequest, result: SyncResult) -> None:
        context = self._context
        warn = (
            result.outcome in (Outcome.BURIED, Outcome.FAILED) or result.conflict or result.denied_seconds is not None
        )
        level = "WARNING" if warn else "INFO"
        since = request.event_time or request.first_sent
        lag = max(0.0, context.clock.now() - since) if since else None
        done = result.outcome in (Outcome.COPIED, Outcome.DELETED)
        context.log.line(
            level,
            "outcome",
            outcome=result.outcome,
            cause=request.cause,
            key=request.key,
            bytes=result.bytes if result.outcome in (Outcome.COPIED, Outcome.PULLED) else None,
            lag_seconds=round(lag, 3) if lag is not None and done else None,
            direction=context.direction,
            reason=result.reason or None,
            conflict=result.conflict or None,
            attempt=request.attempt or None,
            denied_seconds=result.denied_seconds,
            correlation=request.correlation or None,
            message=ECHO_LINE if result.outcome is Outcome.CANCELLED else None,
        )
