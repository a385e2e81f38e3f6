"""Conflicts: users of both sides wrote a key without knowing of each other, and the pair's rule chose one version.

The loser is kept under a conflict name if the pair is set so; else a versioned bucket still has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dualsync.runtime.errors import PermanentError, PreconditionFailedError
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import CONFLICT, Record
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import OperatorContext, Side, Version
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.conflict_copy import conflict_name

MAX_VERSIONS_SEARCHED = 1000
"""Most versions of a key that are searched for a loser."""
_IDENTITY = re.compile(r"(cn|global)@([0-9]{1,12}):(.+)")


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict."""

    id: str
    """A short id for the command line."""
    key: str
    """The key."""
    time: int
    """When it was recorded, seconds since the epoch."""
    winner: OriginVersion
    """The version that stayed."""
    loser: OriginVersion
    """The version that was replaced."""
    policy: str
    """The rule that decided."""
    kept: bool
    """Whether the loser was kept under a conflict name."""
    sides: Sequence[Side]
    """The sides whose ledger has it."""

    @property
    def loser_key(self) -> str:
        """The key under which the loser is kept, if it is."""
        return conflict_name(self.key, self.loser)


@dataclass(frozen=True, slots=True)
class LoserLocation:
    """Where a loser is: a kept copy, or an old version of the bucket that it was written to."""

    side: Side
    """The side that has it."""
    key: str
    """Its key there."""
    etag: str
    """Its ETag."""
    version_id: str = ""
    """Its version; empty for a kept copy."""


async def conflicts(context: OperatorContext, limit: int) -> list[Conflict]:
    """Return the conflicts of both ledgers, newest first. One that both ledgers have counts once."""
    found: dict[str, tuple[Record, list[Side]]] = {}
    for side in context.sides.values():
        async for record in side.ledger.records(CONFLICT):
            found.setdefault(record.id, (record, []))[1].append(side)
    parsed = [_parse(record, sides) for record, sides in found.values()]
    return sorted((c for c in parsed if c is not None), key=lambda c: c.time, reverse=True)[:limit]


async def conflict(context: OperatorContext, id: str) -> Conflict:
    """Return the one whose id starts with `id`, or the newest of key `id`. Raises `PermanentError`."""
    every = await conflicts(context, 1_000_000)
    found = [c for c in every if c.id == id] or [c for c in every if id and c.id.startswith(id)]
    found = found or [c for c in every if c.key == id][:1]
    if len(found) != 1:
        what = "no conflict has" if not found else f"{len(found)} conflicts have"
        raise PermanentError(f"{what} the id or key {id!r}: see `dualsync conflicts list`")
    return found[0]


def _parse(record: Record, sides: Sequence[Side]) -> Conflict | None:
    winner, loser = parse_identity(str(record.data.get("winner"))), parse_identity(str(record.data.get("loser")))
    if winner is None or loser is None:
        return None
    return Conflict(
        id=hashlib.sha256(record.id.encode()).hexdigest()[:10],
        key=record.key,
        time=record.time,
        winner=winner,
        loser=loser,
        policy=str(record.data.get("policy", "")),
        kept=bool(record.data.get("kept")),
        sides=sides,
    )


def parse_identity(text: str) -> OriginVersion | None:
    """Parse a version's identity as records hold it: `cn@1790000000:ETAG`."""
    found = _IDENTITY.fullmatch(text)
    return None if found is None else OriginVersion(SideName(found[1]), int(found[2]), found[3])


async def can_be_undone(context: OperatorContext, found: Sequence[Conflict]) -> dict[str, bool | None]:
    """Return per conflict id whether its loser may still exist; None: its origin side cannot be asked.

    A kept loser does. One that was not kept does only if its bucket keeps versions.
    """
    versioned: dict[SideName, bool] = {}
    for name, side in context.sides.items():
        versioned[name] = await side.store.keeps_versions()
    return {c.id: True if c.kept else versioned.get(c.loser.origin) for c in found}


async def locate_loser(context: OperatorContext, conflict: Conflict) -> LoserLocation | None:
    """Find the loser; None when it is nowhere."""
    for side in context.sides.values():
        kept = await side.bucket.head(conflict.loser_key) if conflict.loser_key else None
        if kept is not None:
            return LoserLocation(side, conflict.loser_key, kept.etag)
    origin = context.sides.get(conflict.loser.origin)
    if origin is None:
        return None
    for version in await origin.store.versions(conflict.key, MAX_VERSIONS_SEARCHED):
        if _is_loser(version, conflict.loser):
            return LoserLocation(origin, conflict.key, version.etag, version.version_id)
    return None


def _is_loser(version: Version, loser: OriginVersion) -> bool:
    return not version.marker and version.etag == loser.etag and abs(version.modified - loser.modified) <= 1


async def accept(context: OperatorContext, conflict: Conflict) -> None:
    """Accept the winner: remove the conflict from the list."""
    async with audit_act(context, conflict.sides, "conflicts resolve", _data(conflict), conflict.key):
        await _remove_records(conflict)


async def undo(context: OperatorContext, conflict: Conflict) -> str:
    """Write the loser again as a user's newest version; return where the replaced version is kept.

    Raises `PermanentError` when the loser is nowhere, `PreconditionFailedError` when the key was written meanwhile.
    """
    found = await locate_loser(context, conflict)
    if found is None:
        raise PermanentError(
            f"the loser {conflict.loser} is gone: it was not kept (keepLoser=false) and bucket"
            f" {_bucket(context, conflict.loser.origin)} has no such version"
        )
    side = found.side
    now_there = await side.bucket.head(conflict.key)
    async with audit_act(context, conflict.sides, "conflicts undo", _data(conflict), conflict.key) as act:
        kept = ""
        if now_there is not None:
            kept = await _keep(side, conflict.key, now_there.etag, now_there.modified)
        act.result["replaced_kept_as"] = kept
        await side.store.rewrite_as_user(
            found.key,
            found.etag,
            conflict.key,
            version_id=found.version_id,
            over=now_there.etag if now_there is not None else "",
        )
        await _remove_records(conflict)
    return kept


async def _keep(side: Side, key: str, etag: str, modified: int) -> str:
    """Keep what the undo replaces: as a version, or under a conflict name."""
    if await side.store.keeps_versions():
        return "a version of the bucket"
    name = conflict_name(key, OriginVersion(side.name, modified, etag))
    if not name:
        raise PermanentError(
            f"{key!r} is too long for a conflict name, and its bucket keeps no versions: copy it away first"
        )
    try:
        await side.store.rewrite_as_user(key, etag, name)
    except PreconditionFailedError:
        # There already, or changed meanwhile: the write that follows is conditional on the same version.
        return name
    return name


async def _remove_records(conflict: Conflict) -> None:
    for side in conflict.sides:
        async for record in side.ledger.records(CONFLICT):
            if record.key == conflict.key and record.data.get("loser") == str(conflict.loser):
                await side.ledger.remove_record(record)


def _data(conflict: Conflict) -> dict[str, object]:
    return {"key": conflict.key, "winner": str(conflict.winner), "loser": str(conflict.loser)}


def _bucket(context: OperatorContext, name: SideName) -> str:
    return context.sides[name].settings.local_bucket if name in context.sides else str(name)
