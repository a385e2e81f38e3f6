"""Whether the services answer, as the worker meets them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """How many looks in a row ended without an answer from a service; kept by the worker, read by the loop."""

    troubles: int = 0

    def good(self) -> None:
        self.troubles = 0

    def bad(self) -> None:
        self.troubles += 1
