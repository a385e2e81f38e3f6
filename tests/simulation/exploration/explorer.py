"""Explore all schedules of one history: every state that the real worker and finder can reach.

A state consists of the contents of both buckets, tables and queues, the state of the judges, and the node of each
process. In a state, each process may make its next call, an idle worker may take any message, and the users may act.
Each state is visited once. A call whose effect no other process can observe (of a ledger that one process uses, or to
a queue) is made before all others, because any other order leads to the same states. `Limits` adds faults, each of
which may happen at any point.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from tests.simulation.exploration.acts import KEY, Acts, Step
from tests.simulation.exploration.frozen import SIDES
from tests.simulation.exploration.services import Services
from tests.simulation.exploration.state import Limits, State
from tests.simulation.exploration.transitions import Transitions
from tests.simulation.histories.findings import Failure, Finding
from tests.simulation.histories.plan import Op

MAX_STATES = 2_000_000
"""States of one history; a history with more is reported as cut."""
FINDER_PASSES = 4
"""Maximum number of runs of both finders at the end; a run that queues nothing is the last one."""


@dataclass(slots=True)
class Exploration:
    """The results of one history, or of several."""

    states: int = 0
    """States visited."""
    schedules: int = 0
    """Orders of calls from the start to an end that these states represent, except those that continue as others do."""
    transitions: int = 0
    """Transitions between states."""
    ends: int = 0
    """States in which no work is left."""
    eager: int = 0
    """States in which only one process was continued, because no other can observe the effect of its call."""
    again: int = 0
    """Transitions that led to a state visited before."""
    needed_finder: int = 0
    """Ends that were right only after a finder run."""
    cut: bool = False
    """True if there are more states than `MAX_STATES`."""
    wrong: list[tuple[str, list[str]]] = field(default_factory=list)
    """Findings, each with the schedule that led to it."""
    excused: Counter[str] = field(default_factory=Counter)
    """Ends to which an exception of docs/consistency.md applies, by its name."""

    def add(self, other: Exploration) -> None:
        """Add another history's numbers."""
        for name in ("states", "schedules", "transitions", "ends", "eager", "again", "needed_finder"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cut = self.cut or other.cut
        self.wrong.extend(other.wrong)
        self.excused.update(other.excused)


class Explorer:
    """Explores one history. `services` caches the computed calls for the next history."""

    def __init__(self, services: Services, acts: Acts, limits: Limits, start: State | None = None) -> None:
        self.services = services
        self.acts = acts
        self.limits = limits
        self.transitions = Transitions(services, acts, limits)
        self.found = Exploration()
        self._judged: dict[tuple[object, ...], tuple[list[Finding], bool]] = {}
        self._start = start

    def run(self) -> Exploration:
        """Visit every state, and judge every end."""
        found = self.found
        first = self._start or initial(self.services)
        first = first._replace(faults=self.limits.faults, finders=self.limits.finders)
        parents: dict[State, State | None] = {first: None}
        children: dict[State, list[State]] = {}
        stack = [first]
        reported: set[str] = set()
        most = self.limits.faults
        while stack:
            state = stack.pop()
            following = children[state] = []
            end = True
            for each in self.transitions.after(state):
                end = False
                found.transitions += 1
                after = self.transitions.fused(each)
                if after.faults < most and after not in parents and after._replace(faults=most) in parents:
                    # The transitions with fewer faults left are part of those with more. A fault without an effect
                    # leads back to the state before it, so that this is no path to an end.
                    found.again += 1
                    continue
                following.append(after)
                if after in parents:
                    found.again += 1
                else:
                    parents[after] = state
                    stack.append(after)
            if end:
                found.ends += 1
                self._judge(state, parents, reported)
            if len(parents) > MAX_STATES:
                found.cut = True
                break
        found.states += len(parents)
        found.eager += self.transitions.eager
        found.schedules += _paths(first, children)
        return found

    # -- the end

    def _judge(self, state: State, parents: dict[State, State | None], reported: set[str]) -> None:
        key = (state.now, state.stores, state.tables, state.judges, state.dead)
        judged = self._judged.get(key)
        if judged is None:
            judged = self._judged[key] = self.verdict(state)
        findings, needed = judged
        self.found.needed_finder += needed
        for finding in findings:
            if finding.excused:
                self.found.excused[f"{finding.failure}, {finding.excused}"] += 1
            elif str(finding) not in reported:
                reported.add(str(finding))
                self.found.wrong.append((str(finding), self._schedule(state, parents)))

    def verdict(self, state: State) -> tuple[list[Finding], bool]:
        """Run both finders and judge the end. The second value is True if it was right only after the finder runs."""
        strict = self.acts.strict
        before = self.services.judge(self.transitions.parts(state), strict=strict)
        end = state._replace(faults=0, finders=(0, 0))
        for _ in range(FINDER_PASSES):
            end = end._replace(now=end.now + self.services.world.modes.grace + 2000)
            queued = 0
            for side in (0, 1):
                end = self._drive(self.transitions.with_finder(end, side))
                queued += len(end.queues[side])
            end = self.drain(end)
            if not queued:
                break
        after = self.services.judge(self.transitions.parts(end), strict=strict)
        if end.dead:
            after.append(Finding(Failure.DEAD_LETTER, "", f"{end.dead} dead letters"))
        wrong_before = [f for f in before if not f.excused and f not in after]
        return after, bool(wrong_before)

    def _drive(self, state: State) -> State:
        while state.processes:
            state = next(self.transitions.steps(state, state.processes[0]))
        return state

    def drain(self, state: State) -> State:
        """Follow one schedule to its end."""
        for _ in range(100_000):
            following = next(self.transitions.after(state), None)
            if following is None:
                return state
            state = following
        raise AssertionError("the schedule does not end")

    # -- reports

    def _schedule(self, state: State, parents: dict[State, State | None]) -> list[str]:
        path = [state]
        while (before := parents[path[-1]]) is not None:
            path.append(before)
        path.reverse()
        whole = [path[0]]
        for before, after in pairwise(path):
            whole.extend(self._between(before, after))
        return [self._difference(a, b) for a, b in pairwise(whole)]

    def _between(self, before: State, after: State) -> list[State]:
        """Return the states between two stored states, with the last one."""
        for first in self.transitions.after(before):
            chain = [first]
            while chain[-1] != after and chain[-1].faults == 0:
                process = next(
                    (each for each in chain[-1].processes if self.transitions.unobservable(chain[-1], each)), None
                )
                if process is None:
                    break
                chain.append(self.transitions.moved(chain[-1], process))
            if chain[-1] == after:
                return chain
        return [after]

    def _difference(self, before: State, after: State) -> str:
        parts = [f"{after.now - initial_time(self.services):>5}s"]
        if after.faults < before.faults:
            parts.append("FAULT")
        if after.acts > before.acts:
            parts.append(f"users: {self.acts.steps[before.acts]}")
        gone, come = set(before.processes) - set(after.processes), set(after.processes) - set(before.processes)
        for process in gone:
            node = self.services.automata.nodes[process.node]
            parts.append(f"{node.name} {process.node}: {node.call or 'ends'}")
        for process in come:
            node = self.services.automata.nodes[process.node]
            answer = "" if node.parent is None else f" after {str(getattr(node.answer, 'error', node.answer))[:90]}"
            parts.append(f"-> {process.role} {process.node} at {node.call}{answer}")
        for side in (0, 1):
            if after.stores[side] != before.stores[side]:
                parts.append(f"[{SIDES[side]} shows {self.services.shown(after.stores[side], self.acts.key)}]")
        if not gone and not come and after.acts == before.acts:
            parts.append("time passes")
        return " ".join(parts)


def _paths(first: State, children: dict[State, list[State]]) -> int:
    """Return the number of paths from `first` to an end. There are no cycles, because attempts and time only grow."""
    counts: dict[State, int] = {}
    stack = [first]
    while stack:
        state = stack[-1]
        after = children.get(state)
        if not after:
            counts[state] = 1
        elif missing := [each for each in after if each not in counts]:
            stack.extend(missing)
            continue
        else:
            counts[state] = sum(counts[each] for each in after)
        stack.pop()
    return counts[first]


def synced(services: Services, side: str, empty: State) -> State:
    """Return the state in which both sides hold an object that a user of `side` wrote."""
    write = Acts("", (Step((("do", Op(0.0, side, "put", KEY, "w0")),), 0, 0),), True)
    explorer = Explorer(services, write, Limits())
    state = explorer.drain(empty)
    return state._replace(now=state.now + 10, acts=0)


def initial(services: Services) -> State:
    """Return the state before the first act."""
    parts = services.save()
    return State(
        initial_time(services), 0, (parts[0], parts[1]), (parts[2], parts[3]), ((), ()), (), parts[4], 0, (0, 0), 0
    )


def initial_time(services: Services) -> int:
    """Return the second at which a history starts."""
    return int(services.start)
