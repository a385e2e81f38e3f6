"""Provide the command line over fakes: both sides in memory, and workers that run on demand."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from typer.testing import CliRunner

from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import Session
from dualsync.runtime.errors import AccessDeniedError, PreconditionFailedError
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.operations.aws.absent import without_absent_parts
from dualsync.runtime.operations.context import (
    AccessKey,
    DeletedObject,
    Depth,
    ExpectedUser,
    Letter,
    OperatorContext,
    Side,
    Version,
)
from dualsync.runtime.operations.stacks import PairLocation
from dualsync.runtime.operations.verify.bucket_lister import Item, ObjectFacts
from dualsync.runtime.service.heartbeat import HeartbeatLog
from dualsync.runtime.settings import Direction, Settings, SideName
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.handler import MessageHandler
from dualsync.runtime.transfer.copier import Copier
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.notification import body
from tests.support.fakes.parallel import Serial
from tests.support.fakes.queue import Broker, FakeQueue
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning
from tests.support.handlers import handler_of
from tests.unit.runtime.service.test_operator_controls import Lines

OPERATOR = "AIDAOPERATOR"
USER = "AIDAUSER"
IDS = {SideName.CN: "AIDACN", SideName.GLOBAL: "AIDAGLOBAL"}
REGIONS = {SideName.CN: "cn-north-1", SideName.GLOBAL: "us-west-2"}


def settings(side: SideName, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "pair": "p",
        "side": side,
        "local_bucket": f"bucket-{side}",
        "local_region": REGIONS[side],
        "remote_bucket": f"bucket-{side.peer}",
        "remote_region": REGIONS[side.peer],
        "queue_url": f"https://queue.{side}",
        "dead_letter_queue_url": f"https://dead.{side}",
        "ledger_table": f"ledger-{side}",
        "peer_secret": "secret",
        "own_user_ids": (IDS[side],),
    }
    values |= more
    direction = values.get("direction", Direction.BOTH)
    if not direction.carries(side):
        values |= dict.fromkeys(("queue_url", "dead_letter_queue_url", "ledger_table", "peer_secret"), "")
    if not direction.receives(side):
        values["own_user_ids"] = ()
    return Settings(**values)


class FakeDeadLetterQueue:
    """The dead letters of a `Broker`."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.held: dict[str, float] = {}
        self._ids: dict[int, str] = {}

    async def hold(self, limit: int, seconds: int) -> Sequence[Letter]:
        now = self.broker.time.now
        found: list[Letter] = []
        for number, (text, reason) in enumerate(self.broker.dead):
            id = f"{number}-{hash((text, reason))}"
            if self.held.get(id, 0) <= now and len(found) < min(limit, 10):
                self.held[id] = now + seconds
                found.append(Letter(id, text, id, "" if reason == "received too often" else reason, now))
        return found

    async def release(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.held.pop(letter.id, None)

    async def remove(self, letters: Sequence[Letter]) -> None:
        gone = {letter.id for letter in letters}
        # Positions are part of the ids, so a removed letter is replaced instead of deleted.
        for number, (text, reason) in enumerate(self.broker.dead):
            if f"{number}-{hash((text, reason))}" in gone:
                self.broker.dead[number] = ("", "removed")
                self.held[f"{number}-{hash(('', 'removed'))}"] = float("inf")

    @property
    def left(self) -> list[str]:
        return [text for text, reason in self.broker.dead if reason != "removed"]


class FakeUserStore:
    """The operator's own writes to a `Store`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def keeps_versions(self) -> bool:
        return self.store.versioning is Versioning.ENABLED

    async def versions(self, key: str, limit: int = 20) -> Sequence[Version]:
        kept = self.store.keys.get(key, [])
        found = [
            Version(v.version_id, v.seen.modified, v.seen.etag, v.seen.size, number == len(kept) - 1, v.marker)
            for number, v in enumerate(kept)
        ]
        return found[::-1][:limit]

    async def deleted_objects(self, prefix: str, since: float, until: float) -> AsyncIterator[Sequence[DeletedObject]]:
        found: list[DeletedObject] = []
        for key, kept in sorted(self.store.keys.items()):
            versions = [version for version in kept if not version.marker]
            if key.startswith(prefix) and kept and kept[-1].marker and versions:
                seen, deleted = versions[-1].seen, kept[-1].seen.modified
                if since <= deleted < until:
                    found.append(DeletedObject(key, deleted, versions[-1].version_id, seen.etag, seen.size))
        yield found

    async def rewrite_as_user(
        self, source: str, etag: str, target: str, *, version_id: str = "", over: str = ""
    ) -> str:
        version = self.store.version(source, version_id) if version_id else self.store.current(source)
        if version is None or version.seen.etag != etag:
            raise PreconditionFailedError("source")
        there = self.store.current(target)
        if (there.seen.etag if there else "") != over:
            raise PreconditionFailedError("target")
        written = self.store.put(target, version.body, OPERATOR, version.seen.attributes, event="ObjectCreated:Copy")
        return written.etag


@dataclass
class FakeSideMetrics:
    """Metrics that a test sets, and the counts of the `Broker`."""

    broker: Broker
    letters: FakeDeadLetterQueue
    age: float | None = None
    sizes: tuple[int, int] | None = (1, 1)
    access: Sequence[AccessKey] | None = ()
    promised: ExpectedUser | None = None
    counted: Mapping[str, float] | None = field(default_factory=dict)

    async def metric_sums(self, metrics: Sequence[str], since: float, until: float) -> Mapping[str, float] | None:
        return self.counted

    async def queue_depth(self) -> Depth:
        now = self.broker.time.now
        letters = self.broker.letters.values()
        delayed = sum(x.visible > now and not x.receives for x in letters)
        hidden = sum(x.visible > now and x.receives > 0 for x in letters)
        return Depth(len(self.broker.letters) - delayed - hidden, hidden, delayed)

    async def dead_letter_depth(self) -> Depth:
        return Depth(len(self.letters.left))

    async def oldest_age(self) -> float | None:
        return self.age

    async def group_sizes(self) -> tuple[int, int] | None:
        return self.sizes

    async def access_keys(self) -> Sequence[AccessKey] | None:
        return self.access

    async def delete_key(self, id: str) -> None:
        self.access = [key for key in self.access or () if key.id != id]

    async def expected_user(self) -> ExpectedUser | None:
        return self.promised


@dataclass
class FakeHistory:
    """Log lines that a test sets."""

    lines: list[Mapping[str, Any]] = field(default_factory=list)
    hidden: bool = False

    async def decisions(self, key: str, since: float, limit: int = 20) -> Sequence[Mapping[str, Any]] | None:
        return [line for line in self.lines if line.get("key") == key][-limit:]

    async def outcomes(
        self, outcomes: Sequence[str], since: float, until: float, limit: int
    ) -> Sequence[Mapping[str, Any]] | None:
        return None if self.hidden else [line for line in self.lines if line.get("outcome") in outcomes][:limit]


class FakeBucketLister:
    """The store as `verify` lists it. A test sets tags in `tagged` and keys without access in `denied`."""

    def __init__(self, store: Store, page: int = 7) -> None:
        self.store = store
        self.page = page
        self.tagged: dict[str, dict[str, str]] = {}
        self.denied: set[str] = set()
        self.read = 0

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Item]]:
        rows = [row for row in self.store.rows(limit=10**9) if row.key.startswith(prefix)]
        for start in range(0, len(rows), self.page):
            chosen = rows[start : start + self.page]
            yield [Item(row.key, row.size, row.etag, row.modified) for row in chosen]

    async def facts(self, key: str) -> ObjectFacts | None:
        if key in self.denied:
            raise AccessDeniedError(f"s3 HeadObject {key}: AccessDenied (403)")
        version = self.store.current(key)
        if version is None:
            return None
        seen = version.seen
        metadata = {f"x-amz-meta-{name}": value for name, value in seen.attributes.metadata}
        return ObjectFacts(seen.etag, seen.size, {"ContentType": seen.attributes.content_type, **metadata})

    async def tags(self, key: str) -> Mapping[str, str]:
        return self.tagged.get(key, {})

    async def digest(self, key: str, etag: str) -> str | None:
        version = self.store.current(key)
        if version is None or version.seen.etag != etag:
            return None
        self.read += version.seen.size
        return hashlib.sha256(version.body).hexdigest()


class Answer:
    """The exit code and output of one call of the command line."""

    def __init__(self, result: Any) -> None:
        self.code: int = result.exit_code
        self.out: str = result.stdout
        self.err: str = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def _ignore(event: object) -> None:
    """Drop an event of a bucket without a subscription."""


class Operator:
    """Both sides in memory, with workers that run on demand, and the command line."""

    def __init__(self, *, versioning: Versioning = Versioning.NEVER, **more: Any) -> None:
        self.time = Time()
        self.clock = FakeClock(self.time)
        self.stores: dict[SideName, Store] = {}
        self.brokers: dict[SideName, Broker] = {}
        self.sides: dict[SideName, Side] = {}
        self.workers: dict[SideName, MessageHandler] = {}
        self.vitals: dict[SideName, HeartbeatLog] = {}
        self.log = Lines()
        self.who = "arn:ann"
        for name in SideName:
            broker = Broker(self.time)
            self.brokers[name] = broker
            carries = more.get("direction", Direction.BOTH).carries(name)
            self.stores[name] = Store(
                f"bucket-{name}",
                REGIONS[name],
                self.time,
                versioning=versioning,
                emit=(lambda event, broker=broker: broker.send(body(event))) if carries else _ignore,  # type: ignore[misc]
            )
        for name in SideName:
            self._create_side(name, settings(name, **more))

    def _create_side(self, name: SideName, values: Settings) -> None:
        store, broker = self.stores[name], self.brokers[name]
        letters = FakeDeadLetterQueue(broker)
        ledger, queue = FakeLedger(), FakeQueue(broker)
        user = values.direction.receives(name)
        side = Side(
            name=name,
            settings=values,
            bucket=FakeBucket(store, OPERATOR, prefix=values.local_prefix),
            whole_bucket=FakeBucket(store, OPERATOR),
            ledger=ledger,
            queue=queue,
            dead_letter_queue=letters,
            store=FakeUserStore(store),
            metrics=FakeSideMetrics(
                broker,
                letters,
                access=[AccessKey("AKIAPEER", int(self.time.now))],
                promised=ExpectedUser("AKIAPEER", IDS[name.peer]),
            ),
            history=FakeHistory(),
            lister=FakeBucketLister(store),
            facts={"userId": IDS[name], "userName": f"user-{name}"} if user else {"userId": "", "userName": ""},
        )
        self.sides[name] = without_absent_parts(side)
        vitals = HeartbeatLog(self.log, self.clock, f"worker-{name}")
        vitals.guard = IDS[name.peer]
        vitals.line("INFO", "state", state="RUNNING")
        self.vitals[name] = vitals
        context = SyncContext(
            settings=values,
            clock=self.clock,
            local=FakeBucket(store, "AROAWORKER:i-1"),
            remote=FakeBucket(self.stores[name.peer], IDS[name.peer], name="remote"),
            ledger=ledger,
            queue=queue,
            copier=Copier(threshold=16 << 20, part_size=8 << 20, parallel=Serial(), ledger=ledger, clock=self.clock),
            principals=Principals(frozenset(values.own_user_ids), "AROAWORKER"),
            authenticator=Authenticator(values.queue_url, "secret"),
            log=vitals,
        )
        self.workers[name] = handler_of(context)

    @property
    def cn(self) -> Side:
        return self.sides[SideName.CN]

    @property
    def global_(self) -> Side:
        return self.sides[SideName.GLOBAL]

    def put(self, side: SideName, key: str, content: bytes = b"hello") -> None:
        self.stores[side].put(key, content, USER)

    def delete(self, side: SideName, key: str) -> None:
        self.stores[side].delete(key, USER)

    def content(self, side: SideName, key: str) -> bytes | None:
        version = self.stores[side].current(key)
        return None if version is None else version.body

    async def work(self, *sides: SideName, rounds: int = 30) -> None:
        """Process messages until the queues are empty, and move the time past delays."""
        names = sides or tuple(SideName)
        for _ in range(rounds):
            for name in names:
                for message in self.brokers[name].receive(10):
                    await self.workers[name].process(message)
            if not any(self.brokers[name].letters for name in names):
                return
            self.time.now += 20

    def settle(self, *sides: SideName) -> None:
        asyncio.run(self.work(*sides))

    async def heartbeat(self) -> None:
        for name, vitals in self.vitals.items():
            await vitals.write(self.sides[name].ledger)

    def context(self, *names: SideName, unreachable: Mapping[SideName, str] | None = None) -> OperatorContext:
        wanted = names or tuple(SideName)
        return OperatorContext(
            pair="p",
            sides={n: self.sides[n] for n in wanted},
            clock=self.clock,
            parallel=Serial(),
            operator_arns=self.who,
            unreachable=unreachable or {},
        )

    def change(self, side: SideName, **more: Any) -> None:
        self.sides[side] = replace(self.sides[side], **more)

    def call(self, *arguments: str, input: str | None = None, only: SideName | None = None) -> Answer:
        """Call `dualsync` with these arguments."""

        async def open_context(where: PairLocation) -> OperatorContext:
            return self.context(*([only] if only else []))

        runner = CliRunner()
        result = runner.invoke(
            app, list(arguments), input=input, obj=Session(open_context=open_context), prog_name="dualsync"
        )
        return Answer(result)
