"""What users and faults do, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from dualsync.runtime.settings import SideName

WRITERS = 2
"""Users per side."""

WORKERS = 2
"""Worker processes per side."""

KEYS = 8
"""Keys that all users write in one round."""

ROUND_SECONDS = 20.0
"""Length of a round. Each round has keys of its own, so that a long run is many histories."""

VISIBILITY_SECONDS = 10
"""Seconds that a received message stays hidden; the lowest value of the setting."""

PREFIX = "chaos/"

SMALL_BYTES = 64 << 10
LARGE_BYTES = 6 << 20
"""Above the size from which workers copy in parts in these runs."""


class Kind(StrEnum):
    """What a user does with a key."""

    PUT = "put"
    """Write or overwrite it."""

    LARGE = "large"
    """Write an object that workers copy in parts."""

    UPLOAD = "upload"
    """Write it by a multipart upload that takes a while."""

    DELETE = "delete"
    """Delete it."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act of a user."""

    at: float
    """Seconds since the begin."""

    key: str
    """The object's key."""

    kind: Kind
    """What the user does."""

    name: str
    """Name of the version, unique in the run; empty for a deletion."""

    size: int
    """Bytes."""

    seconds: float
    """Duration of an upload."""


class Blow(StrEnum):
    """What happens to the processes of a side."""

    KILL = "kill"
    """A worker is killed (SIGKILL); another one starts."""

    STOP = "stop"
    """A worker is stopped (SIGSTOP) for longer than its messages are hidden, then continues."""

    END = "end"
    """A worker is asked to end (SIGTERM); another one starts."""

    FINDER = "finder"
    """A finder runs."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One blow at a time."""

    at: float
    """Seconds since the begin."""

    blow: Blow
    """What happens."""

    side: SideName
    """Where."""

    number: int
    """Which of the side's workers."""

    seconds: float
    """Duration of a stop."""


def key_of(round: int, number: int) -> str:
    """Return a key of a round."""
    return f"{PREFIX}{round}/{number}"


def acts(seed: int, side: SideName, writer: int, seconds: float) -> Iterator[Act]:
    """Yield the acts of one user in order. Every version has bytes of its own."""
    r = Random(f"{seed} user {side} {writer}")
    at, number = r.uniform(0, 1), 0
    while at < seconds:
        number += 1
        kind = r.choices(tuple(Kind), weights=(64, 1, 8, 27))[0]
        key = key_of(int(at / ROUND_SECONDS), r.randrange(KEYS))
        name = "" if kind is Kind.DELETE else f"{side}-{writer}-{number}"
        size = LARGE_BYTES + r.randrange(1 << 20) if kind is Kind.LARGE else r.randrange(1, SMALL_BYTES)
        yield Act(at, key, kind, name, size, r.uniform(0.1, 4))
        # Bursts within a second, and pauses in which the other side's version arrives.
        at += r.uniform(0.05, 0.5) if r.random() < 0.4 else r.uniform(0.5, 4)


def incidents(seed: int, seconds: float) -> Iterator[Incident]:
    """Yield what happens to the processes, in order. The kinds take turns, so that a short run has each of them."""
    r = Random(f"{seed} processes")
    at = 3.0
    turn: list[Blow] = []
    while at < seconds:
        if not turn:
            turn = r.sample(tuple(Blow), len(Blow))
        longer = VISIBILITY_SECONDS + r.uniform(2, 10)
        yield Incident(at, turn.pop(), r.choice(tuple(SideName)), r.randrange(WORKERS), longer)
        at += r.uniform(3, 7)


def content(seed: int, act: Act) -> bytes:
    """Return the bytes of a version."""
    return f"{seed} {act.name} ".encode() + Random(f"{seed} {act.name}").randbytes(act.size)


class Fault(StrEnum):
    """What the proxy does with a request of a worker or a finder."""

    NONE = "none"
    """Passes it on."""

    LATE_REQUEST = "late request"
    """Passes it on later."""

    LATE_ANSWER = "late answer"
    """Passes the answer on later."""

    LOST_REQUEST = "lost request"
    """Closes the connection without passing it on."""

    LOST_ANSWER = "lost answer"
    """Passes it on and closes the connection without an answer."""

    HALF_ANSWER = "half answer"
    """Closes the connection in the middle of the answer."""

    TWICE_FIRST = "sent twice, first answer"
    """Passes it on twice and returns the first answer."""

    TWICE_SECOND = "sent twice, second answer"
    """Passes it on twice and returns the second answer."""


class Dice:
    """Draws the proxy's faults, in the order in which requests arrive."""

    _WEIGHTS = (84, 4, 3, 2, 2, 1, 2, 2)

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed} proxy")

    def fault(self) -> Fault:
        """Draw what happens to the next request."""
        return self._random.choices(tuple(Fault), weights=self._WEIGHTS)[0]

    def delay(self) -> float:
        """Draw how late something is, in seconds: mostly a moment, seldom longer than a message is hidden."""
        r = self._random
        return r.uniform(VISIBILITY_SECONDS, 2 * VISIBILITY_SECONDS) if r.random() < 0.03 else r.uniform(0.02, 1.5)
