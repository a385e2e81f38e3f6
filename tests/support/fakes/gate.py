"""Provide steps at which a driver can stop a call of a fake: just before its effect and just after it.

No event loop is needed. A driver runs a coroutine with `send(None)` and receives the `Step` at which it waits. There
the driver may run others, throw an error (throttling before the effect, a lost answer after it), or kill the process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Killed(BaseException):
    """The process was killed here. `except Exception` does not catch it; further calls end before their effect."""


class Step:
    """The moment before or after one kind of call. `await` passes it to the driver, any number of times."""

    __slots__ = ("after", "call", "seconds")

    def __init__(self, call: str, after: bool, seconds: float = 0.0) -> None:
        self.call = call
        self.after = after
        self.seconds = seconds

    def __await__(self) -> Generator[Step, None, None]:
        yield self

    def __repr__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.call}"


class _Open:
    """A step at which no test stops."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return iter(())


Pair = tuple[Awaitable[None], Awaitable[None]]
Gate = Callable[[str], Pair]
"""Function from a call's name (`remote.put`) to its two steps, called once per fake and not at each call."""

_OPEN: Any = (_Open(), _Open())


def open_gate(call: str) -> Pair:
    """Return steps that never stop, for tests without a driver."""
    return _OPEN  # type: ignore[no-any-return]


def stepping_gate(call: str) -> Pair:
    """Return steps that stop at each call, for a driver."""
    before: Any = Step(call, False)
    after: Any = Step(call, True)
    return before, after


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end without stopping."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def kill(coroutine: Coroutine[Any, Any, Any]) -> None:
    """End `coroutine` at its current step without any further effect."""
    for _ in range(1000):
        try:
            coroutine.throw(Killed())
        except (Killed, StopIteration):
            return
        except BaseException:  # errors of its clean-up are ignored
            return
    raise AssertionError("the coroutine continues after it was killed: it catches BaseException in a loop")
