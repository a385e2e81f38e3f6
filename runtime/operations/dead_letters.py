"""Dead letters: which keys they concern, sending them again, and dropping them.

Sending again never repeats the old message: a worker makes a full check of its keys, and decides by their present
state.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from dualsync.runtime.messages.parser import Principals, UnreadableMessageError, parse_message
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.messages.sync_request_codec import message_body
from dualsync.runtime.operations.context import Letter, Side
from dualsync.runtime.operations.status import UNEXPLAINED_REASON

HOLD_SECONDS = 300
"""How long a letter is hidden from other operators while this one reads."""
BATCH = 10


@dataclass(frozen=True, slots=True)
class OpenedLetter:
    """A dead letter, decoded."""

    letter: Letter
    """The letter."""
    requests: Sequence[SyncRequest] = ()
    """The sync requests in it."""
    unreadable: str = ""
    """Why it has none; empty when it was decoded."""

    @property
    def reason(self) -> str:
        """Why it is a dead letter."""
        return self.letter.reason or (f"unreadable: {self.unreadable}" if self.unreadable else UNEXPLAINED_REASON)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSelection:
    """Which letters. Nothing given: all."""

    id: str = ""
    """The beginning of the id, as the list shows it."""
    key: str = ""
    """The key that it concerns."""
    reason: str = ""
    """Part of the reason."""

    def includes(self, opened: OpenedLetter) -> bool:
        """Return whether it is one of them."""
        return (
            opened.letter.id.startswith(self.id)
            and (not self.key or any(request.key == self.key for request in opened.requests))
            and self.reason.lower() in opened.reason.lower()
        )


def open_letter(letter: Letter, side: Side) -> OpenedLetter:
    """Decode it as a worker does."""
    settings = side.settings
    prefix = settings.local_prefix

    def relative(key: str) -> str | None:
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    try:
        requests = parse_message(letter.body, Principals(frozenset(settings.own_user_ids)), relative, letter.sent)
    except UnreadableMessageError as e:
        return OpenedLetter(letter, unreadable=str(e))
    return OpenedLetter(letter, tuple(requests))


def redrive_body(body: str) -> str:
    """Return the message that makes a worker check the keys of a dead letter."""
    while True:
        document = json.loads(body)
        inner = document.get("redrive")
        if not isinstance(inner, str):
            return message_body({"redrive": body})
        body = inner


async def letters(side: Side, limit: int) -> AsyncIterator[list[OpenedLetter]]:
    """Yield batches of at most `limit` letters together; all become visible to others when the iteration ends."""
    held: list[Letter] = []
    try:
        while len(held) < limit:
            batch = await side.dead_letter_queue.hold(min(BATCH, limit - len(held)), HOLD_SECONDS)
            if not batch:
                return
            held += batch
            yield [open_letter(letter, side) for letter in batch]
    finally:
        await side.dead_letter_queue.release(held)


@dataclass(slots=True)
class Tally:
    """The result for the letters that were chosen."""

    done: int = 0
    """Sent again, or dropped."""
    unreadable: int = 0
    """Not readable by any worker."""
    not_chosen: int = 0
    """Not chosen."""


async def redrive(side: Side, wanted: LetterSelection, limit: int, on_progress: Callable[[int], None]) -> Tally:
    """Send the chosen letters again, and remove each only when its message is durable."""
    tally = Tally()
    async for batch in letters(side, limit):
        chosen = [opened for opened in batch if wanted.includes(opened)]
        readable = [opened for opened in chosen if not opened.unreadable]
        tally.not_chosen += len(batch) - len(chosen)
        tally.unreadable += len(chosen) - len(readable)
        bodies = [redrive_body(opened.letter.body) for opened in readable if opened.requests]
        await side.queue.send(bodies)
        await side.dead_letter_queue.remove([opened.letter for opened in readable])
        tally.done += len(readable)
        on_progress(tally.done)
    return tally


async def drop(side: Side, wanted: LetterSelection, limit: int, on_progress: Callable[[int], None]) -> Tally:
    """Remove the chosen letters for good."""
    tally = Tally()
    async for batch in letters(side, limit):
        chosen = [opened for opened in batch if wanted.includes(opened)]
        await side.dead_letter_queue.remove([opened.letter for opened in chosen])
        tally.done += len(chosen)
        tally.not_chosen += len(batch) - len(chosen)
        on_progress(tally.done)
    return tally
