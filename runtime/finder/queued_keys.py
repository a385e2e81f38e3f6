"""Which differences an earlier finder run has queued already, so that no run queues them again.

A difference lasts until a worker has handled its message: during a backlog or a first copy, or while its writes are
denied. Each run records a digest of every difference that it saw, and the next run queues only what is new or changed.

The digests of a few ten thousand differences fit into one record. Beyond that the times decide: a difference whose
objects and entry have all been older than the previous run was seen by that run. Memory does not grow with the buckets.

A message may be lost. Every waiting difference has a message in the queue or a dead letter, so a run that finds more
waiting differences than there are messages and dead letters queues them again (`are_lost`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import FINDER_QUEUED, LAST_ID, Record
from dualsync.runtime.ports import Ledger, QueueDepth

FORMAT = 1
"""Format of the record."""
DIGEST_BYTES = 6
"""Bytes of a digest: among 30,000 of them a difference is mistaken for another one in 10 billion cases."""
MAX_DIGESTS = 30_000
"""Digests that are recorded. In base64 they take 240 KB of the 400 KB of DynamoDB's largest item."""
MAX_DELETION_DIGESTS = 10_000
"""Those of them that are left to deletions."""
MAX_WAITING = 10_000
"""Waiting differences that a run keeps, to queue them again in the same run if their messages were lost."""
DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS
RETENTION_SECONDS = 14 * DAY_SECONDS
"""Seconds after which no message of an earlier run can exist (SQS's longest retention)."""
DRAINED_RATIO = 20
"""Differences per message that make a queue count as drained: queuing all of them again then repeats 5 % at most."""
MAX_REPEATED_DAILY = 1000
"""Differences that may be queued again daily while the queue never drains."""


def digest(pair: ListedPair, entry: LedgerEntry | None, difference: Difference) -> bytes:
    """Return the digest of a difference: another one as soon as an object or the ledger entry has changed."""
    here, there = pair.here, pair.there
    text = "\0".join(
        (
            pair.key,
            str(difference),
            f"{here.etag} {here.modified} {here.archived}" if here is not None else "",
            f"{there.etag} {there.modified} {there.archived}" if there is not None else "",
            str(entry.revision if entry is not None else 0),
        )
    )
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


def last_changed(pair: ListedPair, entry: LedgerEntry | None) -> float:
    """Return when the key's objects or its entry changed last, in seconds since the epoch."""
    times = [row.modified for row in (pair.here, pair.there) if row is not None]
    return max([*times, entry.updated] if entry is not None else times)


@dataclass(slots=True)
class QueuedKeys:
    """The differences that earlier runs queued, and those that this run sees."""

    configuration: str
    """Digest of the settings under which the differences were found. Under other settings nothing is remembered."""

    started: float
    """When this run began, in seconds since the epoch."""

    known: frozenset[bytes] = frozenset()
    """Digests of the previous run."""

    since: float = 0.0
    """Differences older than this (seconds since the epoch) were seen by the previous run; 0 if `known` is complete."""

    repeated: float = 0.0
    """When all waiting differences were queued the last time, or when none was waiting."""

    seen: set[bytes] = field(default_factory=set)
    """Digests of this run."""

    complete: bool = True
    """False when this run saw more differences than `seen` holds."""

    waiting: list[tuple[str, Difference]] = field(default_factory=list)
    """Differences that were not queued again, at most `MAX_WAITING`."""

    @classmethod
    async def load(cls, ledger: Ledger, configuration: str, now: float) -> QueuedKeys:
        """Return what the previous run has recorded under the same settings."""
        record = await ledger.get_record(FINDER_QUEUED, LAST_ID)
        data = record.data if record is not None else {}
        since, repeated = data.get("since"), data.get("repeated")
        usable = data.get("format") == FORMAT and data.get("of") == configuration and data.get("repeat") is not True
        if not usable or type(since) not in (int, float) or type(repeated) not in (int, float):
            return cls(configuration, now, repeated=now)
        try:
            text = base64.b64decode(str(data.get("digests", "")), validate=True)
        except binascii.Error:
            return cls(configuration, now, repeated=now)
        known = frozenset(text[at : at + DIGEST_BYTES] for at in range(0, len(text), DIGEST_BYTES))
        complete = data.get("complete") is True
        return cls(
            configuration,
            now,
            known,
            0.0 if complete else float(since),  # type: ignore[arg-type]
            min(float(repeated), now),  # type: ignore[arg-type]
        )

    def is_queued(self, mark: bytes, newest: float) -> bool:
        """Return True if an earlier run queued this difference. `newest`: when its objects or entry changed last.

        Either way it is remembered for the next run.
        """
        if len(self.seen) < MAX_DIGESTS - MAX_DELETION_DIGESTS:
            self.seen.add(mark)
        elif mark not in self.seen:
            self.complete = False
        return mark in self.known or newest < self.since

    def is_deletion_queued(self, key: str, difference: Difference) -> bool:
        """Return True if an earlier run queued this deletion. An absence has no time, so only its digest counts.

        Either way it is remembered for the next run, also beside more other differences than can be remembered.
        """
        text = f"{key}\0{difference}"
        mark = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()
        if len(self.seen) < MAX_DIGESTS:
            self.seen.add(mark)
        return mark in self.known

    def keep_waiting(self, key: str, difference: Difference) -> None:
        """Remember a difference that is not queued again."""
        if len(self.waiting) < MAX_WAITING:
            self.waiting.append((key, difference))

    def record(self, now: float, grace: float, *, repeat: bool) -> Record:
        """Return this run's record. `repeat`: the next run queues all differences again."""
        data: dict[str, object] = {
            "format": FORMAT,
            "of": self.configuration,
            "since": self.started - grace,
            "complete": self.complete,
            "repeated": int(self.repeated),
            "repeat": repeat,
            "digests": base64.b64encode(b"".join(sorted(self.seen))).decode(),
        }
        return Record(FINDER_QUEUED, LAST_ID, int(now), data=data)


def are_lost(waiting: int, depth: QueueDepth | None, seconds: float) -> bool:
    """Return True if messages of `waiting` differences were lost, so that all of them are queued again.

    `depth` is None if the queue's counts can't be read; `seconds` have passed since they were queued together. Every
    waiting difference is explained by a message or a dead letter. While a backlog is large, nothing is repeated: it
    explains most of them, and repeating them would double it.
    """
    if not waiting:
        return False
    if seconds >= RETENTION_SECONDS:
        return True
    if depth is None:
        return seconds >= DAY_SECONDS
    if depth.messages * DRAINED_RATIO > waiting > MAX_REPEATED_DAILY:
        return False
    if seconds >= WEEK_SECONDS:
        return True
    if waiting <= depth.dead_letters:
        return False
    return (depth.messages + depth.dead_letters) * DRAINED_RATIO <= waiting or (
        seconds >= DAY_SECONDS and waiting > depth.dead_letters
    )
