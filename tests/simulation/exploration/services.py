"""Set the fakes of both sides to any state, and perform one call in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.sync.context import SyncContext
from tests.simulation.exploration.automaton import Automata, Node, Raised
from tests.simulation.exploration.frozen import (
    SIDES,
    Pool,
    Versions,
    answer_key,
    freeze_judges,
    freeze_table,
    thaw_judges,
    thaw_store,
    thaw_table,
)
from tests.simulation.exploration.service_proxies import AnsweredClock, BucketProxy, Call, LedgerProxy, QueueProxy
from tests.simulation.histories.findings import Finding
from tests.simulation.histories.plan import Modes, Op
from tests.simulation.histories.users import Users, content_of
from tests.simulation.histories.world import USERS, Processor, Searcher, SimulatedWorld, finder_of
from tests.support.fakes.clock import START
from tests.support.fakes.gate import open_gate, run
from tests.support.fakes.notification import Event, body
from tests.support.fakes.store import Store
from tests.support.handlers import handler_of

MakeProcessor = Callable[[SyncContext], Processor]
MakeSearcher = Callable[[SyncContext], Searcher]

EFFECTS = frozenset(
    (
        "put",
        "delete",
        "complete_upload",
        "create_upload",
        "put_part",
        "abort_upload",
        "claim",
        "release",
        "record",
        "remove_record",
        "send",
        "send_to_dlq",
    )
)
"""Calls that change something."""


class Received:
    """A message as a worker receives it."""

    __slots__ = ("body", "handle", "hidden_until", "receives", "sent")

    def __init__(self, body: str, sent: int, receives: int) -> None:
        self.body = body
        self.sent = float(sent)
        self.receives = receives
        self.handle = "handle"
        self.hidden_until = math.inf  # a stalled worker continues, so that the guarantees are shown without this check


class CountedETags(Random):
    """Random numbers for the ETags of an encrypted bucket: different per request, the same for the same state."""

    def __init__(self, store: Store) -> None:
        super().__init__(0)
        self._store = store

    def getrandbits(self, k: int) -> int:
        return Random(f"{self._store.name}{self._store._count}").getrandbits(k)


class Services:
    """Performs calls on the fakes. Contents of buckets and tables and the state of the judges are numbered."""

    def __init__(
        self, modes: Modes, make_worker: MakeProcessor = handler_of, make_finder: MakeSearcher = finder_of
    ) -> None:
        world = self.world = SimulatedWorld(modes, Random(1), open_gate)
        self.users = Users(world, modes)
        self.automata = Automata()
        self.stores: Pool[Any] = Pool()
        self.tables: Pool[Any] = Pool()
        self.judges: Pool[Any] = Pool()
        self.answers: Pool[Any] = Pool()
        self.bodies: Pool[str] = Pool()
        self.calls = 0
        """Number of calls that the fakes performed, each once per state of what it uses."""
        self._versions = Versions()
        self._loaded: dict[str, int] = {}
        self._events: list[tuple[int, int]] = []
        self._make_worker = make_worker
        self._make_finder = make_finder
        self._effects: dict[tuple[int, ...], tuple[int, int, int, tuple[int, ...]]] = {}
        self._ledger_calls: dict[tuple[int, int], tuple[int, int]] = {}
        self._acts: dict[tuple[object, ...], tuple[int, int, int, tuple[tuple[int, int], ...]]] = {}
        self.start = START
        world.time.now = START
        for store in world.stores.values():
            store.random = CountedETags(store)
        for at, store in enumerate(world.stores.values()):
            store.emit = partial(self._emit, at)
        self._real = {side: world.context(side) for side in SIDES}

    def _emit(self, at: int, event: Event) -> None:
        text = body(event)
        self._events.append((at, self.bodies.number(text, text)))

    # -- processes

    def _context(self, side: str, clock: AnsweredClock) -> SyncContext:
        real = self._real[side]
        peer = SIDES[1 - SIDES.index(side)]
        ledger: Any = LedgerProxy(self.world.tables[side])
        local: Any = BucketProxy("local", self.world.stores[side])
        remote: Any = BucketProxy("remote", self.world.stores[peer])
        queue: Any = QueueProxy()
        return replace(
            real,
            clock=clock,
            local=local,
            remote=remote,
            ledger=ledger,
            queue=queue,
            copier=replace(real.copier, ledger=ledger, clock=clock),
        )

    def worker(self, at: int, text: int, sent: int, receives: int, now: int) -> Node:
        """Return a worker of side `at` that has just received a message for the `receives`th time."""
        side = SIDES[at]

        def start(clock: AnsweredClock) -> Any:
            message: Any = Received(self.bodies.values[text], sent, receives)
            return self._make_worker(self._context(side, clock)).process(message)

        return self.automata.root(("worker", at, text, sent, receives), f"{side} worker", now, start)

    def finder(self, at: int, now: int) -> Node:
        """Return a finder of side `at` that has just started."""
        side = SIDES[at]
        return self.automata.root(
            ("finder", at),
            f"{side} finder",
            now,
            lambda clock: self._make_finder(self._context(side, clock)).run(),
        )

    # -- calls

    def bucket_call(
        self, node: Node, at: int, call: Call, store: int, judges: int, now: int
    ) -> tuple[int, int, int, tuple[int, ...]]:
        """Perform a call of a bucket. Return store, judges and answer after it, and the events' bodies, as numbers."""
        changes = call.method in EFFECTS
        key = (node.number, store, judges, now) if changes else (node.number, store)
        done = self._effects.get(key)
        if done is None:
            target = SIDES[at if call.service == "local" else 1 - at]
            self._load_store(target, store)
            self._load_judges(judges)
            self.world.time.now = now
            self._events.clear()
            answer = self._perform(getattr(self._real[SIDES[at]], call.service), call)
            if changes:
                store, judges = self._save_store(target), self._save_judges()
            done = self._effects[key] = (store, judges, answer, tuple(text for _, text in self._events))
        return done if changes else (store, judges, done[2], ())

    def ledger_call(self, node: Node, at: int, call: Call, table: int) -> tuple[int, int]:
        """Perform a call of a ledger. Return table and answer after it, as numbers."""
        key = (node.number, table)
        done = self._ledger_calls.get(key)
        if done is None:
            self._load_table(SIDES[at], table)
            answer = self._perform(self._real[SIDES[at]].ledger, call)
            done = self._ledger_calls[key] = (self._save_table(SIDES[at]), answer)
        return done

    def answer(self, value: Any) -> int:
        """Return an answer's number."""
        return self.answers.number(answer_key(value), value)

    def _perform(self, service: Any, call: Call) -> int:
        self.calls += 1
        try:
            called = getattr(service, call.method)(*call.arguments, **call.named)
            value = run(_collect(called)) if hasattr(called, "__aiter__") else run(called)
        except DualSyncError as e:
            value = Raised(e)
        if isinstance(value, dict):
            value = tuple(value[key] for key in sorted(value))
        elif isinstance(value, list):
            value = tuple(tuple(each) if isinstance(each, list) else each for each in value)
        return self.answer(value)

    # -- users

    def act(self, ops: tuple[tuple[str, Op], ...], parts: tuple[int, ...], now: int) -> tuple[Any, ...]:
        """Perform acts of users in the state `parts` (both stores, both tables, the judges).

        Returns the numbers of both stores and the judges after it, and side and body of each event.
        """
        key = (ops, now, parts)
        done = self._acts.get(key)
        if done is None:
            self.load(parts)
            self.world.time.now = now
            self._events.clear()
            for step, op in ops:
                self._instant(step, op)
            saved = (self._save_store("cn"), self._save_store("global"), self._save_judges())
            done = self._acts[key] = (*saved, tuple(self._events))
        return done

    def _instant(self, step: str, op: Op) -> None:
        if step == "begin":
            self.users.begin(op)
        elif step == "complete":
            uploads = self.world.stores[op.side].uploads
            upload = next((n for n, u in uploads.items() if u.attributes.metadata == (("w", op.content),)), None)
            if upload is not None:
                self.users.complete(op, upload)
        elif step == "bring back":
            store = self.world.stores[op.side]
            former = [v for v in store.keys.get(op.key, ())[:-1] if not v.marker]
            if former:
                store.put(op.key, former[-1].body, USERS[op.side], former[-1].seen.attributes, former[-1].seen.stamp)
        else:
            self.users.do(op)

    def judge(self, parts: tuple[int, ...], *, strict: bool) -> list[Finding]:
        """Return the findings of both judges."""
        self.load(parts)
        found = self.users.judge(strict=strict)
        del self._loaded["judges"]  # `judge` may add models of keys without acts
        return found

    def shown(self, store: int, key: str) -> str:
        """Return the name that a bucket shows at `key`, for reports."""
        for name, versions in self.stores.values[store][1]:
            if name == key and versions and not versions[-1].marker:
                return content_of(versions[-1])
        return "nothing"

    # -- states

    def save(self) -> tuple[int, ...]:
        """Return the numbers of the present state: both stores, both tables, the judges."""
        stores = tuple(self._save_store(side) for side in SIDES)
        return (*stores, *(self._save_table(side) for side in SIDES), self._save_judges())

    def load(self, parts: tuple[int, ...]) -> None:
        """Restore a state."""
        for at, side in enumerate(SIDES):
            self._load_store(side, parts[at])
            self._load_table(side, parts[2 + at])
        self._load_judges(parts[4])

    def _load_store(self, side: str, number: int) -> None:
        if self._loaded.get(f"store {side}") != number:
            thaw_store(self.world.stores[side], self.stores.values[number])
            self._loaded[f"store {side}"] = number

    def _save_store(self, side: str) -> int:
        frozen = self._versions.freeze_store(self.world.stores[side])
        number = self._loaded[f"store {side}"] = self.stores.number(frozen, frozen)
        return number

    def _load_table(self, side: str, number: int) -> None:
        if self._loaded.get(f"table {side}") != number:
            thaw_table(self.world.tables[side], self.tables.values[number])
            self._loaded[f"table {side}"] = number

    def _save_table(self, side: str) -> int:
        key, frozen = freeze_table(self.world.tables[side])
        number = self._loaded[f"table {side}"] = self.tables.number(key, frozen)
        return number

    def _load_judges(self, number: int) -> None:
        if self._loaded.get("judges") != number:
            thaw_judges(self.users, self.judges.values[number])
            self._loaded["judges"] = number

    def _save_judges(self) -> int:
        frozen = freeze_judges(self.users)
        number = self._loaded["judges"] = self.judges.number(frozen, frozen)
        return number


async def _collect(pages: Any) -> list[Any]:
    return [page async for page in pages]
