"""What the ledger learns: each function takes an entry and gives the next one. Pure; revisions are not theirs."""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.ledger_entry import Agreement, Entry, Held
from dualsync.runtime.model.objects import Seen
from dualsync.runtime.model.sequencer import latest


def agreed(entry: Entry, agreement: Agreement, look: Look, now: int) -> Entry:
    """Both sides hold this version."""
    known = entry.agreed is not None and entry.agreed.identity == agreement.identity
    first, last, until = (entry.arrived, entry.landed, entry.until) if known else ("", "", "")
    if not known and entry.former is not None and entry.former.identity == agreement.identity and entry.arrived:
        first, until = entry.left, _next_arrival(entry, entry.left)  # here once more
    if look.cause is Cause.CREATED and look.etag == agreement.local.etag:
        first, last = min(first or look.sequencer, look.sequencer), latest(last, look.sequencer)
    return replace(
        entry,
        agreed=agreement,
        expired=None,
        former=entry.former if known else entry.agreed,
        left=entry.left if known else entry.landed,
        dead=tuple(d for d in entry.dead if d.identity != agreement.identity),
        sequencer=latest(entry.sequencer, look.sequencer),
        arrived=first,
        landed=last,
        until=until,
        updated=now,
    )


def gone(entry: Entry, look: Look, now: int, *, by_user: bool) -> Entry:
    """Neither side holds the key: a tombstone that names what was deleted. `by_user`: deleted here, by a user."""
    return replace(
        entry,
        agreed=None,
        expired=None,
        dead=entry.buried(entry.agreed or entry.expired),
        sequencer=latest(entry.sequencer, look.sequencer),
        deleted=latest(entry.deleted, look.sequencer) if by_user else entry.deleted,
        died=max(entry.died, int(look.time) or now),
        updated=now,
    )


def removal(entry: Entry, look: Look, now: int, *, present: bool = False, here: bool = False) -> Entry:
    """A user deleted something here; what the peer holds is not decided yet, or a later version is here.

    The agreed version, had it arrived before and is not `present`, is what was deleted. It stays the belief of what the
    peer holds. While anything is `here`, the permanent removal of one version says nothing of the others.
    """
    hit = None
    if not present and "" < entry.arrived <= entry.landed < look.sequencer:
        hit = entry.agreed
    elif "" < entry.left < look.sequencer:
        hit = entry.former
    return replace(
        entry,
        dead=entry.buried(hit),
        sequencer=latest(entry.sequencer, look.sequencer),
        deleted=entry.deleted if look.permanent and (here or present) else latest(entry.deleted, look.sequencer),
        died=max(entry.died, int(look.time)),
        updated=now,
    )


def arrival(entry: Entry, look: Look) -> Entry:
    """What a user's creation tells late: when the version before the agreed one had come, and so whether a later
    deletion here was its."""
    former, mark = entry.former, look.sequencer
    if look.cause is not Cause.CREATED or former is None or entry.left or look.etag != former.local.etag or not mark:
        return entry
    if entry.arrived and entry.arrived <= mark:
        return entry
    hit = former if mark < entry.deleted and (not entry.arrived or entry.deleted < entry.arrived) else None
    return replace(entry, left=mark, dead=entry.buried(hit))


def was_in_between(entry: Entry, mark: str) -> bool:
    """Was what arrived at `mark` here before the agreed version came (last), and after all else that is known?"""
    return mark < entry.landed and (entry.former is None or entry.left < mark)


def came_before(entry: Entry, agreement: Agreement, look: Look) -> Entry:
    """A late echo: this version was here before the agreed one. Should it come again, a deletion in between was its."""
    dead = look.sequencer < entry.deleted < _next_arrival(entry, look.sequencer)
    noted = replace(entry, former=agreement, left=look.sequencer)
    return replace(noted, dead=noted.buried(agreement)) if dead else noted


def _next_arrival(entry: Entry, mark: str) -> str:
    """When the agreed version came after what was here at `mark`: its first arrival, or its last."""
    return entry.arrived if mark < entry.arrived else entry.landed


def brought_back(entry: Entry, look: Look, here: Seen) -> Entry:
    """A user removed the delete marker, or the version, over an older one that is `here` now: had it gone before, then
    it was dead. Its echo may not have been read yet: then only the times say so."""
    user = look.actor is Actor.USER and look.cause is Cause.REMOVED and look.permanent
    if not user or here.stamp is None or not here.modified < entry.died:
        return entry
    held = Held(here.etag, here.modified)
    if any(d.local == held for d in entry.dead) or (entry.agreed is not None and entry.agreed.local == held):
        return entry
    return replace(entry, dead=entry.buried(Agreement(here.stamp.identity, held, Held(""))))


def expired(entry: Entry, look: Look, now: int) -> Entry:
    """A lifecycle rule took the object from here; the peer keeps its own."""
    return replace(
        entry,
        agreed=None,
        expired=entry.agreed or entry.expired,
        sequencer=latest(entry.sequencer, look.sequencer),
        updated=now,
    )
