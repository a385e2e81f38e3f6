"""Provide an event loop whose time passes at once, for code that waits and uses no sockets."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run_at_once(main: Coroutine[Any, Any, T]) -> T:
    """Run `main`; whenever all tasks wait, move the time to the next wake-up."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
