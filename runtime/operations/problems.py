"""What is wrong with a direction, and the command that mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.log import Outcome, State
from dualsync.runtime.operations.status import Direction, Status, by_kind

OLD_SECONDS = 900
"""A change that waits longer than this is worth a person's look; the lag alarm's default."""
DENIED_KEPT_SECONDS = 1800
"""What is denied is tried again within a quarter of an hour; what was not denied again is mended, or another's."""
FINDER_SECONDS = 3 * 3600
"""Three of the finder's usual intervals."""
KEY_DAYS = 90
OFTEN = 3
"""So many workers that died within an hour are no accident."""
MANY_DELETIONS = 1000
"""So many deletions within the last minutes are worth a person's look; the deletions alarm's default."""
_TROUBLES = (Outcome.FAILED, Outcome.BURIED)


class Severity(StrEnum):
    """How much a problem matters."""

    STOPPED = "stopped"
    """Changes do not travel."""
    WAITING = "waiting"
    """A person has to decide or to mend something; the rest goes on."""
    NOTE = "note"
    """Good to know; nobody has to get up for it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, of which direction, and what to do now."""

    direction: str
    weight: Severity
    what: str
    remedy: str


def problems(status: Status) -> list[Problem]:
    """The worst first."""
    order = list(Severity)
    sides = {direction.side: direction for direction in status.directions}
    found = [problem for d in status.directions for problem in _of(d, sides.get(d.peer))]
    if len(status.directions) < 2:
        only = status.directions[0].name if status.directions else ""
        found.append(
            Problem(
                only, Severity.WAITING, "the other side's stack was not found", "deploy it: `pulumi up` of its stack"
            )
        )
    return sorted(found, key=lambda p: order.index(p.weight))


def _of(d: Direction, peer: Direction | None) -> Iterator[Problem]:
    broken = _key_is_broken(d, peer)
    yield from _of_workers(d, broken)
    yield from _of_guard(d, broken)
    if d.oldest is not None and d.oldest > OLD_SECONDS and not d.orders.paused:
        yield Problem(
            d.name,
            Severity.WAITING,
            f"the oldest message has waited {int(d.oldest)} s",
            "`dualsync status --watch`: if the backlog falls, wait; else see the workers' problems",
        )
    deleted = d.recent.get(Outcome.DELETED, 0) + d.recent.get(Outcome.REMOVED, 0)
    if deleted > MANY_DELETIONS:
        yield Problem(
            d.name,
            Severity.NOTE,  # also a clean-up that was meant looks like this
            f"{deleted} objects were deleted within the last {_last(d.recent_seconds)}",
            f"if nobody meant it: `dualsync pause {d.side} --wait`, `dualsync deletions reject`, `dualsync deletions"
            " restore` (runbook: many-deletions)",
        )
    if d.dead.total:
        looked_at = sum(d.dead_reasons.values())
        of = f" of {looked_at} looked at" if looked_at < d.dead.total else ""
        why = "; ".join(f"{reason} ({count}{of})" for reason, count in by_kind(d.dead_reasons)) or "see `dlq list`"
        yield Problem(
            d.name,
            Severity.WAITING,
            f"{_some(d.dead.total, 'dead letter')}: {why}",
            f"`dualsync dlq list {d.side}`; when the cause is mended, `dualsync dlq redrive {d.side} --all`",
        )
    if d.held is not None:
        if d.approval is not None:
            yield Problem(
                d.name,
                Severity.NOTE,
                f"{d.held.data.get('count')} deletions are approved and wait for the finder's next run",
                "`dualsync reconcile` does it now",
            )
        else:
            yield Problem(
                d.name,
                Severity.WAITING,
                f"{d.held.data.get('count')} deletions are held: {d.held.data.get('reason')}",
                "`dualsync deletions list`, then `dualsync deletions approve` or `dualsync deletions reject`",
            )
    if d.conflicts:
        yield Problem(
            d.name,
            Severity.NOTE,
            f"{_some(d.conflicts, 'conflict')} resolved by the pair's rule",
            "`dualsync conflicts list`; `dualsync conflicts undo ID` brings a loser back",
        )
    yield from _of_finder(d)
    if d.keys:
        age = (d.now - min(key.created for key in d.keys)) // 86400
        if age > KEY_DAYS:
            yield Problem(
                d.name,
                Severity.NOTE,
                f"the key of {d.side}'s user is {age} days old",
                f"`dualsync rotate-key {d.side}`",
            )


def _key_is_broken(d: Direction, peer: Direction | None) -> bool:
    """Does the secret name a key that the peer's user does not have (any more), or that was made inactive?"""
    if d.promise is None or peer is None or peer.keys is None:
        return False
    return d.promise.key_id not in {key.id for key in peer.keys if key.active}


def _of_workers(d: Direction, broken: bool) -> Iterator[Problem]:
    if d.orders.paused:
        who = f"paused by {d.orders.by}: {d.orders.reason or 'no reason given'}"
        yield Problem(d.name, Severity.STOPPED, who, f"`dualsync resume {d.side}`")
    if not d.alive:
        gone = ", as far as the ledger knows" if not d.workers else ""
        wanted = f" (the group wants {d.group[0]}, has {d.group[1]})" if d.group else ""
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"no worker is alive{gone}{wanted}",
            "see the worker log group's last lines: instances that die again and again say why there",
        )
    states = {worker.state: worker for worker in d.alive}
    if State.GUARD_REFUSED in states:
        reason = states[State.GUARD_REFUSED].reason
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the guard refuses: {reason}",
            f"let the peer's stack write the secret again: `pulumi up` of {d.peer}"
            if "secret" in reason
            else "mend bucket, accountId, region or prefix in the configuration, `pulumi up`; runbook: GUARD_REFUSED",
        )
    if State.WAITING_FOR_PEER in states and not broken:  # else the guard's problem says what they wait for
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"waiting for the peer: {states[State.WAITING_FOR_PEER].reason}",
            f"`pulumi up` of stack {d.peer}; a new key needs up to a minute; see `dualsync rotate-key {d.peer}`",
        )
    if State.WAITING_FOR_LIST in states:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"nothing says what is to be synchronised: {states[State.WAITING_FOR_LIST].reason}",
            f"put the file there on both sides, or take prefixListFile out and `pulumi up` of {d.side}",
        )
    if State.CIRCUIT_OPEN in states:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"services do not answer, nothing is received until they do: {states[State.CIRCUIT_OPEN].reason}",
            "nothing to do here: it goes on by itself; see AWS's health page for the region of that service",
        )
    if len(d.broken) >= OFTEN:
        going_on = d.now - max(worker.heard for worker in d.broken) < OLD_SECONDS
        said = next((worker.reason for worker in reversed(d.broken) if worker.reason), "without a word")
        yield Problem(
            d.name,
            Severity.WAITING if going_on or not d.alive else Severity.NOTE,
            f"{len(d.broken)} workers died within an hour, the last: {said}",
            "the worker log group has their last lines; what they held comes back by itself",
        )
    yield from _of_denials(d)
    troubles = [p for worker in d.alive for p in worker.problems if p.get("outcome") in _TROUBLES]
    lately = [p for p in troubles if d.now - int(p.get("time", 0)) < OLD_SECONDS]
    if lately:
        last = max(lately, key=lambda p: int(p.get("time", 0)))
        key = f" {last['key']!r}" if last.get("key") else ""
        yield Problem(
            d.name,
            Severity.NOTE,
            f"a message failed lately:{key} {last.get('reason', '')}",
            f"{'`dualsync explain KEY`; ' if key else ''}after five tries it is a dead letter: `dualsync dlq list`",
        )


def _of_denials(d: Direction) -> Iterator[Problem]:
    """The one that has waited longest; a policy that is on its way is nobody's business yet."""
    denied = [w.denied for w in d.alive if d.now - int(w.denied.get("time", 0)) <= DENIED_KEPT_SECONDS]
    if not denied:
        return
    first = max(denied, key=lambda p: int(p.get("seconds", 0)))
    seconds = int(first.get("seconds", 0))
    yield Problem(
        d.name,
        Severity.WAITING if seconds > OLD_SECONDS else Severity.NOTE,
        f"access is denied, for {seconds} s now: {first.get('key', '')!r} {first.get('reason', '')}",
        "mend the policy (of the bucket, the user, the object or its KMS key): it goes on by itself; after hours it is"
        " a dead letter (runbook: Denied)",
    )


def _of_guard(d: Direction, broken: bool) -> Iterator[Problem]:
    if broken and d.promise is not None:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the key {d.promise.key_id} that the workers write with is inactive, or gone from {d.peer}'s user",
            f"`dualsync rotate-key {d.peer} --run`: it gives {d.peer}'s user another key",
        )
    promised = d.promise.user_id if d.promise else ""
    if d.expected_guard and promised and promised != d.expected_guard:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the secret promises user {promised}, the peer's stack has {d.expected_guard}",
            f"`pulumi up` of stack {d.peer}: it writes the secret",
        )


def _of_finder(d: Direction) -> Iterator[Problem]:
    if d.finder is None:
        yield Problem(d.name, Severity.NOTE, "the finder has not run yet", "`dualsync reconcile` runs it now")
    elif d.now - d.finder.time > FINDER_SECONDS:
        yield Problem(
            d.name,
            Severity.WAITING,
            f"the finder's last run ended {(d.now - d.finder.time) // 3600} hours ago",
            "`dualsync reconcile` runs it now; the finder's log group says why it does not by itself",
        )


def _last(seconds: int) -> str:
    minutes = seconds // 60
    return f"{minutes} minutes" if minutes > 1 else "minute"


def _some(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"
