"""Stop a process at one of its calls, while others act."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from tests.support.fakes.gate import Pair


class Stalls:
    """A gate that stops the process for some seconds once, just before the answer of one call is read."""

    def __init__(self, call: str) -> None:
        self.call = call
        self.during: Callable[[], Any] = lambda: None
        self.calls: list[str] = []
        self.armed = False

    def gate(self, call: str) -> Pair:
        """Return the steps of a call, for fakes."""
        return _Moment(self, call, False), _Moment(self, call, True)


class _Moment:
    def __init__(self, stalls: Stalls, call: str, after: bool) -> None:
        self._stalls, self._call, self._after = stalls, call, after

    def __await__(self) -> Generator[Any, None, None]:
        if self._after:
            self._stalls.calls.append(self._call)
            if self._stalls.armed and self._call == self._stalls.call:
                self._stalls.armed = False
                self._stalls.during()
        yield from ()
