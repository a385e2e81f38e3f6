"""`dualsync explain KEY`: why an object is, or is not, on a side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.documents import entry_document, object_document, version_document
from dualsync.runtime.commands.output.formatting import count_text, local_time, size
from dualsync.runtime.commands.output.status_document import depth_document
from dualsync.runtime.commands.session import Exit, Json, Session, escape, key_text, session
from dualsync.runtime.model.ledger_entry import LedgerEntry, SyncedVersion
from dualsync.runtime.operations import explain as operations
from dualsync.runtime.operations.conflicts import parse_identity
from dualsync.runtime.operations.explain import Explanation, OutOfScope, SideView
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.decision import Action


def explain(
    invocation: typer.Context,
    key: Annotated[str, typer.Argument(help="The object's key: whole, relative to the prefix, or as s3://BUCKET/KEY.")],
    json: Json = False,
) -> None:
    """Explain one key in a sentence, with everything that is known about it. Changes nothing.

    Both objects with their versions and stamps, both ledgers' entries, uploads, conflicts, dead letters, the last
    decisions from the logs (14 days), and what each side's worker would do now. The messages of a queue can't be read
    without receiving them, so only their number is shown. Exit code 3 when the sides differ.
    """
    cli = session(invocation, json)
    if not key:
        cli.fail("the key is empty: give an object's key", Exit.USAGE)
    found = cli.run(lambda context: operations.explain(context, key))
    if isinstance(found, OutOfScope):
        outside = found
        cli.print_result(
            {"key": found.key, "same": None, "verdict": found.verdict, "sides": {}, "conflicts": []},
            lambda: cli.out.print(f"[bold]{key_text(outside.key)}[/bold]\n[yellow]{escape(outside.verdict)}[/yellow]"),
            Exit.ATTENTION,
        )
        return
    answer = found
    cli.print_result(
        document(answer), lambda: _text(cli, answer), Exit.DONE if answer.is_consistent else Exit.ATTENTION
    )


def document(found: Explanation) -> dict[str, Any]:
    """Return the answer for programs."""
    return {
        "key": found.key,
        "same": found.is_consistent,
        "verdict": found.verdict,
        "note": found.note,
        "sides": {str(view.side.name): _data(view) for view in (found.cn, found.global_)},
        "conflicts": [{"id": r.id, "time": r.time, **r.data} for r in found.conflicts],
    }


def _data(view: SideView) -> dict[str, Any]:
    return {
        "object": object_document(view.head) if view.head else None,
        "identity": str(view.observed.version) if view.observed else None,
        "replica": view.observed.is_replica if view.observed else None,
        "versions": [version_document(version) for version in view.versions],
        "ledger": entry_document(view.entry) if view.entry else None,
        "ledger_problem": view.entry_problem or None,
        "would": {"deed": view.decision.action, "reason": view.decision.reason},
        "paused": view.controls.paused,
        "workers": view.alive if view.side.settings.carries else None,
        "queue": depth_document(view.backlog) if view.side.settings.carries else None,
        "dead_letters": [opened.reason for opened in view.letters],
        "uploads": [
            {
                "route": p.upload.route,
                "to": p.upload.target_key,
                "begun": p.upload.started,
                "parts": p.parts,
                "of": p.upload.part_count,
            }
            for p in view.uploads
        ],
        "decisions": view.history,
    }


def _text(cli: Session, found: Explanation) -> None:
    colour = "green" if found.is_consistent else "yellow"
    if found.note:
        cli.out.print(f"[dim]{escape(found.note)}[/dim]")
    cli.out.print(f"[bold]{key_text(found.key)}[/bold]")
    cli.out.print(f"[{colour}]{escape(found.verdict)}[/{colour}]\n")
    table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for side in SideName:
        table.add_column(side, overflow="fold")
    for name, row in _ROWS.items():
        table.add_row(f"[dim]{name}[/dim]", *(escape(_value(name, row, view)) for view in (found.cn, found.global_)))
    cli.out.print(table)
    for record in found.conflicts:
        winner, loser = record.data.get("winner"), record.data.get("loser")
        won, lost = _written(str(winner)), _written(str(loser))
        cli.out.print(f"\nconflict of {local_time(record.time)}: the version {won} won over the one {lost}")
    for view in (found.cn, found.global_):
        _history(cli, view)


def _written(text: str) -> str:
    """Return a version's identity as text: where and when it was written."""
    identity = parse_identity(text)
    return escape(text) if identity is None else f"of {identity.origin}, {local_time(identity.modified)}"


def _history(cli: Session, view: SideView) -> None:
    if view.history is None:
        cli.out.print(f"\n[dim]the logs of {view.side.name} can't be read by you[/dim]")
        return
    for line in view.history:
        time, outcome, reason = (escape(str(line.get(name, ""))) for name in ("time", "outcome", "reason"))
        cli.out.print(f"{time}  {view.side.name}  {outcome}  [dim]{reason}[/dim]")


def _object(view: SideView) -> str:
    seen = view.head
    if seen is None:
        return "none"
    archived = ", archived" if seen.archived else ""
    return f"{size(seen.size)}, written {local_time(seen.modified)}, ETag {seen.etag}{archived}"


def _which(view: SideView) -> str:
    if view.observed is None:
        return "–"
    identity = view.observed.version
    what = "copy of" if view.observed.is_replica else "version"
    return f"{what} {identity.origin}, {local_time(identity.modified)}, ETag {identity.etag}"


def _stamp(view: SideView) -> str:
    if view.head is None:
        return "–"
    stamp = view.head.stamp
    return "none: written by a user" if stamp is None else f"pair {stamp.pair}, from {stamp.version.origin}"


def _versions(view: SideView) -> str:
    shown = [f"{local_time(v.modified)} {'deleted' if v.marker else v.etag[:8]}" for v in view.versions[:5]]
    return "; ".join(shown) or "none"


def _synced(view: SideView) -> str:
    if view.entry_problem:
        return f"can't be read: {view.entry_problem}"
    entry = view.entry or LedgerEntry("")
    if entry.synced is not None:
        return _synced_version(entry.synced)
    if entry.expired is not None:
        return f"expired here: {_synced_version(entry.expired)}"
    return "no entry" if view.entry is None else "nothing"


def _synced_version(synced: SyncedVersion) -> str:
    i = synced.version
    return f"{i.origin}, {local_time(i.modified)}, ETag {i.etag} (here {synced.local.etag}, there {synced.remote.etag})"


def _dead(view: SideView) -> str:
    dead = view.entry.deleted_versions if view.entry else ()
    return "; ".join(str(d.version) for d in dead) or "none"


def _sequencer(view: SideView) -> str:
    entry = view.entry
    if entry is None or not entry.sequencer:
        return "–"
    return f"{entry.sequencer.lstrip('0')}, ledger written {local_time(entry.updated)}"


_ACTIONS = {
    Action.RECORD_SYNCED: "nothing",
    Action.RECORD_TOMBSTONE: "nothing",
    Action.PUSH: "copy it to the peer",
    Action.PULL: "fetch it from the peer",
    Action.DELETE_REMOTE: "delete it at the peer",
    Action.DELETE_LOCAL: "delete it here",
}


def _user_upload(view: SideView) -> str:
    return "; ".join(f"by a user, begun {local_time(u.initiated)}, not complete" for u in view.user_uploads) or "none"


_ROWS: dict[str, Callable[[SideView], str]] = {
    "object": _object,
    "is": _which,
    "stamp": _stamp,
    "versions": _versions,
    "both held": _synced,
    "deleted": _dead,
    "last event": _sequencer,
    "upload": lambda s: "; ".join(map(str, s.uploads)) or _user_upload(s),
    "would now": lambda s: f"{_ACTIONS.get(s.decision.action, s.decision.action)}: {s.decision.reason}",
    "queue": lambda s: (
        f"{count_text(s.backlog.total, 'message')}, {count_text(s.alive, 'worker')}"
        f"{', paused' if s.controls.paused else ''}"
    ),
    "dead letters": lambda s: "; ".join(opened.reason for opened in s.letters) or "none",
}
_CARRIERS_ROWS = frozenset({"both held", "deleted", "last event", "queue", "dead letters"})
"""Rows from the ledger and the queues, which a one-way pair's destination does not have."""


def _value(name: str, row: Callable[[SideView], str], view: SideView) -> str:
    return "–" if name in _CARRIERS_ROWS and not view.side.settings.carries else row(view)
