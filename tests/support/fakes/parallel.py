"""Run independent calls one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Serial:
    """`dualsync.runtime.ports.Parallel` for a deterministic driver."""

    async def map(self, function: Callable[[T], Awaitable[U]], items: Sequence[T], limit: int) -> list[U]:
        return [await function(item) for item in items]
