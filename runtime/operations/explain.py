"""Why is this object (not) there? Both sides, both ledgers, and what each worker would do about it now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.errors import DualSyncError, UploadGoneError
from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.identify import identify_version
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.records import CONFLICT, HELD_DELETION, UPLOAD, WORKER, Record, is_alive
from dualsync.runtime.operations.context import Depth, OperatorContext, Side, Version
from dualsync.runtime.operations.dead_letters import OpenedLetter, letters
from dualsync.runtime.service.operator_controls import Orders, read_orders
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.decision import Action, Decision, KeyState, ObservedVersion, decide
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord

LETTERS = 200
"""Dead letters searched for the key."""
PATIENT = 1000
"""As if looked at often enough: the verdict is how it ends, not that it is still waited for."""
DAYS = 14
"""How far back the logs are searched."""


@dataclass(frozen=True, slots=True)
class Progress:
    """An upload of the key under way, and how many of its parts are there (None: that can't be seen by you)."""

    upload: UploadRecord
    parts: int | None

    def __str__(self) -> str:
        there = "an unknown number" if self.parts is None else str(self.parts)
        name = "" if self.upload.target_key == self.upload.key else f" as {self.upload.target_key}"
        return f"{there} of {self.upload.count} parts are there{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideView:
    """One side's part of the answer. `decision` is what its worker would do if asked to look at the key now."""

    side: Side
    seen: ObjectHead | None
    observed: ObservedVersion | None
    versions: Sequence[Version]
    entry: LedgerEntry | None
    decision: Decision
    orders: Orders
    alive: int
    backlog: Depth
    held: bool
    letters: Sequence[OpenedLetter]
    history: Sequence[Mapping[str, Any]] | None
    uploads: Sequence[Progress] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer; `verdict` in one sentence."""

    key: str
    cn: SideView
    global_: SideView
    conflicts: Sequence[Record] = field(default_factory=list)
    verdict: str = ""

    @property
    def same(self) -> bool:
        """Is it as it should be?"""
        return all(
            view.decision.action in (Action.RECORD_SYNCED, Action.RECORD_TOMBSTONE) for view in (self.cn, self.global_)
        )


async def explain(context: OperatorContext, key: str) -> Explanation:
    """Look at everything that says something of `key`, relative to the prefix. Changes nothing."""
    cn, global_ = context.both()
    seen = await asyncio.gather(cn.bucket.head(key), global_.bucket.head(key))
    entries = await asyncio.gather(cn.ledger.get(key), global_.ledger.get(key))
    ours, theirs = await asyncio.gather(
        _view_side(context, cn, key, seen[0], seen[1], entries[0]),
        _view_side(context, global_, key, seen[1], seen[0], entries[1]),
    )
    conflicts = {record.id: record for side in (cn, global_) for record in await _conflicts(side, key)}
    return Explanation(key, ours, theirs, list(conflicts.values()), verdict(context.clock.now(), ours, theirs))


async def _view_side(
    context: OperatorContext,
    side: Side,
    key: str,
    here: ObjectHead | None,
    there: ObjectHead | None,
    entry: LedgerEntry | None,
) -> SideView:
    known = entry or LedgerEntry(key)
    settings = side.settings
    local, remote = _name(side, here, known, local=True), _name(side, there, known, local=False)
    now = context.clock.now()
    view = KeyState(
        side=side.name,
        cause=Cause.FINDER,
        attempt=PATIENT,
        entry=known,
        local=local,
        remote=remote,
        policy=settings.conflict_policy,
        may_delete=True,
        deletions_travel=settings.events is not Events.CREATE,
        settled=here is not None and now - here.modified >= 2 * settings.visibility_seconds,
    )
    alive = 0
    async for record in side.ledger.records(WORKER):
        alive += is_alive(record, now)
    return SideView(
        side=side,
        seen=here,
        observed=local,
        versions=await side.store.versions(key),
        entry=entry,
        decision=decide(view),
        orders=await read_orders(side.ledger),
        alive=alive,
        backlog=await side.metrics.depth(),
        held=await _is_held(side),
        letters=await _letters(side, key),
        history=await side.history.decisions(key, now - DAYS * 86400),
        uploads=await _uploads(context, side, key),
    )


def _name(side: Side, seen: ObjectHead | None, entry: LedgerEntry, *, local: bool) -> ObservedVersion | None:
    if seen is None:
        return None
    of = side.name if local else side.name.peer
    identity, replica = identify_version(
        seen, side=of, pair=side.settings.pair, key=entry.key, entry=entry, local=local
    )
    return ObservedVersion(seen, identity, replica)


async def _letters(side: Side, key: str) -> list[OpenedLetter]:
    found: list[OpenedLetter] = []
    async for batch in letters(side, LETTERS):
        found += [opened for opened in batch if any(look.key == key for look in opened.looks)]
    return found


async def _uploads(context: OperatorContext, side: Side, key: str) -> list[Progress]:
    found = []
    async for record in side.ledger.records(UPLOAD):
        if record.key != key:
            continue
        upload = upload_record_codec.decode(record)
        target = side if upload.route.endswith(">local") else context.sides[side.name.peer]
        try:
            listed = await target.bucket.list_parts(upload.target_key, upload.upload_id)
        except UploadGoneError:
            continue  # ended; the finder clears the note away
        except DualSyncError:
            listed = None
        found.append(Progress(upload, None if listed is None else len(upload.present(listed))))
    return found


async def _is_held(side: Side) -> bool:
    async for _ in side.ledger.records(HELD_DELETION):
        return True
    return False


async def _conflicts(side: Side, key: str) -> list[Record]:
    return [record async for record in side.ledger.records(CONFLICT) if record.key == key]


_DOING = {
    Action.PUSH: "The worker of {side} has yet to copy it to {peer}",
    Action.PULL: "The worker of {side} has yet to fetch it from {peer}",
    Action.DELETE_REMOTE: "The worker of {side} has yet to delete it at {peer}",
    Action.DELETE_LOCAL: "The worker of {side} has yet to delete it at {side}",
}


def verdict(now: float, cn: SideView, global_: SideView) -> str:
    """One sentence: what is so, why, and what is in its way. Pure."""
    views = (cn, global_)
    if cn.seen is None and global_.seen is None:
        return _nowhere(views)
    if all(view.decision.action is Action.RECORD_SYNCED for view in views):
        return _same(cn, global_)
    for view in views:
        if view.letters:
            return f"A message about it is a dead letter at {view.side.name}: {view.letters[0].reason}."
    acting = [view for view in views if view.decision.action in _DOING]
    if not acting:
        reasons = "; ".join(f"{view.side.name}: {view.decision.reason}" for view in views)
        return f"Neither worker would act on it ({reasons})."
    # What deletes goes last: with both acting, the one that copies decides. Of two that do the same the one to whom it
    # happened comes first: its event is on the way, the other would only be sent by a finder.
    deeds = (Action.PUSH, Action.PULL, Action.DELETE_REMOTE, Action.DELETE_LOCAL)
    acting.sort(key=lambda view: deeds.index(view.decision.action))
    first = acting[0]
    doing = _DOING[first.decision.action].format(side=first.side.name, peer=first.side.name.peer)
    return f"{doing} ({first.decision.reason}); {_obstacle(now, first)}."


def _nowhere(views: Sequence[SideView]) -> str:
    dead = [view for view in views if view.entry is not None and view.entry.deleted_versions]
    if dead:
        names = " and ".join(str(view.side.name) for view in dead)
        return f"It is on neither side: it was deleted, and the ledger of {names} remembers that."
    if any(version.marker for view in views for version in view.versions):
        return "It is on neither side: a delete marker covers it, and no ledger knows the key."
    return "It is on neither side, and no ledger knows the key: it was never here, or its tombstone has expired."


def _same(cn: SideView, global_: SideView) -> str:
    identity = cn.observed.version if cn.observed is not None else None
    unknown = [str(s.side.name) for s in (cn, global_) if s.entry is None or s.entry.synced is None]
    ledger = f", though the ledger of {' and '.join(unknown)} does not know it yet" if unknown else ""
    origin = f", written at {identity.origin}" if identity is not None else ""
    return f"Both sides hold the same version{origin}{ledger}."


def _obstacle(now: float, view: SideView) -> str:
    settings, seen = view.side.settings, view.seen
    if view.orders.paused:
        return f"{view.side.direction} is paused by {view.orders.by}: `dualsync resume {view.side.name}`"
    if view.held and view.decision.action in (Action.DELETE_LOCAL, Action.DELETE_REMOTE):
        return "the finder holds its deletions for a person: `dualsync deletions list`"
    if not view.alive:
        return f"no worker of {view.side.name} is alive: see `dualsync status`"
    if view.uploads:
        return f"it is on its way: {view.uploads[0]}"
    if seen is not None and seen.archived:
        return f"it is in storage class {seen.attributes.storage_class}: restore it first"
    if settings.events is Events.NO:
        return "changes do not travel by themselves (events=No): `dualsync reconcile`"
    if view.backlog.total:
        return f"its message is probably among the {view.backlog.total} in {view.side.name}'s queue"
    if seen is not None and now - seen.modified < settings.finder_grace_seconds:
        return "it is so young that its event may still be on its way"
    return "no message is waiting, so its event was lost: the finder's next run sees to it, or `dualsync reconcile`"
