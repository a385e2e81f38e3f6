"""Whether the services answer, and whether they refuse every key alike, as the worker meets them.

The handler records what each key met. `dualsync.runtime.service.circuit_breaker` reads it and decides whether the
worker receives.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from dualsync.runtime.ports import Bucket, Ledger

PROBE_KEY = "dualsync-probe"
"""Key that a probe reads. It need not exist."""
REFUSED_KEYS = 8
"""Keys that are refused for a reason that holds for every key, until no key is tried any more."""
MAX_KEYS = 10_000
"""Keys without an answer that are remembered with the time of their first failure, oldest dropped first."""


@dataclass(slots=True)
class ServiceHealth:
    """What the requests of one process met lately."""

    failures_in_a_row: int = 0
    """Requests without an answer since the last answer. A refusal is an answer."""

    last_failure: str = ""
    """Text of the last failure."""

    failed_keys: set[str] = field(default_factory=set)
    """The keys of these failures: one key that never gets an answer says little about the service."""

    refused_keys: set[str] = field(default_factory=set)
    """Keys that were refused for a reason that holds for every key, since the last content was copied."""

    refusals: int = 0
    """Number of such refusals since the process started."""

    last_refusal: str = ""
    """Text of the last one."""

    failing_since: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Seconds since the epoch at which each key first got no answer, until it gets one."""

    @property
    def refuses_every_key(self) -> bool:
        """True while several keys in a row were refused for a reason that holds for every key."""
        return len(self.refused_keys) >= REFUSED_KEYS

    def record_answer(self, key: str = "", *, copied: bool = False) -> None:
        """Record that a service answered for `key`; `copied`: content was read on one side and written on the other."""
        self.failures_in_a_row = 0
        self.failed_keys.clear()
        self.failing_since.pop(key, None)
        if copied:
            self.refused_keys.clear()

    def record_no_answer(self, why: str, key: str = "", now: float = 0.0) -> float:
        """Record that no service answered for `key`, and return since when that is so, in seconds since the epoch."""
        self.failures_in_a_row += 1
        self.last_failure = why
        if len(self.failed_keys) < MAX_KEYS:
            self.failed_keys.add(key)
        since = self.failing_since.setdefault(key, now)
        if len(self.failing_since) > MAX_KEYS:
            self.failing_since.popitem(last=False)
        return since

    def record_refusal(self, why: str, key: str) -> None:
        """Record that `key` was refused for a reason that holds for every key."""
        self.refusals += 1
        self.last_refusal = why
        if len(self.refused_keys) < MAX_KEYS:
            self.refused_keys.add(key)


async def probe(local: Bucket, remote: Bucket, ledger: Ledger) -> None:
    """Read one key of both buckets and of the ledger. Raises what the first service that fails raises."""
    await remote.head(PROBE_KEY)
    await local.head(PROBE_KEY)
    await ledger.get(PROBE_KEY)
