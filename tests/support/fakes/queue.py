"""Provide `dualsync.runtime.ports.Queue` in memory.

Messages are delivered at least once and in any order, hidden while they are received, and moved to the dead-letter
queue when they were received too often.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from random import Random

from dualsync.runtime.errors import PermanentError
from dualsync.runtime.ports import QueueDepth
from tests.support.fakes.clock import Time
from tests.support.fakes.gate import Gate, open_gate

FORBIDDEN = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""A character that a message may not have (Amazon SQS API Reference, SendMessage: InvalidMessageContents)."""

MAX_RECEIVES = 5
VISIBILITY = 900
RETENTION = 14 * 86400


class Letter:
    """A message in the queue. `label` is the driver's name for it. A handle belongs to one receive."""

    __slots__ = ("body", "deleted", "label", "number", "receives", "sent", "visible")

    def __init__(self, number: int, body: str, sent: float, visible: float) -> None:
        self.number = number
        self.body = body
        self.sent = sent
        self.visible = visible
        self.receives = 0
        self.deleted = False
        self.label = ""


class FakeMessage:
    """One receive of a letter."""

    __slots__ = ("body", "handle", "letter", "receives", "sent")

    def __init__(self, letter: Letter) -> None:
        self.letter = letter
        self.body = letter.body
        self.receives = letter.receives
        self.sent = letter.sent
        self.handle = f"{letter.number}#{letter.receives}"

    @property
    def hidden_until(self) -> float:
        """Return the time until which the receiver counts the message as hidden."""
        return self.letter.visible if self.letter.receives == self.receives else -math.inf


class Broker:
    """The queue's service side. `wake(letter)` is called when its visibility is set; `dead` holds (body, reason)."""

    def __init__(
        self,
        time: Time,
        *,
        random: Random | None = None,
        visibility: float = VISIBILITY,
        max_receives: int = MAX_RECEIVES,
        retention: float = RETENTION,
    ) -> None:
        self.time = time
        self.random = random or Random(0)
        self.visibility = visibility
        self.max_receives = max_receives
        self.retention = retention
        self.letters: dict[int, Letter] = {}
        self.dead: list[tuple[str, str]] = []
        self.wake: Callable[[Letter], None] | None = None
        self.deleted: Callable[[Letter], None] | None = None
        self.sends = 0
        self._count = 0

    def send(self, body: str, delay: float = 0) -> Letter:
        """SendMessage: stored when this returns, received by a worker `delay` seconds from now or later."""
        self._count += 1
        self.sends += 1
        letter = Letter(self._count, body, self.time.now, self.time.now + delay)
        self.letters[letter.number] = letter
        if self.wake:
            self.wake(letter)
        return letter

    def take(self, letter: Letter) -> FakeMessage | None:
        """Receive this letter if it may be received now; too many receives move it to the dead letters instead."""
        now = self.time.now
        if letter.deleted or letter.visible > now:
            return None
        if now - letter.sent > self.retention:
            self._drop(letter)
            return None
        if letter.receives >= self.max_receives:
            self._drop(letter)
            self.dead.append((letter.body, "received too often"))
            return None
        letter.receives += 1
        letter.visible = now + self.visibility
        if self.wake:
            self.wake(letter)
        return FakeMessage(letter)

    def receive(self, limit: int) -> list[FakeMessage]:
        """ReceiveMessage: up to `limit` (≤ 10) visible letters, in no order."""
        if not 1 <= limit <= 10:
            raise ValueError(f"receive limit {limit}: 1 to 10")
        now = self.time.now
        visible = [letter for letter in self.letters.values() if letter.visible <= now]
        self.random.shuffle(visible)
        taken = []
        for letter in visible:
            message = self.take(letter)
            if message:
                taken.append(message)
                if len(taken) == limit:
                    break
        return taken

    def delete(self, handle: str) -> None:
        """DeleteMessage. With the handle of an older receive it succeeds without effect ("DeleteMessage")."""
        number, _, receive = handle.partition("#")
        letter = self.letters.get(int(number))
        if letter and int(receive) == letter.receives:
            self._drop(letter)
            if self.deleted:
                self.deleted(letter)

    def extend(self, handle: str, seconds: float) -> None:
        """ChangeMessageVisibility of the newest receive while it is in flight; no effect for any other receive."""
        number, _, receive = handle.partition("#")
        letter = self.letters.get(int(number))
        if letter and int(receive) == letter.receives and letter.visible > self.time.now:
            letter.visible = self.time.now + seconds
            if self.wake:
                self.wake(letter)

    def _drop(self, letter: Letter) -> None:
        letter.deleted = True
        self.letters.pop(letter.number, None)


class FakeQueue:
    """A client of a `Broker`."""

    def __init__(self, broker: Broker, *, gate: Gate = open_gate) -> None:
        self.broker = broker
        self._depth = gate("queue.depth")
        self._receive, self._delete, self._extend, self._send, self._send_to_dlq = (
            gate(f"queue.{call}") for call in ("receive", "delete", "extend", "send", "send_to_dlq")
        )

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[FakeMessage]:
        await self._receive[0]
        messages = self.broker.receive(limit)
        await self._receive[1]
        return messages

    async def delete(self, messages: Sequence[object]) -> None:
        await self._delete[0]
        for message in messages:
            self.broker.delete(message.handle)  # type: ignore[attr-defined]
        await self._delete[1]

    async def extend(self, messages: Sequence[object], seconds: int) -> None:
        await self._extend[0]
        for message in messages:
            self.broker.extend(message.handle, seconds)  # type: ignore[attr-defined]
        await self._extend[1]

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        """SendMessageBatch: send all bodies with allowed characters, then raise an error if there are others."""
        if not 0 <= delay_seconds <= 900:
            raise ValueError(f"delay of {delay_seconds} s: SQS takes 0 to 900")
        await self._send[0]
        refused = [body for body in bodies if FORBIDDEN.search(body)]
        for body in bodies:
            if not FORBIDDEN.search(body):
                self.broker.send(body, delay_seconds)
        await self._send[1]
        if refused:
            raise PermanentError("InvalidMessageContents", f"{len(refused)} bodies with characters that SQS refuses")

    async def depth(self) -> QueueDepth:
        await self._depth[0]
        now, retention = self.broker.time.now, self.broker.retention
        kept = sum(now - letter.sent <= retention for letter in self.broker.letters.values())
        depth = QueueDepth(kept, len(self.broker.dead))
        await self._depth[1]
        return depth

    async def send_to_dlq(self, message: object, reason: str) -> None:
        await self._send_to_dlq[0]
        self.broker.dead.append((message.body, reason))  # type: ignore[attr-defined]
        await self._send_to_dlq[1]
