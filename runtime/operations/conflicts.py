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
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import OperatorContext, Side, Version
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.conflict_copy import conflict_name

VERSIONS = 1000
"""Most versions of a key that are searched for a loser."""
_IDENTITY = re.compile(r"(cn|global)@([0-9]+):(.+)")


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict; `sides` are those whose ledger has it."""

    id: str
    key: str
    time: int
    winner: OriginVersion
    loser: OriginVersion
    policy: str
    kept: bool
    sides: Sequence[Side]

    @property
    def name(self) -> str:
        """Where the loser is kept, if it is."""
        return conflict_name(self.key, self.loser)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a loser can be had from: a kept copy, or an old version of the bucket that it was written to."""

    side: Side
    key: str
    etag: str
    version_id: str = ""


async def conflicts(context: OperatorContext, limit: int) -> list[Conflict]:
    """The conflicts of both ledgers, newest first. The same one seen by both workers is one."""
    found: dict[str, tuple[Record, list[Side]]] = {}
    for side in context.sides.values():
        async for record in side.ledger.records(CONFLICT):
            found.setdefault(record.id, (record, []))[1].append(side)
    parsed = [_parse(record, sides) for record, sides in found.values()]
    return sorted((c for c in parsed if c is not None), key=lambda c: c.time, reverse=True)[:limit]


async def conflict(context: OperatorContext, id: str) -> Conflict:
    """The one whose id starts with `id`, or the newest of key `id`. Raises `PermanentError`."""
    every = await conflicts(context, 1_000_000)
    found = [c for c in every if c.id == id] or [c for c in every if c.id.startswith(id)]
    found = found or [c for c in every if c.key == id][:1]
    if len(found) != 1:
        what = "no conflict has" if not found else f"{len(found)} conflicts have"
        raise PermanentError(f"{what} the id or key {id!r}: see `dualsync conflicts list`")
    return found[0]


def _parse(record: Record, sides: Sequence[Side]) -> Conflict | None:
    winner, loser = identity(str(record.data.get("winner"))), identity(str(record.data.get("loser")))
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


def identity(text: str) -> OriginVersion | None:
    """The inverse of `str(Identity)`."""
    found = _IDENTITY.fullmatch(text)
    return None if found is None else OriginVersion(SideName(found[1]), int(found[2]), found[3])


async def whereabouts(context: OperatorContext, conflict: Conflict) -> Whereabouts | None:
    """Where the loser is, if anywhere."""
    for side in context.sides.values():
        kept = await side.bucket.head(conflict.name) if conflict.name else None
        if kept is not None:
            return Whereabouts(side, conflict.name, kept.etag)
    origin = context.sides.get(conflict.loser.origin)
    if origin is None:
        return None
    for version in await origin.store.versions(conflict.key, VERSIONS):
        if _is(version, conflict.loser):
            return Whereabouts(origin, conflict.key, version.etag, version.version_id)
    return None


def _is(version: Version, loser: OriginVersion) -> bool:
    return not version.marker and version.etag == loser.etag and abs(version.modified - loser.modified) <= 1


async def accept(context: OperatorContext, conflict: Conflict) -> None:
    """The winner is right: strike the conflict off the list."""
    async with audited(context, conflict.sides, "conflicts resolve", _data(conflict), conflict.key):
        await _strike(conflict)


async def undo(context: OperatorContext, conflict: Conflict) -> str:
    """Write the loser again as a user's newest version; it travels like any. Where the winner can be found then.

    Raises `PermanentError` when the loser is nowhere, `PreconditionFailedError` when the key was written meanwhile.
    """
    found = await whereabouts(context, conflict)
    if found is None:
        raise PermanentError(
            f"the loser {conflict.loser} is gone: it was not kept (keepLoser=false) and bucket"
            f" {_bucket(context, conflict.loser.origin)} has no such version"
        )
    side = found.side
    now_there = await side.bucket.head(conflict.key)
    async with audited(context, conflict.sides, "conflicts undo", _data(conflict), conflict.key) as act:
        kept = ""
        if now_there is not None:
            kept = await _keep(side, conflict.key, now_there.etag, now_there.modified)
        act.result["replaced_kept_as"] = kept
        await side.store.write_again(
            found.key,
            found.etag,
            conflict.key,
            version_id=found.version_id,
            over=now_there.etag if now_there is not None else "",
        )
        await _strike(conflict)
    return kept


async def _keep(side: Side, key: str, etag: str, modified: int) -> str:
    """What the undo replaces stays to be had: as a version, or under a name of its own."""
    if await side.store.versioned():
        return "a version of the bucket"
    name = conflict_name(key, OriginVersion(side.name, modified, etag))
    if not name:
        raise PermanentError(
            f"{key!r} is too long for a conflict name, and its bucket keeps no versions: copy it away first"
        )
    try:
        await side.store.write_again(key, etag, name)
    except PreconditionFailedError:
        # There already, or changed meanwhile: the write that follows is conditional on the same version.
        return name
    return name


async def _strike(conflict: Conflict) -> None:
    for side in conflict.sides:
        async for record in side.ledger.records(CONFLICT):
            if record.key == conflict.key and record.data.get("loser") == str(conflict.loser):
                await side.ledger.remove_record(record)


def _data(conflict: Conflict) -> dict[str, object]:
    return {"key": conflict.key, "winner": str(conflict.winner), "loser": str(conflict.loser)}


def _bucket(context: OperatorContext, name: SideName) -> str:
    return context.sides[name].settings.local_bucket if name in context.sides else str(name)
