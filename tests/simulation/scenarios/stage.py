"""Run scenarios: both sides over the fakes, driven line by line. README.md in this folder describes the language.

In contrast to the simulator, nothing happens by chance: events wait until a line delivers them, messages until a line
takes them, and a task runs to the step that a line names. `settle` performs everything that is left.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any

from dualsync.runtime import errors
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import DELETION_APPROVAL, Record
from tests.simulation.histories.findings import Failure, Finding
from tests.simulation.histories.model import BESIDE
from tests.simulation.histories.plan import SIDES, Modes, Op
from tests.simulation.histories.recorder import Labels, op_of
from tests.simulation.histories.users import Users
from tests.simulation.histories.world import (
    MakeFinder,
    MakeWorker,
    SimulatedWorld,
    equip,
    find,
    handle,
    real_finder,
    real_worker,
)
from tests.support.fakes.clock import START
from tests.support.fakes.gate import Step, kill, stepping_gate
from tests.support.fakes.notification import Event, body
from tests.support.fakes.queue import Letter

MAX_STEPS = 20_000
ACTS = frozenset(("put", "seed", "copy", "retouch", "delete", "undelete", "unversion", "purge", "expire"))


class ScenarioError(AssertionError):
    """A line can't be performed, or an expectation is not met."""


class Task:
    """A message being processed or a finder run, and the step at which it waits."""

    __slots__ = ("coroutine", "error", "step")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self.step: Step | None = None
        self.error: Exception | None = None

    def go(self, fault: Exception | None = None) -> bool:
        """Continue to the next step, or raise `fault` at the current one. Return False if the task has ended."""
        if self.coroutine is None:
            return False
        try:
            self.step = self.coroutine.send(None) if fault is None else self.coroutine.throw(fault)
        except StopIteration:
            self.coroutine = None
        except Exception as e:
            self.error = e
            self.coroutine = None
        return self.coroutine is not None


class Stage:
    """Both sides of a scenario. If `lenient`, lines that can't be performed are skipped, which the shrinker needs."""

    def __init__(
        self,
        *,
        make_worker: MakeWorker = real_worker,
        make_finder: MakeFinder = real_finder,
        lenient: bool = False,
    ) -> None:
        self.make_worker = make_worker
        self.make_finder = make_finder
        self.lenient = lenient
        self.modes = Modes()
        self.steps = 0
        self.errors: list[Finding] = []
        self.unsettled = False
        self.calls: Counter[str] = Counter()
        self._world: SimulatedWorld | None = None

    # -- both sides are created at the first line that is not a `given`

    @property
    def world(self) -> SimulatedWorld:
        """Return both sides, which are created at the first use."""
        if self._world is None:
            self._create()
        assert self._world is not None
        return self._world

    def _create(self) -> None:
        world = self._world = SimulatedWorld(self.modes, Random(1), stepping_gate)
        self.users = Users(world, self.modes)
        self.tasks: dict[tuple[str, str], Task] = {}
        self.events: dict[str, dict[str, Event]] = {side: {} for side in SIDES}
        self.all_events: dict[str, dict[str, Event]] = {side: {} for side in SIDES}
        self.letters: dict[str, list[Letter]] = {side: [] for side in SIDES}
        self.uploads: dict[str, tuple[Op, str]] = {}
        self.backups: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
        self.labels = Labels()
        self.cut: set[str] = set()
        self.workers = {side: equip(world, self.make_worker, side) for side in SIDES}
        for side, store in world.stores.items():
            store.emit = self._emitter(side)
        for side, broker in world.brokers.items():
            broker.wake = self._waker(side)

    def _emitter(self, side: str) -> Callable[[Event], None]:
        def emit(event: Event) -> None:
            label = f"e{len(self.all_events[side]) + 1}"
            self.all_events[side][label] = self.events[side][label] = event
            self.users.record_event(side, event)

        return emit

    def _waker(self, side: str) -> Callable[[Letter], None]:
        def wake(letter: Letter) -> None:
            if not letter.label:
                letter.label = self.labels.give(side)
                self.letters[side].append(letter)

        return wake

    # -- lines

    def perform(self, line: str) -> None:
        """Perform one line. Raises `ScenarioError`."""
        words = shlex.split(line, comments=True)
        if not words:
            return
        try:
            self._perform(words)
        except (ScenarioError, ValueError, IndexError, KeyError) as e:
            if not self.lenient:
                raise ScenarioError(f"{line!r}: {e}") from e

    def _perform(self, words: list[str]) -> None:
        first, rest = words[0], words[1:]
        if first == "given":
            self._given(rest)
        elif first == "at":
            self.world.time.now = max(self.world.time.now, START + float(rest[0]))
        elif first == "wait":
            self.world.time.now += float(rest[0])
        elif first == "settle":
            self.settle()
        elif first == "run":
            self.settle(self.world.time.now + float(rest[0]))
        elif first == "finders":
            self.finders()
        elif first == "expect":
            self._expect(rest)
        elif first in SIDES:
            self._side(first, rest[0], rest[1:])
        else:
            raise ScenarioError(f"unknown command {first!r}")

    def _given(self, words: list[str]) -> None:
        if self._world is not None:
            raise ScenarioError("`given` comes first")
        name, values = words[0], words[1:]
        kind = type(getattr(Modes(), name))
        value: Any
        if name == "settings":
            value = (*self.modes.settings, (values[0], values[1]))
        elif kind is tuple:
            sides = dict(v.split("=") for v in values)
            value = tuple(sides.get(s, "") for s in SIDES)
            value = tuple(map(bool, value)) if name == "kms" else value
        else:
            value = values[0] == "True" if kind is bool else kind(values[0])
        self.modes = replace(self.modes, **{name: value})

    def _side(self, side: str, verb: str, words: list[str]) -> None:
        world = self.world
        if verb in ACTS:
            self.users.do(op_of(side, verb, words))
        elif verb in ("archive", "thaw"):
            getattr(world.stores[side], verb)(world.prefix(side) + words[0])
        elif verb == "multipart":
            op = op_of(side, verb, words)
            self.uploads[op.content] = (op, self.users.begin(op))
        elif verb == "complete":
            self.users.complete(*self.uploads.pop(words[0]))
        elif verb == "deliver":
            self._deliver(side, words[0])
        elif verb == "lose":
            labels = words[0].split("+")
            self.users.record_lost_events(side, [e for label in labels if (e := self.events[side].pop(label, None))])
        elif verb == "take":
            self._take(side, words[0])
        elif verb == "finder":
            self._start(side, words[0] if words else "finder", find(self.world, self.make_finder, side))
        elif verb in ("revoke", "rekey", "swap"):
            getattr(world, verb)(side)
        elif verb in ("unreachable", "reachable"):
            (self.cut.add if verb == "unreachable" else self.cut.discard)(side)
        elif verb == "approve":
            record = Record(DELETION_APPROVAL, "approval", int(world.time.now), data={"up_to": int(words[0])})
            world.tables[side].records[record.kind, record.id] = record
        elif verb == "forget":
            self._forget(side, {})
        elif verb == "backup":
            self.backups[side] = dict(world.tables[side].entries)
        elif verb == "restore":
            self._forget(side, self.backups[side])
        else:
            self._task(side, verb, words)

    def _forget(self, side: str, backup: dict[str, LedgerEntry]) -> None:
        entries = self.world.tables[side].entries
        self.users.record_lost_ledger(side, entries, backup)
        entries.clear()
        entries.update(backup)

    def _deliver(self, side: str, labels: str) -> None:
        names = list(self.events[side]) if labels == "all" else labels.split("+")
        events = [self.all_events[side][name] for name in names]
        for name in names:
            self.events[side].pop(name, None)
        if events:
            self.labels.events = "+".join(names)
            self.world.brokers[side].send(body(*events))
            self.labels.events = ""

    def _take(self, side: str, label: str) -> None:
        letter = next((x for x in self.letters[side] if x.label == label and not x.deleted), None)
        if letter is None:
            raise ScenarioError(f"no message {label} on {side}: there are {[x.label for x in self.letters[side]]}")
        letter.visible = min(letter.visible, self.world.time.now)
        self._receive(side, letter)

    def _receive(self, side: str, letter: Letter) -> None:
        message = self.world.brokers[side].take(letter)
        if message is not None:
            name = letter.label if letter.receives == 1 else f"{letter.label}.{letter.receives}"
            worker, credential = self.workers[side]
            self._start(side, name, handle(self.world, worker, credential, message))

    def _start(self, side: str, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = Task(coroutine)
        self.tasks[side, name] = task
        self._go(side, name, task)

    def _go(self, side: str, name: str, task: Task, fault: Exception | None = None) -> bool:
        self.steps += 1
        if fault is None and side in self.cut and task.step and task.step.call.startswith("remote."):
            fault = errors.UnavailableError("no route to the peer")
        self.labels.task = name
        running = task.go(fault)
        if running and task.step is not None and task.step.after:
            self.calls[f"{side} {task.step.call}"] += 1
        if not running and task.error is not None and not isinstance(task.error, DualSyncError):
            self.errors.append(Finding(Failure.ERROR, "", f"{side} {name}: {task.error!r}"))
        return running

    def _task(self, side: str, name: str, words: list[str]) -> None:
        task = self.tasks.get((side, name))
        if task is None:
            raise ScenarioError(f"no task {name!r} on {side}")
        match words:
            case ["until", moment, call, *times]:
                wanted = f"{moment} {call}"
                left = int(times[0]) if times else 1
                start = self.steps
                while left and self._go(side, name, task):
                    left -= str(task.step) == wanted
                    if self.steps - start > MAX_STEPS:
                        raise ScenarioError(f"{name} did not reach `{wanted}` within {MAX_STEPS} steps")
            case ["ends"]:
                while self._go(side, name, task):
                    pass
            case ["fails", error]:
                self._go(side, name, task, getattr(errors, f"{error}Error")("in this scenario"))
            case ["killed"]:
                if task.coroutine is not None:
                    kill(task.coroutine)
                    task.coroutine = None
            case _:
                raise ScenarioError(
                    f"{words}: not `until before|after CALL`, `ends`, `fails ERROR` or `killed`, which a task can do"
                )

    # -- everything that is left

    def settle(self, until: float = math.inf) -> None:
        """Deliver all events, take all messages and end all tasks; move the time as needed, but not past `until`."""
        world = self.world
        start = self.steps
        asleep: list[Task] = []
        while self.steps - start < MAX_STEPS:
            for side in SIDES:
                for label in list(self.events[side]):
                    self._deliver(side, label)
            for (side, name), task in list(self.tasks.items()):
                if task not in asleep and self._to_its_end(side, name, task, until, start):
                    del self.tasks[side, name]
                else:
                    asleep.append(task)
            waiting = [(x.visible, side, x) for side in SIDES for x in self.letters[side] if not x.deleted]
            if not waiting:
                if not any(self.events.values()):
                    return
                continue
            visible, side, letter = min(waiting, key=lambda w: w[0])
            if visible > until:
                world.time.now = max(world.time.now, until)
                return
            world.time.now = max(world.time.now, visible)
            self._receive(side, letter)
            self.letters[side] = [x for x in self.letters[side] if not x.deleted]
        self.unsettled = True

    def _to_its_end(self, side: str, name: str, task: Task, until: float, start: int) -> bool:
        """Run a task. Return False if it sleeps beyond `until`, or does not end within `MAX_STEPS`."""
        time = self.world.time
        while self._go(side, name, task):
            seconds = task.step.seconds if task.step else 0.0
            if time.now + seconds > until or self.steps - start >= MAX_STEPS:
                return False
            time.now += seconds or 0.01
        return True

    def finders(self) -> None:
        """Run both finders once no object is within the grace time, and process what they queue."""
        self.settle()
        self.world.time.now += self.modes.grace + 2000
        for side in SIDES:
            self._start(side, "finder", find(self.world, self.make_finder, side))
            self.settle()

    def verdict(self) -> list[Finding]:
        """Settle, run the finders three times, and return what is wrong."""
        self.settle()
        for _ in range(3):
            self.finders()
        if self.unsettled:
            return [Finding(Failure.RESTLESS, "", "work is left after the maximum number of steps")]
        return self.users.judge(strict=False) + self.errors

    # -- expectations

    def _expect(self, words: list[str]) -> None:
        world = self.world
        sides: tuple[str, ...] = SIDES
        if words[0] in SIDES:
            sides, words = (words[0],), words[1:]
        match words:
            case ["right"]:
                wrong = self.users.judge(strict=False) + self.errors
                if wrong:
                    raise ScenarioError("; ".join(map(str, wrong)))
            case ["writes", count]:
                equal("writes by workers", self.users.writes, int(count))
            case ["deletions", count]:
                equal("deletions by workers", self.users.deletes, int(count))
            case ["records", kind, count]:
                found = sum(r.kind == kind for side in sides for r in world.tables[side].records.values())
                equal(f"records of kind {kind}", found, int(count))
            case ["calls", call, count]:
                equal(f"answered calls of {call}", sum(self.calls[f"{s} {call}"] for s in sides), int(count))
            case ["uploads", count]:
                begun = (u for side in sides for u in world.stores[side].uploads.values())
                equal("uploads of workers under way", sum(u.initiator != "" for u in begun), int(count))
            case ["dead", count]:
                equal("dead letters", sum(len(world.brokers[s].dead) for s in sides), int(count))
            case ["keys", *keys]:
                for side in sides:
                    equal(f"keys of {side}", [r.key for r in world.stores[side].rows() if BESIDE not in r.key], keys)
            case [key, content]:
                for side in sides:
                    version = world.stores[side].current(world.prefix(side) + key)
                    shown = dict(version.seen.attributes.metadata).get("w", "?") if version else "nothing"
                    equal(f"{key!r} on {side}", shown, content)
            case _:
                raise ScenarioError(f"unknown expectation {words}")


def equal(what: str, actual: object, expected: object) -> None:
    """Compare a value with the expected one. Raises `ScenarioError` if they differ."""
    if actual != expected:
        raise ScenarioError(f"{what}: {actual}, expected {expected}")
