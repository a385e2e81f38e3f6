"""Dead letters: what they were about, sending them anew, and dropping them.

Sending anew never repeats what the letter said: a worker gets a careful look at its keys, and decides from what is
there then.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from dualsync.runtime.messages.parser import Principals, UnreadableMessageError, parse_message
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.messages.sync_request_codec import message_body
from dualsync.runtime.operations.context import Letter, Side
from dualsync.runtime.operations.status import UNEXPLAINED

HOLD_SECONDS = 300
"""How long a letter is hidden from other operators while this one reads."""
BATCH = 10


@dataclass(frozen=True, slots=True)
class OpenedLetter:
    """A letter and the looks that it asks for; `unreadable` says why there are none."""

    letter: Letter
    looks: Sequence[SyncRequest] = ()
    unreadable: str = ""

    @property
    def reason(self) -> str:
        """Why it is dead."""
        return self.letter.reason or (f"unreadable: {self.unreadable}" if self.unreadable else UNEXPLAINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters. Nothing given: all. `id` may be its beginning, as the list shows it."""

    id: str = ""
    key: str = ""
    reason: str = ""

    def takes(self, opened: OpenedLetter) -> bool:
        """Is it one of them? `reason` is part of the letter's."""
        return (
            opened.letter.id.startswith(self.id)
            and (not self.key or any(look.key == self.key for look in opened.looks))
            and self.reason.lower() in opened.reason.lower()
        )


def open_letter(letter: Letter, side: Side) -> OpenedLetter:
    """Read it as a worker would."""
    settings = side.settings
    prefix = settings.local_prefix

    def relative(key: str) -> str | None:
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    try:
        looks = parse_message(letter.body, Principals(frozenset(settings.own_user_ids)), relative, letter.sent)
    except UnreadableMessageError as e:
        return OpenedLetter(letter, unreadable=str(e))
    return OpenedLetter(letter, tuple(looks))


def redrive_body(body: str) -> str:
    """The message that has a worker look carefully at what a letter was about."""
    while True:
        document = json.loads(body)
        inner = document.get("redrive")
        if not isinstance(inner, str):
            return message_body({"redrive": body})
        body = inner


async def letters(side: Side, limit: int) -> AsyncIterator[list[OpenedLetter]]:
    """Batches of at most `limit` letters together; all are seen again by others when the iteration ends."""
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
    """What became of the letters that were wanted."""

    done: int = 0
    unreadable: int = 0
    left: int = 0


async def redrive(side: Side, wanted: Wanted, limit: int, on_progress: Callable[[int], None]) -> Tally:
    """Send the wanted letters anew, and remove each only when its message is durable."""
    tally = Tally()
    async for batch in letters(side, limit):
        chosen = [opened for opened in batch if wanted.takes(opened)]
        readable = [opened for opened in chosen if not opened.unreadable]
        tally.left += len(batch) - len(chosen)
        tally.unreadable += len(chosen) - len(readable)
        bodies = [redrive_body(opened.letter.body) for opened in readable if opened.looks]
        await side.queue.send(bodies)
        await side.dead_letter_queue.remove([opened.letter for opened in readable])
        tally.done += len(readable)
        on_progress(tally.done)
    return tally


async def drop(side: Side, wanted: Wanted, limit: int, on_progress: Callable[[int], None]) -> Tally:
    """Remove the wanted letters for good."""
    tally = Tally()
    async for batch in letters(side, limit):
        chosen = [opened for opened in batch if wanted.takes(opened)]
        await side.dead_letter_queue.remove([opened.letter for opened in chosen])
        tally.done += len(chosen)
        tally.left += len(batch) - len(chosen)
        on_progress(tally.done)
    return tally
