"""Run one history: the real worker and finder over the fakes, in virtual time, interrupted at any call.

This is a discrete-event simulation. Each coroutine waits at a `Step`, and a heap holds the time at which it continues.
All random choices come from the history's seed, so a history always runs the same way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import FINDER_CHECKPOINT
from tests.simulation.histories.faults import MAX_KILLS, Faults
from tests.simulation.histories.findings import Failure, Finding
from tests.simulation.histories.forger import NAMES, Forger
from tests.simulation.histories.machine import Machine, Task
from tests.simulation.histories.plan import History, Window
from tests.simulation.histories.recorder import Labels, Recorder, given
from tests.simulation.histories.result import Result
from tests.simulation.histories.users import Users
from tests.simulation.histories.world import (
    VISIBILITY,
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
from tests.support.fakes.gate import kill, stepping_gate
from tests.support.fakes.notification import Event, body
from tests.support.fakes.queue import Letter

MAX_STEPS = 200_000
"""More than any history needs: one that takes more does not terminate."""
LATE_SECONDS = 200
"""Seconds after which an event is later than a check waits for it."""
IN_FLIGHT = 4
"""Messages that one worker processes at a time here."""


class Simulation:
    """Runs `history` once; see `simulate`."""

    make_users: type[Users] = Users
    """Class of the users, which perform the acts and judge the end."""
    forged_names: tuple[str, ...] = NAMES
    """Names of the events that are forged."""

    def __init__(self, history: History, make_worker: MakeWorker, make_finder: MakeFinder, *, record: bool) -> None:
        self.history = history
        modes = self.modes = history.modes
        self.random = Random(history.seed ^ 0x5DEECE66D)
        self._deaths = Random(history.seed ^ 0xDEAD)  # separate, so that other histories keep their schedules
        self.world = SimulatedWorld(modes, self.random, stepping_gate)
        self.time = self.world.time
        self.make_worker = make_worker
        self.make_finder = make_finder
        self.counts: Counter[str] = Counter()
        self.recorder = Recorder(self.time) if record else None
        self.errors: list[Finding] = []
        self.steps = 0
        self.calm = False
        self.must_find = False
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = 0
        self._held: dict[str, list[tuple[int, Event]]] = {"cn": [], "global": []}
        self._working: dict[tuple[str, int], Task] = {}
        self._events = {"cn": 0, "global": 0}
        self._labels = Labels()
        self._ready: dict[str, list[Letter]] = {"cn": [], "global": []}
        self._backups = {side: dict[str, LedgerEntry]() for side in self.world.stores}
        self.users = self.make_users(self.world, modes)
        for side, store in self.world.stores.items():
            store.emit = self._emitter(side)
        for side, broker in self.world.brokers.items():
            broker.wake = self._waker(side)
        self.machines = [
            Machine(side, f"{side}.w{n}", *equip(self.world, make_worker, side))
            for side in self.world.carriers
            for n in range(modes.workers)
        ]
        self.world.connected = False
        self._forger = Forger(self.world, history.seed, modes.forge, self.forged_names)
        self._faults = Faults(modes, self.random, self.time, self.counts)

    async def _find(self, side: str) -> None:
        if not await find(self.world, self.make_finder, side):
            self.counts["finder failed"] += 1
            self.must_find = True

    def run(self) -> Result:
        """Perform the history, then judge the end."""
        for op in self.history.ops:
            self._at(START + op.at, self._op, op)
        last = self.history.ops[-1].at if self.history.ops else 0.0
        for w in self.modes.windows:
            last = max(last, w.end)
            if w.kind == "paused":
                self._at(START + w.start, self._pause, w)
                self._at(START + w.end, self._resume_side, w)
            elif w.kind in ("credentials", "wrong key"):
                self._at(START + w.start, self._withdraw_key, w)
                self._at(START + w.end, self._renew_key, w)
        self._at(START + last + 30.0, lambda _: setattr(self, "calm", True), None)
        at_rest = self._drain()
        healed: list[Finding] = []
        findings: list[Finding] = []
        if at_rest:
            findings = self.users.judge(strict=self.history.is_strict)
            for _ in range(4):
                sent = sum(b.sends for b in self.world.brokers.values())
                whole = not self._checkpoints()
                at_rest = at_rest and self._finders()
                if whole and sent == sum(b.sends for b in self.world.brokers.values()):
                    break
            after = self.users.judge(strict=self.history.is_strict)
            if not self.must_find and not any(b.dead for b in self.world.brokers.values()):
                healed = [f for f in findings if f not in after]
            findings = after
        if not at_rest:
            findings = [Finding(Failure.RESTLESS, "", f"still busy after {self.steps} steps")]
        for side, broker in self.world.brokers.items():
            for text, reason in broker.dead:
                self.counts["dead letters"] += 1
                if not (
                    self._faults.kills
                    or self.modes.stall
                    or self.modes.unanswered
                    or self.modes.throttle
                    or self.modes.forge
                ):
                    findings.append(Finding(Failure.DEAD_LETTER, "", f"{side}: {reason}: {text[:200]}"))
        script = given(self.modes) + self.recorder.lines if self.recorder else []
        return Result(findings + self.errors, healed, self.counts, self.steps, script)

    def _at(self, time: float, action: Callable[[Any], None], argument: Any) -> None:
        self._order += 1
        heappush(self._heap, (time, self._order, action, argument))

    def _drain(self) -> bool:
        heap, time = self._heap, self.time
        while heap:
            at, _, action, argument = heappop(heap)
            if at > time.now:
                time.now = at
            action(argument)
            if self.steps > MAX_STEPS * (4 if self.modes.forge else 1):
                return False
        return True

    def _checkpoints(self) -> int:
        """Return the number of finder runs with a checkpoint, whose continuation compares only the rest."""
        return sum(kind == FINDER_CHECKPOINT for t in self.world.tables.values() for kind, _ in t.records)

    def _finders(self) -> bool:
        """Run both finders once no object is within the grace time. Return False if it does not terminate."""
        self.time.now += self.modes.grace + 2000
        for side in self.world.carriers:
            self._start_finder(side)
            if self.random.random() < 0.5 and not self._drain():
                return False
        return self._drain()

    # -- acts of users, and changes of the system

    def _op(self, op: Any) -> None:
        self.counts[op.kind] += 1
        if self.recorder and op.kind != "finder":
            self.recorder.op(op)
        if op.kind == "finder":
            self._start_finder(op.side)
        elif op.kind == "forget":
            self._forget(op.side, {})
        elif op.kind == "restore":
            self._forget(op.side, self._backups[op.side])
        elif op.kind == "multipart":
            self._at(self.time.now + op.seconds, self._complete, (op, self.users.begin(op)))
        else:
            if op.kind == "seed" or (self.modes.silent_undelete and op.kind == "undelete"):
                self.must_find = True
            self.users.do(op)
        if self.random.random() < 0.1:
            self._backups[op.side] = dict(self.world.tables[op.side].entries)
            if self.recorder:
                self.recorder.other(f"{op.side} backup")

    def _forget(self, side: str, backup: dict[str, LedgerEntry]) -> None:
        self.must_find = True
        entries = self.world.tables[side].entries
        self.users.record_lost_ledger(side, entries, backup)
        entries.clear()
        entries.update(backup)

    def _complete(self, begun: Any) -> None:
        op = begun[0]
        if self.recorder:
            self.recorder.other(f"{op.side} complete {op.content}")
        self.users.complete(*begun)

    def _emitter(self, side: str) -> Callable[[Event], None]:
        def emit(event: Event) -> None:
            held = self._held[side]
            self._events[side] += 1
            held.append((self._events[side], event))
            self.users.record_event(side, event)
            modes = self.modes
            if len(held) == 1 and modes.batch and self.random.random() < modes.batch:
                self._at(self.time.now + self._faults.spread(1.0), self._flush, side)
            elif len(held) == 1 or len(held) > 2 or self.random.random() < 0.7:
                self._flush(side)

        return emit

    def _flush(self, side: str) -> None:
        held = self._held[side]
        if not held:
            return
        text = body(*(e for _, e in held))
        if len(held) > 1:
            self.counts["several records"] += 1
        label = "+".join(f"e{n}" for n, _ in held)
        events = [e for _, e in held]
        held.clear()
        modes, random = self.modes, self.random.random
        if self._faults.unsubscribed(side) or (modes.lose and not self.calm and random() < modes.lose):
            self.counts["lost"] += 1
            self.must_find = True
            self.users.record_lost_events(side, events)
            if self.recorder:
                self.recorder.event(side, "lose", label)
            return
        times = 1
        if modes.duplicate and random() < modes.duplicate:
            self.counts["duplicated"] += 1
            times = 2
        first = math.inf
        for _ in range(times):
            delay = self._faults.spread(modes.delivery)
            if modes.late and random() < modes.late:
                self.counts["late"] += 1
                delay += self._faults.spread(modes.late_by)
            self._at(self.time.now + delay, self._deliver, (side, text, label))
            first = min(first, delay)
        if first > LATE_SECONDS:
            self.users.record_late_events(side, events)

    def _deliver(self, what: tuple[str, str, str]) -> None:
        side, text, label = what
        if self.recorder:
            self.recorder.event(side, "deliver", label)
        self._labels.events = label
        self.world.brokers[side].send(text)
        self._labels.events = ""
        if label != "forged" and (seconds := self._forger.delay()) is not None:
            self._at(self.time.now + seconds, self._forge, side)

    def _forge(self, side: str) -> None:
        self.counts["forged"] += 1
        self._deliver((side, self._forger.forge(side, self.history.keys), "forged"))

    def _waker(self, side: str) -> Callable[[Letter], None]:
        def wake(letter: Letter) -> None:
            self._forger.observe(side, letter.body)
            if not letter.label and self.recorder:
                letter.label = self._labels.give(side)
            self._at(letter.visible, self._visible, (side, letter))

        return wake

    def _visible(self, what: tuple[str, Letter]) -> None:
        side, letter = what
        if not letter.deleted and letter.visible <= self.time.now:
            task = self._working.get((side, letter.number))
            if task is not None and task.coroutine is not None and not task.frozen:
                letter.visible = self.time.now + VISIBILITY  # the worker's heartbeat
                self._at(letter.visible, self._visible, what)
                return
            self._ready[side].append(letter)
            self._dispatch(side)

    def _dispatch(self, side: str) -> None:
        ready = self._ready[side]
        while ready and side not in self.world.paused:
            free = [m for m in self.machines if m.side == side and not m.paused and len(m.tasks) < IN_FLIGHT]
            if not free:
                return
            letter = ready.pop(int(self.random.random() * len(ready)))
            message = self.world.brokers[side].take(letter)
            if message is None:
                continue
            machine = free[int(self.random.random() * len(free))]
            name = letter.label if letter.receives == 1 else f"{letter.label}.{letter.receives}"
            task = Task(handle(self.world, machine.worker, machine.credential, message), side, machine, name)
            machine.tasks.append(task)
            self._working[side, letter.number] = task
            if self.recorder:
                self.recorder.take(side, letter.label)
            self._resume(task)

    def _start_finder(self, side: str) -> None:
        self.counts["finder runs"] += 1
        name = f"f{self.counts['finder runs']}"
        if self.recorder:
            self.recorder.finder(side, name)
        self._resume(Task(self._find(side), side, None, name))

    def _resume(self, task: Task) -> None:
        coroutine = task.coroutine
        if coroutine is None:
            return
        self.steps += 1
        task.frozen = False
        fault = task.fault
        self._labels.task = task.name
        try:
            if fault is None:
                step = coroutine.send(None)
            else:
                task.fault = None
                if self.recorder:
                    self.recorder.fails(task.side, task.name, fault)
                step = coroutine.throw(fault)
        except StopIteration:
            self._end(task, None)
            return
        except DualSyncError as e:
            self._end(task, e)
            return
        except Exception as e:
            self.errors.append(Finding(Failure.ERROR, "", f"{task.name} after {task.step}: {type(e).__name__}: {e}"))
            self._end(task, e)
            return
        task.step = step
        self._order += 1
        wait = step.seconds or -math.log(1.0 - self.random.random()) * self.modes.latency
        if self.recorder:
            self.recorder.step(task.side, task.name, step)
        killable = self.modes.ranges and task.machine is None and not self.calm and self._faults.kills < MAX_KILLS
        if killable and self._deaths.random() < 0.05:
            self._kill(task)
            return
        if self._faults.any and not self.calm:
            more = self._faults.inject(task, step)
            if more is None:
                self._kill(task)
                return
            wait += more
        heappush(self._heap, (self.time.now + wait, self._order, self._resume, task))

    def _end(self, task: Task, error: Exception | None) -> None:
        task.coroutine = None
        if self.recorder:
            self.recorder.ends(task.side, task.name)
        machine = task.machine
        if machine is None:
            if error is not None:
                self.counts["finder failed"] += 1
            return
        machine.tasks.remove(task)
        self._dispatch(task.side)

    def _withdraw_key(self, window: Window) -> None:
        self.counts[window.kind] += 1
        what = "revoke" if window.kind == "credentials" else "swap"
        (self.world.revoke if what == "revoke" else self.world.swap)(window.side)
        if self.recorder:
            self.recorder.other(f"{window.side} {what}")

    def _renew_key(self, window: Window) -> None:
        self.world.rekey(window.side, 8.0)
        if self.recorder:
            self.recorder.other(f"{window.side} rekey")

    def _pause(self, window: Window) -> None:
        self.counts[window.kind] += 1
        self.world.pause(window.side)

    def _resume_side(self, window: Window) -> None:
        self.world.resume(window.side)
        self._dispatch(window.side)

    def _kill(self, task: Task) -> None:
        self._faults.kills += 1
        self.counts["killed"] += 1
        machine = task.machine
        for t in list(machine.tasks) if machine else [task]:
            if t.coroutine is not None:
                kill(t.coroutine)
                t.coroutine = None
                if self.recorder:
                    self.recorder.killed(t.side, t.name)
        if machine:
            machine.tasks.clear()
            machine.paused = True
            self._at(self.time.now + self._faults.spread(20.0), self._restore, machine)
        else:
            self.must_find = True
            if self.modes.ranges:
                self._at(self.time.now + self._faults.spread(20.0), self._start_finder, task.side)

    def _restore(self, machine: Machine) -> None:
        machine.worker, machine.credential = equip(self.world, self.make_worker, machine.side)
        machine.paused = False
        self._dispatch(machine.side)


def simulate(
    history: History,
    make_worker: MakeWorker = real_worker,
    make_finder: MakeFinder = real_finder,
    *,
    record: bool = False,
) -> Result:
    """Run a history and judge its end. The same history always gives the same result."""
    return Simulation(history, make_worker, make_finder, record=record).run()
