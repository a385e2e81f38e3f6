"""Provide both sides in memory: buckets, queues and ledgers, and the workers and finders that use them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import fields
from random import Random
from typing import Any, Protocol, TypeVar

from dualsync.runtime.app.finder import MAX_CREDENTIAL_TRIES
from dualsync.runtime.errors import CredentialRejectedError
from dualsync.runtime.finder.checkpoint import CHECKPOINT_INTERVAL_SECONDS
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.model.records import CONTROL, CONTROLS_ID, FINDER_POINTS, Record
from dualsync.runtime.ports import Parallel
from dualsync.runtime.service.peer_credential import (
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    GuardStatus,
    wait_for_peer,
)
from dualsync.runtime.settings import ConflictPolicy, OnLifecycleExpiry, Settings, SideName, variable
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.transfer.copier import Copier
from dualsync.runtime.transfer.stale_uploads import StaleUploadSweep
from tests.simulation.histories.plan import KEYS, SIDES, Modes
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import Gate
from tests.support.fakes.identity import Accounts, FakeCredential, Vault, keyed
from tests.support.fakes.ledger import FakeLedger, Table
from tests.support.fakes.parallel import Serial
from tests.support.fakes.queue import Broker, FakeMessage, FakeQueue
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning
from tests.support.handlers import handler_of

REGIONS = {"cn": "cn-north-1", "global": "us-west-2"}
DEDICATED = {"cn": "AIDADEDICATEDUSERCN00", "global": "AIDADEDICATEDUSERGL00"}
ROLES = {"cn": "AROAWORKERROLEOFCN000", "global": "AROAWORKERROLEOFGL000"}
USERS = {"cn": "AIDAUSEROFCN000000000", "global": "AIDAUSEROFGLOBAL00000"}
PEER = {"cn": "global", "global": "cn"}
PART = 8
"""Bytes per part if `Modes.parts` is set. S3's minimum (5 MiB) would only cost time."""
VISIBILITY = next(int(str(f.default)) for f in fields(Settings) if f.name == "visibility_seconds")
"""Seconds for which a received message is hidden; a worker extends them while it processes the message."""


T = TypeVar("T")


class Processor(Protocol):
    """The part of a worker that a driver calls."""

    def process(self, message: FakeMessage) -> Coroutine[Any, Any, None]: ...


class Searcher(Protocol):
    """The part of a finder that a driver calls."""

    def run(self) -> Coroutine[Any, Any, Any]: ...


class Silent:
    """A `dualsync.runtime.log.Log` that drops all lines or, with `lines`, appends them there."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[str] | None = None) -> None:
        self.lines = lines

    def line(self, level: str, event: str, **fields: object) -> None:
        if self.lines is not None:
            self.lines.append(f"{event} " + " ".join(f"{k}={v}" for k, v in fields.items() if v is not None))


class SimulatedWorld:
    """Both sides of a pair over the fakes."""

    def __init__(self, modes: Modes, random: Random, gate: Gate, *, stop_clock: bool = True) -> None:
        self.modes = modes
        self.time = Time()
        self.gate = gate
        self.stop_clock = stop_clock
        self.stores = {
            side: Store(
                f"bucket-{side}",
                REGIONS[side],
                self.time,
                versioning=Versioning(modes.versioning[i]),
                kms=modes.kms[i],
                skew=modes.service_skew if side == "global" else 0.0,
                random=random,
            )
            for i, side in enumerate(SIDES)
        }
        self.brokers = {side: Broker(self.time, random=random, visibility=VISIBILITY) for side in SIDES}
        self.tables = {side: Table() for side in SIDES}
        if modes.ranges:
            for table in self.tables.values():
                points = Record(FINDER_POINTS, "last", 0, data={"points": sorted(KEYS)})
                table.records[points.kind, points.id] = points
        self.settings = {side: settings(modes, side) for side in SIDES}
        self.log = Silent()
        self.accounts = {side: Accounts(self.time) for side in SIDES}
        self.vaults = {side: Vault() for side in SIDES}
        self.keys = dict.fromkeys(SIDES, "")
        self.paused: set[str] = set()
        for side in SIDES:
            self.rekey(side)
        self.connected = True
        """True while the machines that are created have their key from the start; later ones read it first."""
        self.made: FakeCredential | None = None
        """The credential of the machine that was created last."""
        for store in self.stores.values():
            store.marker_removal_raises_event = not modes.silent_undelete
            store.absent_delete_is_404 = not modes.absent_204
            store.spent_by_412 = not modes.absent_204
            store.md5_etags = modes.md5_etags
            store.precedes_by_start = modes.uploads_by_start

    @property
    def carriers(self) -> list[str]:
        """Return the sides with workers and a finder, which in a one-way pair is the source alone."""
        return [side for side in SIDES if self.settings[side].carries]

    def prefix(self, side: str) -> str:
        """Return the side's prefix, under which keys are synced."""
        return self.modes.prefix[SIDES.index(side)]

    def relative(self, side: str, key: str) -> str | None:
        """Return the key without the side's prefix; None outside the prefix."""
        prefix = self.prefix(side)
        return key[len(prefix) :] if key.startswith(prefix) and key != prefix else None

    def rekey(self, side: str, known_in: float = 0.0) -> None:
        """Put a new key of the peer's user into this side's secret; STS accepts it after `known_in` seconds."""
        peer = PEER[side]
        self.keys[side] = self.accounts[peer].create(DEDICATED[peer], known_in)
        self.vaults[side].put(self.keys[side], DEDICATED[peer])

    def revoke(self, side: str) -> None:
        """Delete the key that this side's machines use."""
        self.accounts[PEER[side]].delete(self.keys[side])

    def swap(self, side: str) -> None:
        """Delete the key in use, and put another user's key into the secret, as an operator might by mistake."""
        self.revoke(side)
        self.vaults[side].put(self.accounts[PEER[side]].create(USERS[PEER[side]]), DEDICATED[PEER[side]])

    def pause(self, side: str) -> None:
        """Pause the direction, so that the worker receives nothing and the finder queues nothing."""
        self.paused.add(side)
        orders = Record(CONTROL, CONTROLS_ID, int(self.time.now), data={"paused": True})
        self.tables[side].records[orders.kind, orders.id] = orders

    def resume(self, side: str) -> None:
        """Resume the direction."""
        self.paused.discard(side)
        self.tables[side].records.pop((CONTROL, CONTROLS_ID), None)

    def _by_dedicated_user(self, credential: FakeCredential, peer: str) -> None:
        if credential.principal() != DEDICATED[peer]:
            raise AssertionError(f"{peer}'s bucket is used with the key of {credential.principal()}")

    def context(self, side: str) -> SyncContext:
        """Return the context of a machine of `side`, with its own clients."""
        peer = PEER[side]
        s = self.settings[side]
        gate, page = self.gate, self.modes.page
        key_id = self.keys[side] if self.connected else ""
        credential = FakeCredential(self.vaults[side], self.accounts[peer], gate=gate, key_id=key_id)
        self.made = credential
        remote_gate = keyed(gate, lambda: self._by_dedicated_user(credential, peer))
        clock = FakeClock(self.time, self.modes.worker_skew, stop=self.stop_clock)
        ledger = FakeLedger(self.tables[side], gate=gate)
        return SyncContext(
            settings=s,
            clock=clock,
            local=FakeBucket(
                self.stores[side], f"{ROLES[side]}:i-0", prefix=s.local_prefix, name="local", gate=gate, page=page
            ),
            remote=FakeBucket(
                self.stores[peer], DEDICATED[peer], prefix=s.remote_prefix, name="remote", gate=remote_gate, page=page
            ),
            ledger=ledger,
            queue=FakeQueue(self.brokers[side], gate=gate),
            copier=Copier(
                threshold=s.multipart_threshold,
                part_size=s.part_size,
                giant=s.giant_threshold,
                part_request_bytes=PART,
                md5_bytes=0,
                parallel=Serial(),
                ledger=ledger,
                clock=clock,
            ),
            principals=Principals(frozenset((DEDICATED[side],)), ROLES[side]),
            authenticator=Authenticator(f"queue-{side}", f"secret of {peer}'s user"),
            log=self.log,
        )


MakeWorker = Callable[[SimulatedWorld, str], Processor]
MakeFinder = Callable[[SimulatedWorld, str], Searcher]


async def handle(world: SimulatedWorld, worker: Processor, credential: FakeCredential, message: FakeMessage) -> None:
    """Process a message as `dualsync.runtime.service.consumer` does: a rejected credential costs no receive."""
    while True:
        try:
            await worker.process(message)
            return
        except CredentialRejectedError:
            await reconnect(world, credential)


async def reconnect(world: SimulatedWorld, credential: FakeCredential) -> None:
    """Connect once, however many messages of a machine ask for it, as the consumer does."""
    clock = FakeClock(world.time, stop=world.stop_clock)
    if not credential.connecting:
        credential.connecting = True
        try:
            await wait_for_peer(credential, clock, world.log)
        finally:
            credential.connecting = False
    else:
        pause = FIRST_WAIT_SECONDS
        while credential.connecting:
            await clock.sleep(pause)
            pause = min(MAX_WAIT_SECONDS, pause * 2)


def equip(world: SimulatedWorld, make: Callable[[SimulatedWorld, str], T], side: str) -> tuple[T, FakeCredential]:
    """Return a worker or finder, and the credential of its calls to the peer."""
    made = make(world, side)
    assert world.made is not None
    return made, world.made


async def find(world: SimulatedWorld, make: MakeFinder, side: str) -> bool:
    """Run a finder as `dualsync.runtime.app.finder` does. Return False if it got no credential and did not start."""
    finder, credential = equip(world, make, side)
    clock = FakeClock(world.time, stop=world.stop_clock)
    if await wait_for_peer(credential, clock, world.log, tries=MAX_CREDENTIAL_TRIES) is not GuardStatus.READY:
        return False
    await finder.run()
    return True


def real_worker(world: SimulatedWorld, side: str) -> Processor:
    """Return the worker of the product."""
    return handler_of(world.context(side))


def real_finder(world: SimulatedWorld, side: str) -> Searcher:
    """Return the finder of the product."""
    return finder_of(world.context(side), 0.0 if world.modes.ranges else CHECKPOINT_INTERVAL_SECONDS)


def finder_of(
    c: SyncContext, checkpoint_seconds: float = CHECKPOINT_INTERVAL_SECONDS, parallel: Parallel | None = None
) -> Finder:
    """Return a finder with the adapters of a worker's context, by default with its ranges one after the other."""
    return Finder(
        settings=c.settings,
        clock=c.clock,
        local=c.local,
        remote=c.remote,
        ledger=c.ledger,
        queue=c.queue,
        authenticator=c.authenticator,
        parallel=parallel or Serial(),
        log=c.log,
        checkpoint_seconds=checkpoint_seconds,
    )


def sweep_of(c: SyncContext, initiator: str, by_worker: Callable[[str], bool]) -> StaleUploadSweep:
    """Return the sweep of stale uploads that ends a finder run, with the adapters of a worker's context."""
    return StaleUploadSweep(
        clock=c.clock,
        local=c.local,
        remote=c.remote,
        ledger=c.ledger,
        log=c.log,
        initiator=initiator,
        by_worker=by_worker,
    )


def settings(modes: Modes, side: str) -> Settings:
    """Return the settings that the component would deploy, with parts of a few bytes if the mode `parts` is set."""
    s = Settings(
        pair="p",
        side=SideName(side),
        local_bucket=f"bucket-{side}",
        local_region=REGIONS[side],
        remote_bucket=f"bucket-{PEER[side]}",
        remote_region=REGIONS[PEER[side]],
        queue_url="queue",
        dead_letter_queue_url="dead",
        ledger_table="ledger",
        peer_secret="secret",
        own_user_ids=(DEDICATED[side],),
        conflict_policy=ConflictPolicy(modes.policy),
        keep_loser=modes.keep_loser,
        on_lifecycle_expiry=OnLifecycleExpiry(modes.expiry),
        finder_grace_seconds=modes.grace,
        finder_number=max(1, modes.ranges),
        local_prefix=modes.prefix[SIDES.index(side)],
        remote_prefix=modes.prefix[SIDES.index(PEER[side])],
        local_expires=modes.expires,
        remote_expires=modes.expires,
    )
    named = [(n.split(".")[-1], v) for n, v in modes.settings if "." not in n or n.startswith(f"{side}.")]
    if named:
        environment = s.to_environment() | {variable(name): value for name, value in named}
        s = Settings.from_environment(environment)
    if modes.parts:
        object.__setattr__(s, "multipart_threshold", PART + 1)
        object.__setattr__(s, "part_size", PART)
    if modes.giants:
        object.__setattr__(s, "giant_threshold", PART + 1)
    return s
