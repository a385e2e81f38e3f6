"""Generate the transitions of a state: the next call of each process, a received message, an act of a user, a fault."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.ports import QueueDepth
from tests.simulation.exploration.acts import Acts
from tests.simulation.exploration.automaton import Node, Raised
from tests.simulation.exploration.services import EFFECTS, Services
from tests.simulation.exploration.state import Fault, Limits, Message, Process, State, changed, in_order, queue_of
from tests.simulation.histories.world import VISIBILITY

LATE = 1200
"""Delay of a late event in seconds, which is longer than all retries of earlier messages."""
RECORDS = '{"Records":['
"""Start of the body of S3's messages."""
UNANSWERED = Raised(UnavailableError("the answer was lost"))


class Transitions:
    """The transitions of one history. `eager` counts the states in which only one process was continued."""

    def __init__(self, services: Services, acts: Acts, limits: Limits) -> None:
        self.services = services
        self.acts = acts
        self.limits = limits
        self.eager = 0
        self._nodes = services.automata.nodes
        self._lost_answer = services.answer(UNANSWERED)

    def after(self, state: State) -> Iterator[State]:
        """Yield the states that may follow."""
        for process in state.processes:
            if self.unobservable(state, process):
                self.eager += 1
                yield from self.steps(state, process)
                return
        if state.acts < len(self.acts.steps):
            yield self._act(state)
        for process in state.processes:
            yield from self.steps(state, process)
        for side in (0, 1):
            yield from self._receive(state, side)
            if state.finders[side]:
                left = changed(state.finders, side, state.finders[side] - 1)
                yield self.with_finder(state._replace(finders=left), side)
        waiting = [message.due for queue in state.queues for message in queue]
        if waiting and min(waiting) > 0 and all(process.role == "ghost" for process in state.processes):
            now = min(waiting)
            queues = tuple(queue_of(m._replace(due=0) if m.due <= now else m for m in queue) for queue in state.queues)
            yield state._replace(now=max(now, state.now), queues=(queues[0], queues[1]))

    def fused(self, state: State) -> State:
        """Follow a state while it has one transition only, whose effect no other process can observe."""
        while state.faults == 0:
            process = next((each for each in state.processes if self.unobservable(state, each)), None)
            if process is None:
                return state
            state = self.moved(state, process)
            self.eager += 1
        return state

    def moved(self, state: State, process: Process) -> State:
        """Return the state after the next call of a process, without a fault."""
        return next(self.steps(state, process))

    def unobservable(self, state: State, process: Process) -> bool:
        """Return True if no other process can observe the effect of this one's next call, now or later."""
        call = self._nodes[process.node].call
        if call is None or call.service not in ("ledger", "queue") or call.method == "depth":
            return False
        side = process.side
        return (
            self.limits.workers[side] == 1
            and not state.finders[side]
            and sum(each.side == side for each in state.processes) == 1
        )

    def _act(self, state: State) -> State:
        step = self.acts.steps[state.acts]
        now = state.now + step.before
        left, right, judges, events = self.services.act(step.ops, self.parts(state), now)
        queues = state.queues
        for side, text in events:
            queues = changed(queues, side, queue_of((*queues[side], Message(text, now, 0, 0))))
        return state._replace(
            now=now + step.after, acts=state.acts + 1, stores=(left, right), judges=judges, queues=queues
        )

    def _receive(self, state: State, side: int) -> Iterator[State]:
        queue = state.queues[side]
        busy = sum(each.role == "worker" and each.side == side for each in state.processes)
        if busy >= self.limits.workers[side]:
            return
        kinds = self.limits.kinds if state.faults else ()
        for message in dict.fromkeys(queue):
            if message.due:
                continue
            at = queue.index(message)
            rest = (*queue[:at], *queue[at + 1 :])
            taken = message._replace(receives=message.receives + 1)
            node = self.services.worker(side, taken.body, taken.sent, taken.receives, state.now)
            process = Process(side, "worker", node.number, taken)
            processes = in_order((*state.processes, process))
            after = state._replace(queues=changed(state.queues, side, rest), processes=processes)
            yield after
            if not kinds:
                continue
            after = after._replace(faults=state.faults - 1)
            if Fault.DUPLICATE in kinds:
                for due in (0, state.now + LATE):
                    again = queue_of((*rest, message._replace(due=due)))
                    yield after._replace(queues=changed(state.queues, side, again))
            if Fault.BATCH in kinds:
                yield from self._batches(state, side, message, rest)
            if Fault.LATE in kinds:
                later = queue_of((*rest, message._replace(due=state.now + LATE)))
                yield state._replace(faults=state.faults - 1, queues=changed(state.queues, side, later))

    def _batches(self, state: State, side: int, first: Message, rest: tuple[Message, ...]) -> Iterator[State]:
        text = self.services.bodies.values[first.body]
        for at, second in enumerate(rest):
            other = self.services.bodies.values[second.body]
            if second.due or first.receives or second.receives or not text.startswith(RECORDS + "{"):
                continue
            if not other.startswith(RECORDS + "{"):
                continue
            both = f"{text.removesuffix(']}')},{other.removeprefix(RECORDS)}"
            message = Message(self.services.bodies.number(both, both), first.sent, 0, 0)
            queue = queue_of((*rest[:at], *rest[at + 1 :], message))
            yield state._replace(faults=state.faults - 1, queues=changed(state.queues, side, queue))

    def with_finder(self, state: State, side: int) -> State:
        """Return the state with a finder that has just started."""
        process = Process(side, "finder", self.services.finder(side, state.now).number, None)
        return state._replace(processes=in_order((*state.processes, process)))

    def steps(self, state: State, process: Process) -> Iterator[State]:
        """Yield the states after the next call of a process: without a fault, and with each fault that may happen."""
        node = self._nodes[process.node]
        others = tuple(each for each in state.processes if each is not process)
        if node.call is None:
            yield self._ended(state, process, others)
            return
        after, answer, message = self._perform(state, process, node)
        value = self.services.answers.values[answer]
        child = self.services.automata.next(node, answer, value, state.now)
        yield self._continued(after, process, others, child, message)
        kinds = self.limits.kinds if state.faults else ()
        if not kinds:
            return
        changes = node.call.method in EFFECTS
        after = after._replace(faults=state.faults - 1)
        if Fault.CRASH in kinds and (changes or node.parent is None):
            yield self._returned(after._replace(processes=others), process.side, message)
        if process.role == "finder":
            return
        if Fault.UNANSWERED in kinds and changes:
            child = self.services.automata.next(node, self._lost_answer, UNANSWERED, state.now)
            yield self._continued(after, process, others, child, message)
        if Fault.STALL in kinds and process.role == "worker" and process.message is not None:
            ghost = process._replace(role="ghost", message=None)
            stalled = state._replace(faults=state.faults - 1, processes=in_order((*others, ghost)))
            yield self._returned(stalled, process.side, process.message)

    def _perform(self, state: State, process: Process, node: Node) -> tuple[State, int, Message | None]:
        call, side, message = node.call, process.side, process.message
        assert call is not None
        if call.service == "ledger":
            table, answer = self.services.ledger_call(node, side, call, state.tables[side])
            return state._replace(tables=changed(state.tables, side, table)), answer, message
        if call.service == "queue":
            return self._queue_call(state, process, node)
        if call.service == "clock":
            raise AssertionError("no process sleeps here")
        target = side if call.service == "local" else 1 - side
        store, judges, answer, events = self.services.bucket_call(
            node, side, call, state.stores[target], state.judges, state.now
        )
        queue = state.queues[target]
        if events:
            queue = queue_of((*queue, *(Message(text, state.now, 0, 0) for text in events)))
        state = state._replace(
            stores=changed(state.stores, target, store),
            judges=judges,
            queues=changed(state.queues, target, queue),
        )
        return state, answer, message

    def _queue_call(self, state: State, process: Process, node: Node) -> tuple[State, int, Message | None]:
        call, side, message = node.call, process.side, process.message
        assert call is not None
        queue = state.queues[side]
        answer: object = None
        if call.method == "delete":
            message = None
        elif call.method == "send":
            bodies, delay = call.arguments
            due = state.now + delay if delay else 0
            sent = (Message(self.services.bodies.number(text, text), state.now, due, 0) for text in bodies)
            queue = queue_of((*queue, *sent))
        elif call.method == "send_to_dlq":
            state = state._replace(dead=state.dead + 1)
        elif call.method == "depth":
            answer = QueueDepth(
                len(queue) + sum(p.side == side and p.message is not None for p in state.processes), state.dead
            )
        return state._replace(queues=changed(state.queues, side, queue)), self.services.answer(answer), message

    def _continued(
        self, state: State, process: Process, others: tuple[Process, ...], node: Node, message: Message | None
    ) -> State:
        if node.call is None:
            return self._ended(state, process._replace(node=node.number, message=message), others)
        moved = process._replace(node=node.number, message=message)
        return state._replace(processes=in_order((*others, moved)))

    def _ended(self, state: State, process: Process, others: tuple[Process, ...]) -> State:
        return self._returned(state._replace(processes=others), process.side, process.message)

    def _returned(self, state: State, side: int, message: Message | None) -> State:
        """Return the state in which a message that was not acknowledged becomes visible again later."""
        if message is None:
            return state
        queue = queue_of((*state.queues[side], message._replace(due=state.now + VISIBILITY)))
        return state._replace(queues=changed(state.queues, side, queue))

    def parts(self, state: State) -> tuple[int, ...]:
        """Return the numbers of stores, tables and judges in a state."""
        return (*state.stores, *state.tables, state.judges)
