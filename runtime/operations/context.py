"""What an operator works with: both sides, reached with the operator's own credentials, behind typed interfaces.

The interfaces that a worker uses too are in `dualsync.runtime.ports`. Those here are the operator's. Each has one fake
in `tests/support/operator_harness.py`.
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
    """Messages of a queue, as SQS counts them (approximately)."""

    visible: int = 0
    """Waiting to be received."""
    in_flight: int = 0
    """Received and not deleted yet."""
    delayed: int = 0
    """Sent with a delay that has not passed."""

    @property
    def total(self) -> int:
        """All messages that are not done."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, held by this receiver for a while."""

    id: str
    """SQS's message id."""
    body: str
    """The message."""
    handle: str
    """Receipt handle."""
    reason: str = ""
    """Why a worker gave it up; empty when SQS moved it."""
    sent: float = 0.0
    """When it was sent, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker."""

    version_id: str
    """S3's id."""
    modified: int
    """When it was written, seconds since the epoch."""
    etag: str = ""
    """Empty for a delete marker."""
    size: int = 0
    """Bytes."""
    latest: bool = False
    """Whether it is the current version."""
    marker: bool = False
    """Whether it is a delete marker."""


@dataclass(frozen=True, slots=True)
class DeletedObject:
    """A key under a delete marker, and the version that the marker covers."""

    key: str
    """Relative to the prefix."""
    deleted: int
    """When the marker was written, seconds since the epoch."""
    version_id: str
    """The covered version."""
    etag: str
    """Its ETag."""
    size: int
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A dedicated user's access key. The secret part is never read."""

    id: str
    """AKIA…"""
    created: int
    """Seconds since the epoch."""
    active: bool = True
    """Whether it is accepted."""


@dataclass(frozen=True, slots=True)
class ExpectedUser:
    """What the secret in a side's account states about the peer's user or role."""

    key_id: str
    """The access key that the workers write with; empty if it is a role."""
    user_id: str
    """The user that the key must belong to (AIDA…), or the role (AROA…)."""
    problem: str = ""
    """What is wrong with the secret's text; empty for nothing."""
    role_arn: str = ""
    """The role as which the workers write; empty if it is a user."""


class DeadLetterQueue(Protocol):
    """The dead-letter queue."""

    async def hold(self, limit: int, seconds: int) -> Sequence[Letter]:
        """Receive at most 10 letters and hide them for `seconds`; none when all are held or there is none."""

    async def release(self, letters: Sequence[Letter]) -> None:
        """End the hiding."""

    async def remove(self, letters: Sequence[Letter]) -> None:
        """Delete them."""


class Store(Protocol):
    """The side's bucket as a user works with it. What is written here is a user's write, and travels."""

    async def keeps_versions(self) -> bool:
        """Return whether the bucket keeps versions."""

    async def versions(self, key: str, limit: int = 20) -> Sequence[Version]:
        """Return the versions, newest first; without versioning the object alone."""

    def deleted_objects(self, prefix: str, since: float, until: float) -> AsyncIterator[Sequence[DeletedObject]]:
        """Yield keys whose latest version is a delete marker of that time; none without versioning."""

    async def rewrite_as_user(
        self, source: str, etag: str, target: str, *, version_id: str = "", over: str = ""
    ) -> str:
        """Copy `source` (which must have `etag`) to `target` as a user's version, without a stamp; return its ETag.

        Everything else that the product carries is kept. `over` is the ETag that the target must have; empty: it must
        not exist. Raises `PreconditionFailedError`.
        """


class SideMetrics(Protocol):
    """What the side's services count. None: this operator may not read it, or there is none."""

    async def queue_depth(self) -> Depth:
        """Return the messages of the queue."""

    async def dead_letter_depth(self) -> Depth:
        """Return the messages of the dead-letter queue."""

    async def oldest_age(self) -> float | None:
        """Return the age of the oldest message in seconds."""

    async def group_sizes(self) -> tuple[int, int] | None:
        """Return the instances of the workers' group: wanted, in service."""

    async def access_keys(self) -> Sequence[AccessKey] | None:
        """Return the keys of the side's dedicated user."""

    async def delete_key(self, id: str) -> None:
        """Delete an access key of the side's dedicated user."""

    async def expected_user(self) -> ExpectedUser | None:
        """Return what the secret states about the peer's user; None also while there is no secret."""

    async def metric_sums(self, metrics: Sequence[str], since: float, until: float) -> Mapping[str, float] | None:
        """Return the sum of each of the side's own metrics over a period (seconds since the epoch)."""


class History(Protocol):
    """The side's logs."""

    async def decisions(self, key: str, since: float, limit: int = 20) -> Sequence[Mapping[str, Any]] | None:
        """Return the outcomes of `key`, newest last; None when the logs can't be read."""

    async def outcomes(
        self, outcomes: Sequence[str], since: float, until: float, limit: int
    ) -> Sequence[Mapping[str, Any]] | None:
        """Return lines with one of these outcomes, oldest first; None when the logs can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side as the operator reaches it."""

    name: SideName
    """cn or global."""
    settings: Settings
    """The settings of its workers."""
    bucket: Bucket
    """Its bucket below the prefix."""
    whole_bucket: Bucket
    """The same bucket without the prefix."""
    ledger: Ledger
    """Its ledger."""
    queue: Queue
    """Its queue."""
    dead_letter_queue: DeadLetterQueue
    """Its dead letters."""
    store: Store
    """Its bucket's versions, and writes of the operator."""
    metrics: SideMetrics
    """What its services count."""
    history: History
    """Its logs."""
    lister: BucketLister
    """Its bucket as a comparison reads it."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Outputs of its stack."""

    @property
    def direction(self) -> str:
        """The direction that this side's workers carry: `cn->global`."""
        return f"{self.name}->{self.name.peer}"

    async def scope(self) -> KeyFilter:
        """Read which keys are synchronised from the prefix-list file. Raises `FatalError` when it cannot be read."""
        return await PrefixList(self.whole_bucket, self.settings.prefix_list_file).read()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorContext:
    """Both sides (or the one that is deployed or reachable), and who works with them."""

    pair: str
    """The pair's name."""
    sides: Mapping[SideName, Side]
    """The sides that can be reached."""
    clock: Clock
    """The time."""
    parallel: Parallel
    """How independent calls are run."""
    operator_arns: str
    """The operator, for the audit trail: one ARN per account."""
    unreachable: Mapping[SideName, str] = field(default_factory=dict)
    """Deployed sides that cannot be reached: why, and what to do."""
    unavailable: frozenset[SideName] = frozenset()
    """Those of them that did not answer, and may do so later. The others need another sign-in or setting."""
    notes: Sequence[str] = ()
    """What the operator should know about the pair's description."""

    @property
    def name(self) -> str:
        """The operator's name for colleagues: the last part of the ARN, once if it is the same on both sides."""
        return " / ".join(dict.fromkeys(arn.rsplit(":", 1)[-1] for arn in self.operator_arns.split(" / ")))

    @property
    def carriers(self) -> list[Side]:
        """The sides whose changes are copied: of a one-way pair the source alone."""
        return [side for side in self.sides.values() if side.settings.carries]

    @property
    def one_way(self) -> str:
        """The only direction that is copied, as `cn->global`; empty for a two-way pair."""
        source = next((side.settings.direction.source for side in self.sides.values()), None)
        return "" if source is None else f"{source}->{source.peer}"

    def both(self) -> tuple[Side, Side]:
        """Return cn and global. Raises `FatalError` when one is not deployed or cannot be reached."""
        for name in SideName:
            if name not in self.sides:
                raise FatalError(
                    self.unreachable.get(name)
                    or f"side {name} is not deployed, or its stack was not found: run `pulumi up` of its stack, or give"
                    f" --stack-{name}"
                )
        return self.sides[SideName.CN], self.sides[SideName.GLOBAL]

    def now(self) -> int:
        """Return the time in whole seconds since the epoch."""
        return int(self.clock.now())
