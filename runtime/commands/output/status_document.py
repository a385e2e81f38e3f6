"""The status as `--json` prints it. The names are part of the command line's contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dualsync.runtime.commands.output.documents import controls_document
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.context import Depth
from dualsync.runtime.operations.problems import Problem, Severity
from dualsync.runtime.operations.status import Direction, Lag, Status, Worker


def status_document(found: Status, wrong: Sequence[Problem]) -> dict[str, Any]:
    """Return the status for programs."""
    return {
        "pair": found.pair,
        "time": found.now,
        "one_way": found.one_way or None,
        "healthy": not any(p.weight is not Severity.NOTE for p in wrong),
        "directions": [_direction(direction) for direction in found.directions],
        "unreachable": dict(found.unreachable),
        "problems": [
            {"direction": p.direction, "weight": str(p.weight), "what": p.what, "remedy": p.remedy} for p in wrong
        ],
    }


def depth_document(depth: Depth) -> dict[str, int]:
    """Return a queue's counts."""
    return {"visible": depth.visible, "in_flight": depth.in_flight, "delayed": depth.delayed}


def _direction(d: Direction) -> dict[str, Any]:
    promise = d.expected_user
    return {
        "name": d.name,
        "now": d.now,
        "state": d.state,
        "blind": dict(d.unreadable),
        "backlog": depth_document(d.backlog) | {"total": d.backlog.total},
        "catch_up_seconds": d.catch_up_seconds,
        "dead": depth_document(d.dead_letters),
        "dead_reasons": dict(d.dead_letter_reasons),
        "oldest": d.oldest_seconds,
        "workers": [_worker(worker) for worker in d.workers],
        "workers_alive": len(d.living_workers),
        "group": d.group_sizes,
        "puts": _lag(d.puts),
        "deletes": _lag(d.deletes),
        "total": dict(d.total),
        "recent": dict(d.recent),
        "recent_bytes": d.recent_bytes,
        "recent_seconds": d.recent_seconds,
        "orders": controls_document(d.controls),
        "conflicts": d.conflicts,
        "uploads": list(d.uploads),
        "held": _record(d.held),
        "approval": _record(d.approval),
        "finder": _record(d.finder),
        "expected_guard": d.expected_guard,
        "promise": None if promise is None else {"key_id": promise.key_id, "user_id": promise.user_id},
        "keys": None
        if d.keys is None
        else [{"id": key.id, "created": key.created, "active": key.active} for key in d.keys],
        "versioned": d.versioned,
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "alive": worker.alive,
        "heard": worker.last_heartbeat,
        "state": worker.state,
        "reason": worker.reason,
        "in_flight": worker.in_flight,
        "started": worker.started,
        "guard": worker.guard,
        "problems": list(worker.problems),
        "denied": dict(worker.denied),
    }


def _lag(lag: Lag) -> dict[str, Any]:
    return {"count": lag.count, "median": lag.median, "p99": lag.p99}


def _record(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "kind": record.kind,
        "id": record.id,
        "time": record.time,
        "key": record.key,
        "data": dict(record.data),
        "expires": record.expires,
    }
