"""Draw the plan of a chaos run from a seed: actions of users, faults of processes, faults of the proxy."""

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
"""Length of a round. Each round has keys of its own, so that a long run has many histories to judge."""

VISIBILITY_SECONDS = 10
"""Seconds that a received message stays hidden; the lowest value of the setting."""

PREFIX = "chaos/"

SMALL_BYTES = 64 << 10
LARGE_BYTES = 6 << 20
"""Largest size of a small object, and smallest size of a large one, which workers of these runs copy in parts."""


class ActionKind(StrEnum):
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
class UserAction:
    """One action of a user."""

    at: float
    """Seconds since the start of the run."""

    key: str
    """The object's key."""

    kind: ActionKind
    """What the user does."""

    name: str
    """Name of the version, unique in the run; empty for a deletion."""

    size: int
    """Size of the version in bytes."""

    seconds: float
    """Duration of a multipart upload."""


class ProcessFault(StrEnum):
    """A fault of a process, or the start of a finder."""

    KILL = "kill"
    """A worker is killed (SIGKILL); another one starts."""

    STOP = "stop"
    """A worker is stopped (SIGSTOP) for longer than its messages are hidden, then continues."""

    END = "end"
    """A worker receives SIGTERM and ends; another one starts."""

    FINDER = "finder"
    """A finder runs."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A process fault at a certain time of the run."""

    at: float
    """Seconds since the start of the run."""

    fault: ProcessFault
    """The fault."""

    side: SideName
    """Side of the process."""

    number: int
    """Number of the worker on its side."""

    seconds: float
    """Duration of a stop (SIGSTOP)."""


def key_of(round: int, number: int) -> str:
    """Return a key of a round."""
    return f"{PREFIX}{round}/{number}"


def user_actions(seed: int, side: SideName, writer: int, seconds: float) -> Iterator[UserAction]:
    """Yield the actions of one user in order. Every version has content of its own."""
    r = Random(f"{seed} user {side} {writer}")
    at, number = r.uniform(0, 1), 0
    while at < seconds:
        number += 1
        kind = r.choices(tuple(ActionKind), weights=(64, 1, 8, 27))[0]
        key = key_of(int(at / ROUND_SECONDS), r.randrange(KEYS))
        name = "" if kind is ActionKind.DELETE else f"{side}-{writer}-{number}"
        size = LARGE_BYTES + r.randrange(1 << 20) if kind is ActionKind.LARGE else r.randrange(1, SMALL_BYTES)
        yield UserAction(at, key, kind, name, size, r.uniform(0.1, 4))
        # Bursts within a second, and pauses in which the other side's version arrives.
        at += r.uniform(0.05, 0.5) if r.random() < 0.4 else r.uniform(0.5, 4)


def process_faults(seed: int, seconds: float) -> Iterator[Incident]:
    """Yield the faults of processes in order. The kinds alternate, so that a short run has each of them."""
    r = Random(f"{seed} processes")
    at = 3.0
    turn: list[ProcessFault] = []
    while at < seconds:
        if not turn:
            turn = r.sample(tuple(ProcessFault), len(ProcessFault))
        longer = VISIBILITY_SECONDS + r.uniform(2, 10)
        yield Incident(at, turn.pop(), r.choice(tuple(SideName)), r.randrange(WORKERS), longer)
        at += r.uniform(3, 7)


def content(seed: int, action: UserAction) -> bytes:
    """Return the bytes of a version."""
    return f"{seed} {action.name} ".encode() + Random(f"{seed} {action.name}").randbytes(action.size)


class ProxyFault(StrEnum):
    """How the proxy treats a request of a worker or a finder."""

    NONE = "none"
    """Forwards the request and the answer unchanged."""

    LATE_REQUEST = "late request"
    """Forwards the request after a delay."""

    LATE_ANSWER = "late answer"
    """Forwards the answer after a delay."""

    LOST_REQUEST = "lost request"
    """Closes the connection without forwarding the request."""

    LOST_ANSWER = "lost answer"
    """Forwards the request and closes the connection without an answer."""

    HALF_ANSWER = "half answer"
    """Closes the connection in the middle of the answer."""

    TWICE_FIRST = "sent twice, first answer"
    """Forwards the request twice and returns the first answer."""

    TWICE_SECOND = "sent twice, second answer"
    """Forwards the request twice and returns the second answer."""


class FaultGenerator:
    """Draws the proxy's faults in the order in which requests arrive."""

    _WEIGHTS = (84, 4, 3, 2, 2, 1, 2, 2)

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed} proxy")

    def fault(self) -> ProxyFault:
        """Draw the fault of the next request."""
        return self._random.choices(tuple(ProxyFault), weights=self._WEIGHTS)[0]

    def delay(self) -> float:
        """Draw a delay in seconds: mostly below 1.5 s, in 3 % of cases longer than a message is hidden."""
        r = self._random
        return r.uniform(VISIBILITY_SECONDS, 2 * VISIBILITY_SECONDS) if r.random() < 0.03 else r.uniform(0.02, 1.5)
