"""Test queues (Amazon SQS Developer Guide and API Reference)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dualsync.runtime.ports import Message, Queue
from tests.contract.adapters import VISIBILITY_SECONDS, AdapterWorld


async def drain(queue: Queue) -> list[Message]:
    messages: list[Message] = []
    while batch := await queue.receive(10, 0):
        messages += batch
    return messages


def bodies(messages: Sequence[Message]) -> Counter[str]:
    return Counter(message.body for message in messages)


async def test_empty_queue_returns_nothing(world: AdapterWorld) -> None:
    assert list(await world.queue.receive(10, 0)) == []
    await world.queue.send([])
    await world.queue.delete([])
    assert list(await world.queue.receive(10, 0)) == []


async def test_sent_messages_are_received(world: AdapterWorld) -> None:
    sent = [f'{{"n": {number}, "text": "ü\\u0001"}}' for number in range(23)]
    await world.queue.send(sent)
    messages = await drain(world.queue)
    assert bodies(messages) == Counter(sent)
    assert {message.receives for message in messages} == {1}
    assert len({message.handle for message in messages}) == 23
    assert max(m.sent for m in messages) - min(m.sent for m in messages) < 60


async def test_receive_returns_at_most_the_limit(world: AdapterWorld) -> None:
    await world.queue.send(["a", "b", "c"])
    assert len(await world.queue.receive(2, 0)) <= 2


async def test_large_messages_are_sent_in_separate_batches(world: AdapterWorld) -> None:
    sent = [str(number) * 60_000 for number in range(10)]
    await world.queue.send(sent)
    assert bodies(await drain(world.queue)) == Counter(sent)


async def test_received_message_returns_unless_deleted(world: AdapterWorld) -> None:
    await world.queue.send(["kept", "deleted"])
    messages = await drain(world.queue)
    await world.queue.delete([message for message in messages if message.body == "deleted"])
    assert await drain(world.queue) == []
    world.advance(VISIBILITY_SECONDS + 1)
    again = await drain(world.queue)
    assert [(message.body, message.receives) for message in again] == [("kept", 2)]
    await world.queue.delete(again)
    await world.queue.delete(again)
    world.advance(VISIBILITY_SECONDS + 1)
    assert await drain(world.queue) == []


async def test_many_messages_are_deleted_at_once(world: AdapterWorld) -> None:
    await world.queue.send([str(number) for number in range(25)])
    await world.queue.delete(await drain(world.queue))
    world.advance(VISIBILITY_SECONDS + 1)
    assert await drain(world.queue) == []


async def test_extended_message_stays_hidden(world: AdapterWorld) -> None:
    await world.queue.send(["a"])
    (message,) = await drain(world.queue)
    await world.queue.extend([message], 5 * VISIBILITY_SECONDS)
    world.advance(2 * VISIBILITY_SECONDS)
    assert await drain(world.queue) == []
    world.advance(4 * VISIBILITY_SECONDS)
    assert len(await drain(world.queue)) == 1


async def test_message_handed_back_is_received_again(world: AdapterWorld) -> None:
    await world.queue.send(["a"])
    (message,) = await drain(world.queue)
    await world.queue.extend([message], 0)
    (again,) = await drain(world.queue)
    assert again.receives == 2


async def test_extending_a_deleted_message_does_nothing(world: AdapterWorld) -> None:
    await world.queue.send(["a"])
    (message,) = await drain(world.queue)
    await world.queue.delete([message])
    await world.queue.extend([message], 0)
    assert await drain(world.queue) == []


async def test_delayed_message_is_received_after_its_delay(world: AdapterWorld) -> None:
    await world.queue.send(["later"], delay_seconds=900)
    world.advance(880)
    assert await drain(world.queue) == []
    world.advance(40)
    assert bodies(await drain(world.queue)) == {"later": 1}


async def test_message_sent_to_the_dead_letter_queue_keeps_its_reason(world: AdapterWorld) -> None:
    await world.queue.send(["bad"])
    (message,) = await drain(world.queue)
    await world.queue.send_to_dlq(message, "NoSuchBucket: it is gone")
    assert list(world.dead_letters()) == [("bad", "NoSuchBucket: it is gone")]
    await world.queue.delete([message])
    world.advance(VISIBILITY_SECONDS + 1)
    assert await drain(world.queue) == []
