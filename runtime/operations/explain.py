"""Explain one key: both objects, both ledgers, and what each worker would do about it now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.errors import DualSyncError, PermanentError, UploadGoneError
from dualsync.runtime.log import State
from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.identify import identify_version
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import ListedUpload, ObjectHead
from dualsync.runtime.model.records import CONFLICT, DELETION_APPROVAL, HELD_DELETION, UPLOAD, WORKER, Record, is_alive
from dualsync.runtime.operations.context import Depth, OperatorContext, Side, Version
from dualsync.runtime.operations.dead_letters import OpenedLetter, letters
from dualsync.runtime.operations.key_text.pasted_key import find_key
from dualsync.runtime.service.operator_controls import DirectionControls, read_controls
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.decision import Action, Decision, KeyState, ObservedVersion
from dualsync.runtime.sync.one_way import decide_for
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord

LETTERS_SEARCHED = 200
"""Dead letters that are searched for the key."""
LAST_ATTEMPT = 1000
"""More attempts than a contended key gets, so that the decision is the final one, not `wait`."""
LOG_DAYS = 14
"""Days of logs that are searched."""


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """An upload of the key by a worker."""

    upload: UploadRecord
    """What the ledger notes about it."""
    parts: int | None
    """How many parts are there; None: not visible to this operator."""

    def __str__(self) -> str:
        there = "an unknown number" if self.parts is None else str(self.parts)
        name = "" if self.upload.target_key == self.upload.key else f" as {self.upload.target_key}"
        return f"{there} of {self.upload.part_count} parts are there{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideView:
    """One side's part of the answer."""

    side: Side
    """The side."""
    head: ObjectHead | None
    """Its object."""
    observed: ObservedVersion | None
    """Which version the object is."""
    versions: Sequence[Version]
    """The bucket's versions of the key."""
    entry: LedgerEntry | None
    """The ledger's entry."""
    entry_problem: str = ""
    """Why the ledger's entry can't be read; empty for nothing."""
    decision: Decision
    """What its worker would do if asked to check the key now."""
    controls: DirectionControls
    """Pause and limits."""
    alive: int
    """Living workers."""
    circuit: str = ""
    """Why its workers receive nothing (CIRCUIT_OPEN); empty when they do."""
    backlog: Depth
    """Messages of its queue."""
    held: bool
    """Whether its finder holds deletions, not approved yet."""
    letters: Sequence[OpenedLetter]
    """Dead letters about the key."""
    history: Sequence[Mapping[str, Any]] | None
    """The last outcomes from the logs; None: not visible to this operator."""
    uploads: Sequence[UploadProgress] = ()
    """Uploads of the key by workers."""
    user_uploads: Sequence[ListedUpload] = ()
    """Multipart uploads of the key by users that are not complete."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer."""

    key: str
    """The key, relative to the prefix."""
    cn: SideView
    """cn's part."""
    global_: SideView
    """global's part."""
    conflicts: Sequence[Record] = field(default_factory=list)
    """Conflicts of the key."""
    verdict: str = ""
    """The answer in one sentence."""
    note: str = ""
    """How the given text was understood, when the key was not given as such."""

    @property
    def is_consistent(self) -> bool:
        """Whether both sides are as they should be."""
        done = (Action.RECORD_SYNCED, Action.RECORD_TOMBSTONE)
        return all(
            (view.decision.action in done or not view.side.settings.carries) and not view.user_uploads
            for view in (self.cn, self.global_)
        )


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """A key that is not synchronised."""

    key: str
    """The whole key, as S3 shows it."""
    verdict: str
    """Why it is not synchronised, and where it is."""


async def explain(context: OperatorContext, text: str) -> Explanation | OutOfScope:
    """Explain the key that `text` means: relative to the prefix, whole, or an `s3://` URI. Changes nothing."""
    cn, global_ = context.both()
    found = await find_key(context, text)
    if found.outside:
        return OutOfScope(found.key, found.outside)
    key = found.key
    heads = await asyncio.gather(cn.bucket.head(key), global_.bucket.head(key))
    entries = await asyncio.gather(_entry(cn, key), _entry(global_, key))
    ours, theirs = await asyncio.gather(
        _view_side(context, cn, key, heads[0], heads[1], *entries[0]),
        _view_side(context, global_, key, heads[1], heads[0], *entries[1]),
    )
    conflicts = {record.id: record for side in (cn, global_) for record in await _conflicts(side, key)}
    answer = verdict(context.clock.now(), ours, theirs)
    return Explanation(key, ours, theirs, list(conflicts.values()), answer, found.note)


async def _entry(side: Side, key: str) -> tuple[LedgerEntry | None, str]:
    """Return the ledger's entry, or why it can't be decoded."""
    try:
        entry = await side.ledger.get(key)
    except (PermanentError, ValueError) as e:
        return None, str(e)
    if entry is not None and entry.unreadable:
        return None, entry.unreadable
    return entry, ""


async def _view_side(
    context: OperatorContext,
    side: Side,
    key: str,
    here: ObjectHead | None,
    there: ObjectHead | None,
    entry: LedgerEntry | None,
    entry_problem: str,
) -> SideView:
    known = entry or LedgerEntry(key)
    settings = side.settings
    local, remote = _name(side, here, known, local=True), _name(side, there, known, local=False)
    now = context.clock.now()
    view = KeyState(
        side=side.name,
        cause=Cause.FINDER,
        attempt=LAST_ATTEMPT,
        entry=known,
        local=local,
        remote=remote,
        policy=settings.conflict_policy,
        may_delete=True,
        deletions_travel=settings.events is not Events.CREATE,
        settled=here is not None and now - here.modified >= 2 * settings.visibility_seconds,
    )
    alive, circuit = 0, ""
    async for record in side.ledger.records(WORKER):
        if is_alive(record, now):
            alive += 1
            if record.data.get("state") == State.CIRCUIT_OPEN:
                circuit = str(record.data.get("reason") or "no reason recorded")
    return SideView(
        side=side,
        head=here,
        observed=local,
        versions=await side.store.versions(key),
        entry=entry,
        entry_problem=entry_problem,
        decision=decide_for(settings, view) if settings.carries else _NO_COPIES,
        controls=await read_controls(side.ledger),
        alive=alive,
        circuit=circuit,
        backlog=await side.metrics.queue_depth(),
        held=await _is_held(side),
        letters=await _letters(side, key),
        history=await side.history.decisions(key, now - LOG_DAYS * 86400),
        uploads=await _uploads(context, side, key),
        user_uploads=await _user_uploads(side, key) if here is None else (),
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
    async for batch in letters(side, LETTERS_SEARCHED):
        found += [opened for opened in batch if any(request.key == key for request in opened.requests)]
    return found


async def _uploads(context: OperatorContext, side: Side, key: str) -> list[UploadProgress]:
    found = []
    async for record in side.ledger.records(UPLOAD):
        upload = upload_record_codec.decode_or_none(record) if record.key == key else None
        if upload is None:
            continue
        target = side if upload.route.endswith(">local") else context.sides[side.name.peer]
        try:
            listed = await target.bucket.list_parts(upload.target_key, upload.upload_id)
        except UploadGoneError:
            continue  # ended; the finder clears the note away
        except DualSyncError:
            listed = None
        found.append(UploadProgress(upload, None if listed is None else len(upload.present_parts(listed))))
    return found


async def _user_uploads(side: Side, key: str) -> list[ListedUpload]:
    """Return incomplete uploads of the key by others than the workers; none when they can't be listed."""
    workers = {record.data.get("upload_id") async for record in side.ledger.records(UPLOAD)}
    try:
        return [u for u in await side.bucket.list_uploads() if u.key == key and u.id not in workers]
    except DualSyncError:
        return []


async def _is_held(side: Side) -> bool:
    async for _ in side.ledger.records(DELETION_APPROVAL):
        return False
    async for _ in side.ledger.records(HELD_DELETION):
        return True
    return False


async def _conflicts(side: Side, key: str) -> list[Record]:
    return [record async for record in side.ledger.records(CONFLICT) if record.key == key]


_NO_COPIES = Decision(Action.NOTHING, "the destination of a one-way pair: nothing is copied from here")
_DOING = {
    Action.PUSH: "The worker of {side} has yet to copy it to {peer}",
    Action.PULL: "The worker of {side} has yet to fetch it from {peer}",
    Action.DELETE_REMOTE: "The worker of {side} has yet to delete it at {peer}",
    Action.DELETE_LOCAL: "The worker of {side} has yet to delete it at {side}",
}


def verdict(now: float, cn: SideView, global_: SideView) -> str:
    """Return one sentence: the condition, its cause, and what prevents the next step. Pure."""
    views = (cn, global_)
    for view in views:
        if view.entry_problem:
            where = view.side.settings.ledger_table
            return (
                f"The key's entry in {view.side.name}'s ledger (table {where}) can't be read: {view.entry_problem}."
                " If a newer version wrote it, update this side. Otherwise the key's next message makes a full check,"
                " which writes the entry again and deletes nothing."
            )
    for view in views:
        if view.user_uploads and cn.head is None and global_.head is None:
            return _upload_sentence(now, view)
    if cn.head is None and global_.head is None:
        return _absence_sentence(views)
    carriers = [view for view in views if view.side.settings.carries]
    if all(view.decision.action is Action.RECORD_SYNCED for view in carriers):
        return _equality_sentence(cn, global_)
    for view in views:
        if view.letters:
            return f"A message about it is a dead letter at {view.side.name}: {view.letters[0].reason}."
    acting = [view for view in views if view.decision.action in _DOING]
    if not acting:
        if len(carriers) < len(views):
            return f"The pair is one-way, and {carriers[0].side.name} would do nothing: {carriers[0].decision.reason}."
        reasons = "; ".join(f"{view.side.name}: {view.decision.reason}" for view in views)
        return f"Neither worker would act on it ({reasons})."
    # What deletes goes last: with both acting, the one that copies decides. Of two that do the same the one to whom it
    # happened comes first: its event is on the way, the other would only be sent by a finder.
    deeds = (Action.PUSH, Action.PULL, Action.DELETE_REMOTE, Action.DELETE_LOCAL)
    acting.sort(key=lambda view: deeds.index(view.decision.action))
    first = acting[0]
    if _may_have_expired(first, views):
        here, there = first.side.name, first.side.name.peer
        return (
            f"It is only at {here}: a lifecycle rule may have expired it at {there}, so its absence there stays."
            f" Write it again at {here} to copy it."
        )
    doing = _DOING[first.decision.action].format(side=first.side.name, peer=first.side.name.peer)
    return f"{doing} ({first.decision.reason}); {_obstacle_sentence(now, first)}."


def _only_destination_changed(view: SideView) -> bool:
    """Return True if a one-way pair's source still holds what both sides held."""
    synced = view.entry.synced if view.entry is not None else None
    same = synced is not None and view.observed is not None and view.observed.version == synced.version
    return same and view.side.settings.direction.one_way


def _may_have_expired(view: SideView, views: Sequence[SideView]) -> bool:
    absent = any(other.head is None for other in views if other is not view)
    return absent and view.side.settings.remote_expires and _only_destination_changed(view)


def _upload_sentence(now: float, view: SideView) -> str:
    first = view.user_uploads[0]
    minutes = max(0, int(now - first.initiated)) // 60
    return (
        f"It is on neither side: an upload of it was begun at {view.side.name} {minutes} min ago by"
        f" {first.initiator or 'an unknown user'} and is not complete. S3 shows the object, and sends its event, when"
        " the upload is completed."
    )


def _absence_sentence(views: Sequence[SideView]) -> str:
    dead = [view for view in views if view.entry is not None and view.entry.deleted_versions]
    if dead:
        names = " and ".join(str(view.side.name) for view in dead)
        return f"It is on neither side: it was deleted, and the ledger of {names} remembers that."
    if any(version.marker for view in views for version in view.versions):
        return "It is on neither side: a delete marker covers it, and no ledger has the key."
    return "It is on neither side, and no ledger has the key: it was never here, or its tombstone has expired."


def _equality_sentence(cn: SideView, global_: SideView) -> str:
    identity = cn.observed.version if cn.observed is not None else None
    unknown = [str(s.side.name) for s in (cn, global_) if s.side.settings.carries and not (s.entry and s.entry.synced)]
    ledger = f", though the ledger of {' and '.join(unknown)} does not have it yet" if unknown else ""
    origin = f", written at {identity.origin}" if identity is not None else ""
    return f"Both sides hold the same version{origin}{ledger}."


def _obstacle_sentence(now: float, view: SideView) -> str:
    settings, seen = view.side.settings, view.head
    if view.held and view.decision.action in (Action.DELETE_LOCAL, Action.DELETE_REMOTE):
        return (
            "the finder holds its deletions until an operator decides: `dualsync deletions list`, then `dualsync"
            " deletions approve` or `dualsync deletions reject`"
        )
    if view.controls.paused:
        return f"{view.side.direction} is paused by {view.controls.by}: `dualsync resume {view.side.name}`"
    if not view.alive:
        return f"no worker of {view.side.name} is alive: see `dualsync status`"
    if view.circuit:
        return (
            f"services do not answer ({view.circuit}), so {view.side.name}'s workers receive nothing until they do:"
            " `dualsync status`"
        )
    if view.uploads:
        return f"it is on its way: {view.uploads[0]}"
    if seen is not None and seen.archived:
        return f"it is in storage class {seen.attributes.storage_class}: restore it first"
    if settings.events is Events.NO:
        return "changes do not travel by themselves (events=No): `dualsync reconcile`"
    if _only_destination_changed(view):
        changed = f"no event reports a change at {view.side.name.peer}"
        return f"{changed}: the finder's next run sees to it, or `dualsync reconcile`"
    if view.backlog.total:
        return f"its message is probably among the {view.backlog.total} in {view.side.name}'s queue"
    if seen is not None and now - seen.modified < settings.finder_grace_seconds:
        return "it is so young that its event may still be on its way"
    return "no message is waiting, so its event was lost: the finder's next run sees to it, or `dualsync reconcile`"
