"""Represent the real worker and finder as automata: the next call of a process depends only on its answers so far.

A process is identified by a node: its message and all answers so far. The real code computes the next call of each node
once, and the result is cached. For a new answer at a node, a coroutine is run again from the start with the answers
that led there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from dualsync.runtime.errors import DualSyncError
from tests.simulation.exploration.service_proxies import AnsweredClock, Call
from tests.support.fakes.gate import kill

Start = Callable[[AnsweredClock], Coroutine[Any, Any, Any]]
MAX_LIVE = 4000
"""Coroutines that are kept at their nodes; further ones are run again when needed."""


class Raised:
    """An answer that is an error. Errors of the same type and text are the same answer."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Node:
    """State of a process. `call` is its next call, or None at its end, where `error` is the error that ended it."""

    __slots__ = ("answer", "call", "children", "error", "name", "number", "parent", "start", "time")

    def __init__(self, number: int, name: str, parent: Node | None, answer: Any, time: int, start: Start) -> None:
        self.number = number
        self.name = name
        self.parent = parent
        self.answer = answer
        self.time = time
        self.start = start
        self.call: Call | None = None
        self.error: Exception | None = None
        self.children: dict[tuple[int, int], Node] = {}


class Automata:
    """All nodes so far."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.runs = 0
        """Number of runs of the real code from its start."""
        self._roots: dict[tuple[Any, ...], Node] = {}
        self._live: dict[int, tuple[Coroutine[Any, Any, Any], AnsweredClock]] = {}

    def root(self, key: tuple[Any, ...], name: str, time: int, start: Start) -> Node:
        """Return the node of a process that starts at `time`. `key` identifies the process and its message."""
        node = self._roots.get((key, time))
        if node is None:
            node = self._roots[key, time] = self._add(name, None, None, time, start)
            clock = AnsweredClock(time)
            coroutine = start(clock)
            self.runs += 1
            self._advance(node, coroutine, clock, None)
        return node

    def next(self, node: Node, number: int, answer: Any, time: int) -> Node:
        """Return the node after this answer at `time`. `number` identifies the answer."""
        child = node.children.get((number, time))
        if child is None:
            child = node.children[number, time] = self._add(node.name, node, answer, time, node.start)
            live = self._live.pop(node.number, None) or self._replay(node)
            self._advance(child, live[0], live[1], answer)
        return child

    def _add(self, name: str, parent: Node | None, answer: Any, time: int, start: Start) -> Node:
        node = Node(len(self.nodes), name, parent, answer, time, start)
        self.nodes.append(node)
        return node

    def _replay(self, node: Node) -> tuple[Coroutine[Any, Any, Any], AnsweredClock]:
        path = []
        at: Node | None = node
        while at is not None:
            path.append(at)
            at = at.parent
        clock = AnsweredClock(path[-1].time)
        coroutine = node.start(clock)
        self.runs += 1
        for each in reversed(path):
            clock.time = each.time
            _send(coroutine, each.answer)
        return coroutine, clock

    def _advance(self, node: Node, coroutine: Coroutine[Any, Any, Any], clock: AnsweredClock, answer: Any) -> None:
        clock.time = node.time
        try:
            node.call = _send(coroutine, answer)
        except StopIteration:
            return
        except DualSyncError as e:
            node.error = e
            return
        if len(self._live) >= MAX_LIVE:
            for old, _ in self._live.values():
                kill(old)
            self._live.clear()
        self._live[node.number] = (coroutine, clock)


def _send(coroutine: Coroutine[Any, Any, Any], answer: Any) -> Any:
    if not isinstance(answer, Raised):
        return coroutine.send(answer)
    answer.error.__traceback__ = answer.error.__context__ = answer.error.__cause__ = None
    return coroutine.throw(answer.error)
