"""Represent one state of an exploration, and the faults that may happen in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Fault:
    """Faults, each of which may happen at any point of a history."""

    CRASH = "crash"
    """A process is killed after a call's effect. Its message is received again."""
    DUPLICATE = "duplicate"
    """A message is received twice: at once, or after all retries."""
    LATE = "late"
    """A message is received after the retries of what was sent after it."""
    UNANSWERED = "unanswered"
    """A call has its effect, and its answer is lost."""
    STALL = "stall"
    """A process stops for longer than its message's visibility, and continues at any later point."""
    BATCH = "batch"
    """Two events arrive in one message."""


QUICK_FAULTS = (Fault.CRASH, Fault.DUPLICATE, Fault.LATE, Fault.UNANSWERED, Fault.BATCH)
ALL_FAULTS = (*QUICK_FAULTS, Fault.STALL)


@dataclass(frozen=True, slots=True)
class Limits:
    """Faults, finder runs and workers of a history."""

    faults: int = 0
    """Maximum number of faults per history."""
    kinds: tuple[str, ...] = ALL_FAULTS
    """Kinds of faults."""
    finders: tuple[int, int] = (0, 0)
    """Finder runs that start at any point, per side."""
    workers: tuple[int, int] = (1, 1)
    """Worker processes per side."""


class Message(NamedTuple):
    """A message in a queue."""

    body: int
    """Number of its text."""
    sent: int
    """Second at which it was sent."""
    due: int
    """Second from which it may be received; 0 for now."""
    receives: int
    """Number of receives."""


class Process(NamedTuple):
    """A worker with a message, a stalled worker (`ghost`), or a finder."""

    side: int
    role: str
    node: int
    """Number of its node, which stands for all answers so far."""
    message: Message | None
    """The message that it has not yet acknowledged."""


class State(NamedTuple):
    """One state. Numbers are those of `Services`."""

    now: int
    """Time in seconds."""
    acts: int
    """Number of acts done."""
    stores: tuple[int, int]
    tables: tuple[int, int]
    queues: tuple[tuple[Message, ...], tuple[Message, ...]]
    processes: tuple[Process, ...]
    judges: int
    faults: int
    """Faults that may still happen."""
    finders: tuple[int, int]
    """Finder runs that may still start."""
    dead: int
    """Dead letters."""


def changed(pair: tuple[T, T], side: int, value: T) -> tuple[T, T]:
    """Return the pair with another value of `side`."""
    return (value, pair[1]) if side == 0 else (pair[0], value)


def queue_of(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return a queue of these messages. A queue has no order, so the messages are sorted to make equal queues equal."""
    return tuple(sorted(messages))


def in_order(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Return the processes in a canonical order."""
    return tuple(sorted(processes, key=lambda p: p[:3])) if len(processes) > 1 else processes
