"""`dualsync explain KEY`: why is this object (not) there?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.documents import entry_document, object_document
from dualsync.runtime.commands.formatting import moment, size, some
from dualsync.runtime.commands.session import Exit, Json, Session, escape, session
from dualsync.runtime.model.ledger_entry import LedgerEntry, SyncedVersion
from dualsync.runtime.operations.explain import Explanation, Sight
from dualsync.runtime.operations.explain import explain as look
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.decision import Action


def explain(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The object's key, relative to the synchronised prefix.")],
    json: Json = False,
) -> None:
    """Everything that is known of one key, and the verdict in a sentence. Changes nothing.

    Both objects with their versions and stamps, both ledgers' entries, conflicts, dead letters, the last decisions
    from the logs (14 days), and what each side's worker would do now. A queue's messages can't be looked at without
    receiving them, so only their number is said. Exit code 3 when the sides differ.
    """
    here = session(context, json)
    if not key:
        here.fail("the key is empty: give an object's key, relative to the synchronised prefix", Exit.USAGE)
    found = here.run(lambda desk: look(desk, key))
    here.show(document(found), lambda: _text(here, found), Exit.DONE if found.same else Exit.ATTENTION)


def document(found: Explanation) -> dict[str, Any]:
    """For programs."""
    return {
        "key": found.key,
        "same": found.same,
        "verdict": found.verdict,
        "sides": {str(sight.side.name): _data(sight) for sight in (found.cn, found.global_)},
        "conflicts": [{"id": r.id, "time": r.time, **r.data} for r in found.conflicts],
    }


def _data(sight: Sight) -> dict[str, Any]:
    return {
        "object": object_document(sight.seen) if sight.seen else None,
        "identity": str(sight.sighting.version) if sight.sighting else None,
        "replica": sight.sighting.is_replica if sight.sighting else None,
        "versions": [dataclasses.asdict(version) for version in sight.versions],
        "ledger": entry_document(sight.entry) if sight.entry else None,
        "would": {"deed": sight.decision.action, "reason": sight.decision.reason},
        "paused": sight.orders.paused,
        "workers": sight.alive,
        "queue": dataclasses.asdict(sight.backlog),
        "dead_letters": [opened.reason for opened in sight.letters],
        "uploads": [
            {
                "route": p.upload.route,
                "to": p.upload.target_key,
                "begun": p.upload.started,
                "parts": p.parts,
                "of": p.upload.count,
            }
            for p in sight.uploads
        ],
        "decisions": sight.history,
    }


def _text(here: Session, found: Explanation) -> None:
    colour = "green" if found.same else "yellow"
    here.out.print(f"[bold]{escape(found.key)}[/bold]")
    here.out.print(f"[{colour}]{escape(found.verdict)}[/{colour}]\n")
    table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for side in SideName:
        table.add_column(side, overflow="fold")
    for name, row in _ROWS.items():
        table.add_row(f"[dim]{name}[/dim]", *(escape(row(sight)) for sight in (found.cn, found.global_)))
    here.out.print(table)
    for record in found.conflicts:
        winner, loser = record.data.get("winner"), record.data.get("loser")
        here.out.print(f"\nconflict of {moment(record.time)}: {winner} won over {loser}")
    for sight in (found.cn, found.global_):
        _history(here, sight)


def _history(here: Session, sight: Sight) -> None:
    if sight.history is None:
        here.out.print(f"\n[dim]the logs of {sight.side.name} can't be read by you[/dim]")
        return
    for line in sight.history:
        reason = escape(str(line.get("reason", "")))
        here.out.print(f"{line.get('time', '')}  {sight.side.name}  {line.get('outcome', '')}  [dim]{reason}[/dim]")


def _object(sight: Sight) -> str:
    seen = sight.seen
    if seen is None:
        return "none"
    archived = ", archived" if seen.archived else ""
    return f"{size(seen.size)}, written {moment(seen.modified)}, ETag {seen.etag}{archived}"


def _which(sight: Sight) -> str:
    if sight.sighting is None:
        return "–"
    identity = sight.sighting.version
    what = "copy of" if sight.sighting.is_replica else "version"
    return f"{what} {identity.origin}, {moment(identity.modified)}, ETag {identity.etag}"


def _stamp(sight: Sight) -> str:
    if sight.seen is None:
        return "–"
    stamp = sight.seen.stamp
    return "none: written by a user" if stamp is None else f"pair {stamp.pair}, from {stamp.version.origin}"


def _versions(sight: Sight) -> str:
    shown = [f"{moment(v.modified)} {'deleted' if v.marker else v.etag[:8]}" for v in sight.versions[:5]]
    return "; ".join(shown) or "none"


def _agreed(sight: Sight) -> str:
    entry = sight.entry or LedgerEntry("")
    if entry.synced is not None:
        return _agreement(entry.synced)
    if entry.expired is not None:
        return f"expired here: {_agreement(entry.expired)}"
    return "no entry" if sight.entry is None else "nothing"


def _agreement(agreement: SyncedVersion) -> str:
    i = agreement.version
    return (
        f"{i.origin}, {moment(i.modified)}, ETag {i.etag} (here {agreement.local.etag}, there {agreement.remote.etag})"
    )


def _dead(sight: Sight) -> str:
    dead = sight.entry.deleted_versions if sight.entry else ()
    return "; ".join(str(d.version) for d in dead) or "none"


def _sequencer(sight: Sight) -> str:
    entry = sight.entry
    if entry is None or not entry.sequencer:
        return "–"
    return f"{entry.sequencer.lstrip('0')}, ledger written {moment(entry.updated)}"


_DEEDS = {
    Action.RECORD_SYNCED: "nothing",
    Action.RECORD_TOMBSTONE: "nothing",
    Action.PUSH: "copy it to the peer",
    Action.PULL: "fetch it from the peer",
    Action.DELETE_REMOTE: "delete it at the peer",
    Action.DELETE_LOCAL: "delete it here",
}
_ROWS: dict[str, Callable[[Sight], str]] = {
    "object": _object,
    "is": _which,
    "stamp": _stamp,
    "versions": _versions,
    "both held": _agreed,
    "deleted": _dead,
    "last event": _sequencer,
    "upload": lambda s: "; ".join(map(str, s.uploads)) or "none",
    "would now": lambda s: f"{_DEEDS.get(s.decision.action, s.decision.action)}: {s.decision.reason}",
    "queue": lambda s: (
        f"{some(s.backlog.total, 'message')}, {some(s.alive, 'worker')}{', paused' if s.orders.paused else ''}"
    ),
    "dead letters": lambda s: "; ".join(opened.reason for opened in s.letters) or "none",
}
