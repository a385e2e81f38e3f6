"""Judge a status: what is wrong with a direction, and the command that ends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.finder import missed_events
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.operations.key_text.plain_text import use_config_names
from dualsync.runtime.operations.status import LEDGER, QUEUE, Direction, Status, group_reasons
from dualsync.runtime.service.circuit_breaker import BLOCKED

LAG_LIMIT_SECONDS = 900
"""A change that waits longer than this needs attention; the lag alarm's default."""
DENIED_KEPT_SECONDS = 1800
"""Denied requests are tried again within 15 minutes. What was not denied again is repaired, or another worker's."""
FINDER_OVERDUE_SECONDS = 3 * 3600
"""Three of the finder's default intervals."""
MAX_KEY_AGE_DAYS = 90
"""Age in days from which a dedicated user's key should be rotated."""
MANY_CRASHES = 3
"""Workers that ended by a fault within an hour, from which it counts as a problem."""
MANY_DELETIONS = 1000
"""Deletions within the last minutes that need attention; the deletions alarm's default."""
BOTH = "both"
"""The direction of a problem that concerns the pair."""
_FAILED_OUTCOMES = (Outcome.FAILED, Outcome.BURIED)


class Severity(StrEnum):
    """How much a problem matters."""

    STOPPED = "stopped"
    """Changes do not travel."""
    WAITING = "waiting"
    """An operator has to decide or to repair something. The rest continues."""
    NOTE = "note"
    """Information. Nothing has to be done now."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to do now."""

    direction: str
    """The direction that it concerns, or `both`."""
    weight: Severity
    """How much it matters."""
    what: str
    """What is wrong."""
    remedy: str
    """What to do."""


def problems(status: Status) -> list[Problem]:
    """Return what is wrong, the worst first."""
    order = list(Severity)
    sides = {direction.side: direction for direction in status.directions}
    found = [problem for d in status.directions for problem in _of(d, sides.get(d.peer))]
    found += _of_deletions(status.directions)
    found += _of_conflicts(status.directions)
    for side, reason in status.unreachable.items():
        name = status.one_way or _direction_of(side)
        # Nothing runs at a one-way pair's destination.
        weight = Severity.NOTE if status.one_way.endswith(f">{side}") else Severity.WAITING
        found.append(Problem(name, weight, f"{side} is not visible to you", reason))
    if len(status.directions) + len(status.unreachable) + status.destination_seen < 2:
        only = status.directions[0].name if status.directions else ""
        found.append(
            Problem(only, Severity.WAITING, "the other side's stack was not found", "run `pulumi up` of its stack")
        )
    return sorted(found, key=lambda p: order.index(p.weight))


def _direction_of(side: str) -> str:
    return f"{side}->{'global' if side == 'cn' else 'cn'}"


def _of(d: Direction, peer: Direction | None) -> Iterator[Problem]:
    broken = _key_is_broken(d, peer)
    yield from _of_blindness(d)
    if LEDGER not in d.unreadable:
        yield from _of_workers(d, broken) if d.enabled else _of_disabled(d)
        yield from _of_finder(d) if d.enabled else ()
    yield from _of_guard(d, broken)
    if d.oldest_seconds is not None and d.oldest_seconds > LAG_LIMIT_SECONDS and not d.controls.paused and d.enabled:
        yield Problem(
            d.name,
            Severity.WAITING,
            f"the oldest message has waited {int(d.oldest_seconds)} s",
            "`dualsync status --watch`: if the backlog falls, wait; else see the workers' problems",
        )
    deleted = d.recent.get(Outcome.DELETED, 0) + d.recent.get(Outcome.REMOVED, 0)
    if deleted > MANY_DELETIONS:
        yield Problem(
            d.name,
            Severity.NOTE,  # also an intended clean-up has this effect
            f"{deleted} objects were deleted within the last {_last(d.recent_seconds)}",
            f"if it was not intended: `dualsync pause {d.side} --wait`, `dualsync deletions reject`,"
            " `dualsync deletions restore --since 1h` (runbook: many-deletions)",
        )
    if d.dead_letters.total:
        sampled = sum(d.dead_letter_reasons.values())
        of = f" of {sampled} read" if sampled < d.dead_letters.total else ""
        why = (
            "; ".join(f"{reason} ({count}{of})" for reason, count in group_reasons(d.dead_letter_reasons))
            or "see `dlq list`"
        )
        yield Problem(
            d.name,
            Severity.WAITING,
            f"{_some(d.dead_letters.total, 'dead letter')}: {why}",
            f"`dualsync dlq list {d.side}`; when the cause is repaired, `dualsync dlq redrive {d.side} --all`",
        )
    if d.keys:
        age = (d.now - min(key.created for key in d.keys)) // 86400
        if age > MAX_KEY_AGE_DAYS:
            yield Problem(
                d.name,
                Severity.NOTE,
                f"the key of {d.user_side}'s user is {age} days old",
                f"`dualsync rotate-key {d.user_side}`",
            )
    yield from _of_second_key(d, peer)


def _of_blindness(d: Direction) -> Iterator[Problem]:
    """Yield what could not be read, and what the status lacks therefore."""
    lost = {LEDGER: "workers, pause, conflicts, held deletions and finder are", QUEUE: "some counts are"}
    for part, why in d.unreadable.items():
        if "ResourceNotFoundException" in why or "NonExistentQueue" in why or "QueueDoesNotExist" in why:
            remedy = f"it does not exist: `pulumi up --refresh` of stack {d.side} makes it again (runbook: FatalError)"
        elif "AccessDenied" in why:
            remedy = f"give your role the operator's permissions, or --profile-{d.side} NAME of another"
        elif any(word in why for word in ("Expired", "SSO", "Login", "Token", "Credential")):
            remedy = f"sign in again, or give --profile-{d.side} NAME"
        else:
            remedy = "try again; if it stays so, check the network and AWS's health page of this region"
        yield Problem(
            d.name, Severity.WAITING, f"the {part} of {d.side} can't be read, so {lost[part]} unknown: {why}", remedy
        )


def _of_deletions(directions: Sequence[Direction]) -> Iterator[Problem]:
    """Yield the held deletions as one problem, since both finders usually hold the same ones."""
    holding = [d for d in directions if d.held is not None]
    alike = len(holding) == 2 and len({(_count(d), d.approval is None) for d in holding}) == 1
    for d in holding[:1] if alike else holding:
        name = BOTH if alike else d.name
        word = "deletion is" if _count(d) == 1 else "deletions are"
        if d.approval is not None:
            yield Problem(
                name,
                Severity.NOTE,
                f"{_count(d)} {word} approved and wait for the finder's next run",
                "`dualsync reconcile` runs it now",
            )
        else:
            reason = use_config_names(str(d.held.data.get("reason"))) if d.held is not None else ""
            yield Problem(
                name,
                Severity.WAITING,
                f"{_count(d)} {word} held: {reason}",
                "`dualsync deletions list`, then `dualsync deletions approve` or `dualsync deletions reject`",
            )


def _count(d: Direction) -> object:
    return d.held.data.get("count") if d.held is not None else 0


def _of_conflicts(directions: Sequence[Direction]) -> Iterator[Problem]:
    """Yield the conflicts, each counted once, since both ledgers have the same ones."""
    losers = {id: loser for d in directions for id, loser in d.losers.items()}
    if not losers:
        return
    seen_by = [d for d in directions if d.losers]
    versioned = {d.side: d.versioned for d in directions}
    lost = sum(not loser.kept and versioned.get(loser.origin) is False for loser in losers.values())
    text = f"{_some(len(losers), 'conflict')} resolved by the pair's rule"
    remedy = "`dualsync conflicts list`"
    if lost:
        text += f"; {_some(lost, 'loser')} {'is' if lost == 1 else 'are'} gone (keepLoser is off, no versions)"
        remedy += "; set keepLoser: true, or switch on versioning, so that a loser can be restored"
    if lost < len(losers):
        remedy += "; `dualsync conflicts undo ID` restores a loser that was kept"
    yield Problem(seen_by[0].name if len(seen_by) == 1 else BOTH, Severity.NOTE, text, remedy)


def _key_is_broken(d: Direction, peer: Direction | None) -> bool:
    """Return whether the secret names a key that the peer's user does not have, or that is inactive."""
    keys = d.keys if d.one_way else peer.keys if peer is not None else None
    if d.expected_user is None or d.expected_user.problem or d.expected_user.role_arn or keys is None:
        return False
    return d.expected_user.key_id not in {key.id for key in keys if key.active}


def _of_second_key(d: Direction, peer: Direction | None) -> Iterator[Problem]:
    """Yield a key of the user beside the one in the secret: a rotation under way, or made by hand."""
    promise = d.expected_user if d.one_way else peer.expected_user if peer is not None else None
    if not d.keys or promise is None or len(d.keys) < 2:
        return
    others = [key.id for key in d.keys if key.id != promise.key_id]
    if len(others) < len(d.keys):
        yield Problem(
            d.name,
            Severity.NOTE,
            f"{d.user_side}'s user has a second key {', '.join(others)}, which the secret does not name",
            f"`dualsync rotate-key {d.user_side}` shows whether it is a rotation or was made by hand, and how to end"
            " it",
        )


def _of_disabled(d: Direction) -> Iterator[Problem]:
    """Yield a side that is deployed and carries nothing."""
    yield Problem(
        d.name,
        Severity.STOPPED,
        "synchronisation is off (enableSynchronization: false)",
        f"set enableSynchronization to true and run `pulumi up` of stack {d.side}",
    )


def _of_workers(d: Direction, broken: bool) -> Iterator[Problem]:
    logs = f"`aws logs tail {d.log_group} --since 1h --region {d.region}`" if d.log_group else "the worker log group"
    if d.controls.paused:
        who = f"paused by {d.controls.by}: {d.controls.reason or 'no reason given'}"
        yield Problem(d.name, Severity.STOPPED, who, f"`dualsync resume {d.side}`")
    if not d.living_workers:
        gone = ", as far as the ledger shows" if not d.workers else ""
        wanted = f" (the group wants {d.group_sizes[0]}, has {d.group_sizes[1]})" if d.group_sizes else ""
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"no worker is alive{gone}{wanted}",
            f"{logs}: instances that end soon after their start log the reason (runbook: no-worker)",
        )
    states = {worker.state: worker for worker in d.living_workers}
    if State.GUARD_REFUSED in states:
        reason = states[State.GUARD_REFUSED].reason
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the guard refuses: {reason}",
            f"let the peer's stack write the secret again: `pulumi up` of {d.peer}"
            if "secret" in reason
            else "correct bucket, accountId, region or prefix in the configuration, `pulumi up` (runbook:"
            " GUARD_REFUSED)",
        )
    if State.WAITING_FOR_PEER in states and not broken:  # else the guard's problem names the cause
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
            f"waiting for the prefix list: {states[State.WAITING_FOR_LIST].reason}",
            f"put the file there on both sides, or take prefixListFile out and `pulumi up` of {d.side}",
        )
    if State.CIRCUIT_OPEN in states and states[State.CIRCUIT_OPEN].reason.startswith(BLOCKED):
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"nothing is received: {states[State.CIRCUIT_OPEN].reason}",
            "it continues without help once the cause is fixed (runbook: ServiceBlockedError)",
        )
    elif State.CIRCUIT_OPEN in states:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"services do not answer, nothing is received until they do: {states[State.CIRCUIT_OPEN].reason}",
            "nothing to do here: it continues without help; see https://health.aws.amazon.com (China:"
            " https://phd.amazonaws.cn) for the region of that service",
        )
    if len(d.crashed_workers) >= MANY_CRASHES:
        continuing = d.now - max(worker.last_heartbeat for worker in d.crashed_workers) < LAG_LIMIT_SECONDS
        said = next((worker.reason for worker in reversed(d.crashed_workers) if worker.reason), "no reason recorded")
        yield Problem(
            d.name,
            Severity.WAITING if continuing or not d.living_workers else Severity.NOTE,
            f"{len(d.crashed_workers)} workers crashed within an hour, the last: {said}",
            f"{logs} has their last lines; the messages they held return to the queue",
        )
    yield from _of_denials(d)
    troubles = [p for worker in d.living_workers for p in worker.problems if p.get("outcome") in _FAILED_OUTCOMES]
    lately = [p for p in troubles if d.now - int(p.get("time", 0)) < LAG_LIMIT_SECONDS]
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
    """Yield the denial that has lasted longest. A short one is only a note, as a policy may be on its way."""
    denied = [w.denied for w in d.living_workers if d.now - int(w.denied.get("time", 0)) <= DENIED_KEPT_SECONDS]
    if not denied:
        return
    first = max(denied, key=lambda p: int(p.get("seconds", 0)))
    seconds = int(first.get("seconds", 0))
    yield Problem(
        d.name,
        Severity.WAITING if seconds > LAG_LIMIT_SECONDS else Severity.NOTE,
        f"access is denied, for {seconds} s now: {first.get('key', '')!r} {first.get('reason', '')}",
        "correct the policy (of the bucket, the user, the object or its KMS key): the copy is repeated without help;"
        " after hours the message is a dead letter (runbook: AccessDeniedError)",
    )


def _of_guard(d: Direction, broken: bool) -> Iterator[Problem]:
    if d.expected_user is not None and d.expected_user.problem:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the peer's secret in {d.side}'s account: {d.expected_user.problem}",
            f"`pulumi up --refresh` of stack {d.peer} writes it again",
        )
        return
    if broken and d.expected_user is not None:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the key {d.expected_user.key_id} that the workers write with is inactive, or gone from {d.peer}'s user",
            f"`dualsync rotate-key {d.peer} --run`: it gives {d.peer}'s user another key",
        )
    promised = d.expected_user.user_id if d.expected_user else ""
    who = "role" if d.expected_user and d.expected_user.role_arn else "user"
    if d.expected_guard and promised and promised != d.expected_guard:
        yield Problem(
            d.name,
            Severity.STOPPED,
            f"the secret promises {who} {promised}, the peer's stack has {d.expected_guard}",
            f"`pulumi up --refresh` of stack {d.peer} writes the secret again",
        )


def _of_finder(d: Direction) -> Iterator[Problem]:
    if d.finder is None:
        yield Problem(d.name, Severity.NOTE, "the finder has not run yet", "`dualsync reconcile` runs it now")
    elif d.now - d.finder.time > FINDER_OVERDUE_SECONDS:
        yield Problem(
            d.name,
            Severity.WAITING,
            f"the finder's last run ended {(d.now - d.finder.time) // 3600} hours ago",
            "`dualsync reconcile` runs it now; the finder's log group has the reason why the schedule did not",
        )
    since = d.finder.data.get(missed_events.SINCE) if d.finder is not None else None
    if type(since) is int:
        yield Problem(
            d.name,
            Severity.WAITING,
            f"the bucket of {d.side} sends no events: none has come for changes of the last"
            f" {max(1, (d.now - since) // 60)} minutes, which only the finder copies",
            f"`pulumi up --refresh` of stack {d.side} restores its notifications (runbook: no-events)",
        )


def _last(seconds: int) -> str:
    minutes = seconds // 60
    return f"{minutes} minutes" if minutes > 1 else "minute"


def _some(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"
