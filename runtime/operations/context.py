"""An operator's context: both sides, reached with the operator's own credentials, behind typed interfaces.

What a worker also uses is `dualsync.runtime.ports`; the rest is here. Each has one fake in `tests/commands`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.key_filter import KeyFilter
from dualsync.runtime.operations.verify.bucket_lister import BucketLister
from dualsync.runtime.ports import Bucket, Clock, Ledger, Parallel, Queue
from dualsync.runtime.service.prefix_list import PrefixList
from dualsync.runtime.settings import Settings, SideName


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages of a queue, as it counts them (approximately)."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0

    @property
    def total(self) -> int:
        """All that is not done."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, held by this receiver for a while. `sent` in seconds since the epoch."""

    id: str
    body: str
    handle: str
    reason: str = ""
    sent: float = 0.0


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker (without `etag`)."""

    version_id: str
    modified: int
    etag: str = ""
    size: int = 0
    latest: bool = False
    marker: bool = False


@dataclass(frozen=True, slots=True)
class DeletedObject:
    """A key under a delete marker since `deleted` (seconds since the epoch), and the version that it covers."""

    key: str
    deleted: int
    version_id: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A dedicated user's access key: its id (never its secret) and its age's start, seconds since the epoch."""

    id: str
    created: int
    active: bool = True


@dataclass(frozen=True, slots=True)
class ExpectedUser:
    """What the secret in a side's account says of the peer's user."""

    key_id: str
    user_id: str


class DeadLetterQueue(Protocol):
    """The dead-letter queue."""

    async def hold(self, limit: int, seconds: int) -> Sequence[Letter]:
        """Some letters (at most 10) that nobody else sees for `seconds`; none when all are held or there is none."""

    async def release(self, letters: Sequence[Letter]) -> None:
        """Let them be seen again at once."""

    async def remove(self, letters: Sequence[Letter]) -> None: ...


class Store(Protocol):
    """The side's bucket as a user works with it. What is written here is a user's write, and travels."""

    async def versioned(self) -> bool: ...

    async def versions(self, key: str, limit: int = 20) -> Sequence[Version]:
        """Newest first; without versioning the object alone."""

    def gone(self, prefix: str, since: float, until: float) -> AsyncIterator[Sequence[DeletedObject]]:
        """Keys whose latest version is a delete marker of that time; none without versioning."""

    async def write_again(self, source: str, etag: str, target: str, *, version_id: str = "", over: str = "") -> str:
        """Copy `source` (which must have `etag`) to `target` as a user's version, without our stamp; its new ETag.

        `over` is the ETag that the target must have, empty: it must not exist. Raises `PreconditionFailedError`.
        """


class SideMetrics(Protocol):
    """What the side's services count. Anything that this operator may not see, or that is not there, is None."""

    async def depth(self) -> Depth: ...

    async def dead(self) -> Depth: ...

    async def oldest(self) -> float | None:
        """Age in seconds of the oldest message."""

    async def group(self) -> tuple[int, int] | None:
        """Instances of the workers' group: wanted, in service."""

    async def keys(self) -> Sequence[AccessKey] | None:
        """The side's dedicated user's keys."""

    async def promise(self) -> ExpectedUser | None:
        """The secret about the peer's user; None also while there is none."""


class History(Protocol):
    """The side's logs."""

    async def decisions(self, key: str, since: float, limit: int = 20) -> Sequence[Mapping[str, Any]] | None:
        """Outcomes of `key`, newest last; None when the logs can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side as the operator reaches it."""

    name: SideName
    settings: Settings
    bucket: Bucket
    whole: Bucket
    """The same without its prefix."""
    ledger: Ledger
    queue: Queue
    dead_letter_queue: DeadLetterQueue
    store: Store
    metrics: SideMetrics
    history: History
    lister: BucketLister
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def direction(self) -> str:
        """What this side's workers carry: `cn->global`."""
        return f"{self.name}->{self.name.peer}"

    async def scope(self) -> KeyFilter:
        """The keys that are synchronised, as the prefix-list file says now. Raises `FatalError` when it says
        nothing."""
        return await PrefixList(self.whole, self.settings.prefix_list_file).read()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorContext:
    """Both sides (or the one that is deployed), the operator's name for the audit trail, the time, and how calls are
    run beside each other."""

    pair: str
    sides: Mapping[SideName, Side]
    clock: Clock
    parallel: Parallel
    who: str

    @property
    def name(self) -> str:
        """The operator's name for colleagues: the last part of who they are, once if it is the same on both sides."""
        return " / ".join(dict.fromkeys(arn.rsplit(":", 1)[-1] for arn in self.who.split(" / ")))

    def both(self) -> tuple[Side, Side]:
        """cn and global. Raises `FatalError` when one is not deployed."""
        missing = [str(name) for name in SideName if name not in self.sides]
        if missing:
            raise FatalError(
                f"side {missing[0]} is not deployed, or its stack was not found: deploy it, or give its stack"
            )
        return self.sides[SideName.CN], self.sides[SideName.GLOBAL]

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock.now())
