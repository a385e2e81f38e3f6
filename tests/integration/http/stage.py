"""Scenarios over HTTP: the real worker and finder with the real adapters, against the local cloud emulator.

It performs the lines of `tests/simulation/scenarios/README.md` that do not touch single calls, events and messages.
`wait` advances the emulator's clock. Messages that are delayed are received again at once.
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from dualsync.runtime.app.wiring import local_options, remote_options
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.model.records import DELETION_APPROVAL, Record
from dualsync.runtime.platform import LoopParallel
from dualsync.runtime.settings import ConflictPolicy, Direction, Settings, SideName, variable
from dualsync.runtime.sync.context import SyncContext
from tests.integration.http.cloud import EmulatorClock
from tests.integration.http.side import AccountClients, HttpSide, seeded_body
from tests.simulation.histories.world import Silent, finder_of
from tests.simulation.scenarios.stage import ScenarioError, equal
from tests.support.handlers import handler_of

T = TypeVar("T")
SIDES = tuple(SideName)
MANY = 400
"""Number of messages above which a scenario does not terminate."""
BESIDE = "~beside"
PASS = 2900
"""Seconds between two finder runs, as in `tests/simulation/scenarios/stage.py`."""


class Counted:
    """A bucket that counts writes and deletions."""

    def __init__(self, bucket: Any, counts: Counter[str]) -> None:
        self._bucket = bucket
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._bucket, name)
        what = {"put": "writes", "complete_upload": "writes", "delete": "deletions"}.get(name)
        if what is None:
            return call

        async def counted(*args: Any, **named: Any) -> Any:
            answer = await call(*args, **named)
            self._counts[what] += 1
            return answer

        return counted


class HttpStage:
    """Performs the lines of a scenario until `close`."""

    def __init__(self, accounts: Mapping[SideName, AccountClients], clock: EmulatorClock) -> None:
        self.accounts = accounts
        self.clock = clock
        self.given: dict[str, list[str]] = {}
        self.settings: list[tuple[str, str]] = []
        self.sides: dict[SideName, HttpSide] = {}
        self.contexts: dict[SideName, SyncContext] = {}
        self.direction = Direction.BOTH
        self.uploads: dict[str, tuple[SideName, str, str]] = {}
        self.backups: dict[SideName, list[dict[str, Any]]] = {}
        self.counts: Counter[str] = Counter()
        self.time = 0.0
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop of the scenario's clients."""
        return self._runner.run(work)

    def perform(self, line: str) -> None:
        """Perform a line. Raises `ScenarioError`."""
        words = shlex.split(line, comments=True)
        if not words:
            return
        first, rest = words[0], words[1:]
        if first == "given":
            if rest[0] == "settings":
                self.settings.append((rest[1], rest[2]))
            else:
                self.given[rest[0]] = rest[1:]
            return
        if not self.sides:
            self._set()
        if first in ("wait", "run"):
            self.clock.forward(math.ceil(float(rest[0])))
            self.time += float(rest[0])
        elif first == "at":
            self.clock.forward(max(0, math.ceil(float(rest[0]) - self.time)))
            self.time = max(self.time, float(rest[0]))
        if first in ("settle", "run"):
            self._runner.run(self._settle())
        elif first in ("wait", "at"):
            pass
        elif first == "finders":
            self.clock.forward(PASS)
            for side in self.contexts:
                self._runner.run(self._find(side))
                self._runner.run(self._settle())
        elif first == "expect":
            try:
                self._expect(rest)
            except ScenarioError as e:
                raise ScenarioError(f"{line!r}: {e}") from None
        else:
            self._side(SideName(first), rest[0], rest[1:])

    # -- preparation

    def _of_side(self, name: str, side: SideName) -> str:
        return dict(w.split("=", 1) for w in self.given.get(name, ())).get(str(side), "")

    def _set(self) -> None:
        self.direction = Direction(dict(self.settings).get("direction", Direction.BOTH))
        for name in SIDES:
            versioning, prefix = (self._of_side(what, name) for what in ("versioning", "prefix"))
            self.sides[name] = HttpSide(self.accounts[name], versioning, prefix, self.direction.carries(name))
        self._runner.run(self._make())
        if self.given.get("beside") != ["False"]:
            for side in self.sides.values():
                side.put(side.prefix + BESIDE, "keep", "keep")
                side.lose_events()

    async def _make(self) -> None:
        for name in filter(self.direction.carries, SIDES):
            here, there = self.sides[name], self.sides[name.peer]
            ledger = here.ledger_adapter()
            settings = self._settings(here, there)
            self.contexts[name] = SyncContext(
                settings=settings,
                clock=self.clock,
                local=Counted(here.bucket_adapter(here.worker, local_options(settings)), self.counts),
                remote=Counted(there.bucket_adapter(there.dedicated, remote_options(settings)), self.counts),
                ledger=ledger,
                queue=here.queue_adapter(),
                copier=here.copier(settings, ledger, self.clock),
                principals=Principals(frozenset(settings.own_user_ids), here.worker.user_id),
                authenticator=Authenticator(settings.queue_url, f"secret of {name.peer}"),
                log=Silent(),
            )

    def _settings(self, here: HttpSide, there: HttpSide) -> Settings:
        s = Settings(
            pair="p",
            side=here.name,
            local_bucket=here.bucket,
            local_region=here.region,
            remote_bucket=there.bucket,
            remote_region=there.region,
            queue_url=here.queue_url,
            dead_letter_queue_url=here.dead_url,
            ledger_table=here.table,
            peer_secret="none",
            direction=self.direction,
            own_user_ids=(here.dedicated.user_id,) if self.direction.receives(here.name) else (),
            local_prefix=here.prefix,
            remote_prefix=there.prefix,
            retry_delay_seconds=0,
            finder_grace_seconds=0,
            conflict_policy=ConflictPolicy(*self.given.get("policy", ["newest"])),
            keep_loser=self.given.get("keep_loser") == ["True"],
        )
        named = [(n.split(".")[-1], v) for n, v in self.settings if "." not in n or n.startswith(f"{here.name}.")]
        return Settings.from_environment(s.to_environment() | {variable(name): value for name, value in named})

    # -- events

    async def _settle(self) -> None:
        """Process the queues until they are empty."""
        for _ in range(MANY):
            busy = False
            for context in self.contexts.values():
                for message in await context.queue.receive(10, 0):
                    busy = True
                    await handler_of(context).process(message)
            if not busy:
                return
        raise ScenarioError("never at rest")

    async def _find(self, name: SideName) -> None:
        await finder_of(self.contexts[name], parallel=LoopParallel()).run()

    def _side(self, name: SideName, verb: str, words: list[str]) -> None:
        side = self.sides[name]
        match verb, words:
            case "put", [key, content, "like", other]:
                side.put(key, content, other)
            case "put", [key, content]:
                side.put(key, content, content)
            case "seed", [key, content]:
                self._seed(side, key, content)
            case (("copy" | "retouch"), [key, to]):
                getattr(side, verb)(key, to)
            case (("delete" | "undelete"), [key]):
                getattr(side, verb)(key)
            case "multipart", [key, content]:
                self.uploads[content] = (name, *side.begin(key, content))
            case "complete", [content]:
                _, key, upload = self.uploads.pop(content)
                side.complete(key, upload, content)
            case "lose", _:
                side.lose_events()
            case "forget", []:
                side.set_entries([])
            case "backup", []:
                self.backups[name] = side.items()
            case "restore", []:
                side.set_entries(self.backups[name])
            case "finder", _:
                self._runner.run(self._find(name))
            case "approve", [count]:
                record = Record(DELETION_APPROVAL, "approval", 0, data={"up_to": int(count)})
                self._runner.run(self.contexts[name].ledger.record(record))
            case _:
                raise ScenarioError(f"not over HTTP: {verb} {words}")

    def _seed(self, side: HttpSide, key: str, content: str) -> None:
        """Fill both buckets with the same object; with `parts` it is large, and the peer's was uploaded in parts."""
        peer = self.sides[side.name.peer]
        if self.given.get("parts") == ["True"]:
            side.put(key, content, seeded_body(content).decode())
            peer.complete(*peer.begin(key, content), content)
        else:
            side.put(key, content, content)
            peer.put(key, content, content)
        side.lose_events()
        peer.lose_events()

    # -- expectations

    def _expect(self, words: list[str]) -> None:
        sides: tuple[SideName, ...] = SIDES
        if words[0] in SIDES:
            sides, words = (SideName(words[0]),), words[1:]
        match words:
            case ["right"]:
                cn, there = ({k: self.sides[n].shown(k) for k in self.sides[n].listed()} for n in SIDES)
                if self.direction.source is not None:
                    source, mirror = (cn, there) if self.direction.source is SideName.CN else (there, cn)
                    equal("no mirror", {key: mirror.get(key, "nothing") for key in source}, source)
                else:
                    equal("the sides differ", cn, there)
            case ["writes" | "deletions" as what, count]:
                equal(f"{what} by workers", self.counts[what], int(count))
            case ["records", kind, count]:
                items = [item for side in sides for item in self.sides[side].items()]
                found = sum(item.get("RecordKind") == {"S": kind} for item in items)
                equal(f"records of kind {kind}", found, int(count))
            case ["keys", *keys]:
                for side in sides:
                    equal(f"keys of {side}", [k for k in self.sides[side].listed() if k != BESIDE], keys)
            case [key, content]:
                for side in sides:
                    equal(f"{key!r} on {side}", self.sides[side].shown(key), content)
            case _:
                raise ScenarioError(f"not over HTTP: expect {words}")


Perform = Callable[..., HttpStage]
"""Returns a stage after the given lines."""
