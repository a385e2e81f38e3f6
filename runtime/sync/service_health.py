"""Whether the services answer, as the worker meets them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """How many looks in a row ended without an answer from a service, and what the last of them met; kept by the
    worker, read by the loop. A refusal is an answer."""

    troubles: int = 0
    last: str = ""

    def good(self) -> None:
        self.troubles = 0

    def bad(self, why: str) -> None:
        self.troubles += 1
        self.last = why
