"""Count requests that no service answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ServiceHealth:
    """How many looks in a row ended without an answer from a service, and what the last of them met; kept by the
    worker, read by the loop. A refusal is an answer."""

    failures_in_a_row: int = 0
    last_failure: str = ""

    def record_answer(self) -> None:
        self.failures_in_a_row = 0

    def record_no_answer(self, why: str) -> None:
        self.failures_in_a_row += 1
        self.last_failure = why
