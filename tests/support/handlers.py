"""Provide message handlers for tests that process one message at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from dualsync.runtime.model.key_filter import EVERYTHING
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.handler import MessageHandler
from dualsync.runtime.sync.service_health import ServiceHealth


class NoLocks:
    """Locks for a deterministic scheduler, under which nothing else runs at the same time."""

    def hold(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold nothing."""
        return nullcontext()


def handler_of(
    context: SyncContext,
    *,
    health: ServiceHealth | None = None,
    covers: Callable[[str], bool] = EVERYTHING.covers,
    part_slots: AbstractAsyncContextManager[object] | None = None,
    on_event: Callable[[float], None] = lambda happened: None,
) -> MessageHandler:
    """Return a handler without locks, by default for all keys."""
    return MessageHandler(
        context,
        health=health or ServiceHealth(),
        locks=NoLocks(),
        covers=covers,
        part_slots=part_slots or nullcontext(),
        on_event=on_event,
    )
