"""Test situations of operators over HTTP: seeded buckets, pauses, shared buckets, undelete, odd messages, a purge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest

from dualsync.components.bucket_access.notifications import Subscription, get, put
from dualsync.runtime.model.records import CONTROL, CONTROLS_ID, Record
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from tests.integration.http.cloud import EmulatorClock
from tests.integration.http.side import AccountClients, HttpSide
from tests.integration.http.stage import HttpStage
from tests.integration.sandbox.conftest import queue_policy

Sides = tuple[Mapping[SideName, AccountClients], EmulatorClock]


@pytest.fixture
def http(stage: Sides) -> Iterator[HttpStage]:
    http = HttpStage(*stage)
    yield http
    http.close()


def play(http: HttpStage, *lines: str) -> None:
    for line in lines:
        http.perform(line)


@pytest.mark.parametrize("side", list(SideName))
@pytest.mark.parametrize("parts", [False, True], ids=["the same parts", "other parts"])
def test_seeded_buckets_converge_without_writes_and_later_deletions_are_copied(
    http: HttpStage, side: SideName, parts: bool
) -> None:
    play(http, *(["given parts True"] if parts else []), f"{side} seed a one", f"{side} seed b two")
    here, there = http.sides[side], http.sides[side.peer]
    assert (etag(here, "a") != etag(there, "a")) is parts
    play(http, "finders", "expect writes 0", "expect records conflict 0")
    play(http, "wait 100", f"{side} delete a", f"{side.peer} put b three", "settle")
    play(http, "expect a nothing", "expect b three", "expect right", "expect records conflict 0")


def test_seeded_objects_with_other_metadata_converge_to_the_newest(http: HttpStage) -> None:
    play(http, "cn put a one", "wait 10", "global put a two like one", "cn lose e1", "global lose e1")
    play(http, "finders", "finders", "expect a two", "expect right")


def test_finders_queue_nothing_while_a_side_is_paused(http: HttpStage) -> None:
    play(http, "cn put old one", "settle", "wait 1000")
    for number in range(5):
        http.perform(f"cn put k{number} w{number}")
    cn = http.contexts[SideName.CN]

    async def pause(paused: bool) -> None:
        await cn.ledger.record(Record(CONTROL, CONTROLS_ID, 1, data={"paused": paused}))

    async def waiting() -> int:
        return (await cn.queue.depth()).messages

    http.run(pause(True))
    before = http.run(waiting())
    for _ in range(3):
        play(http, "wait 3600", "cn finder")
    assert http.run(waiting()) == before == 5
    http.run(pause(False))
    play(http, "settle", "expect keys k0 k1 k2 k3 k4 old", "expect right")


def test_two_subscriptions_of_one_bucket_send_each_its_own_events(stage: Sides) -> None:
    """One pair under two prefixes, or two pairs: both entries stay, whichever comes first."""
    side = HttpSide(stage[0][SideName.CN])
    arns = {}
    for name in ("a", "b"):
        url = side.sqs.create_queue(QueueName=f"{side.bucket}-{name}")["QueueUrl"]
        arns[url] = side.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = queue_policy(arns[url], side.bucket, side.name)
        side.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    side.s3.put_bucket_notification_configuration(Bucket=side.bucket, NotificationConfiguration={})
    wanted = [
        Subscription(
            bucket=side.bucket,
            owner=ACCOUNTS[side.name].account_id,
            id=f"pair-{arn[-1]}",
            queue_arn=arn,
            events=("s3:ObjectCreated:*",),
            prefix=f"{arn[-1]} =&/",
        )
        for arn in arns.values()
    ]
    for each in wanted:
        put(side.s3, each, lambda seconds: None)
    assert [get(side.s3, each) for each in wanted] == wanted
    for name in ("a", "b"):
        side.put(f"{name} =&/k", name, name)
    for url, arn in arns.items():
        messages = side.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        # S3's test event has no records.
        (event,) = [record for m in messages for record in json.loads(m["Body"]).get("Records", ())]
        assert event["s3"]["object"]["key"] == quote_plus(f"{arn[-1]} =&/k", safe="/")


@pytest.mark.parametrize("side", list(SideName))
def test_a_removed_delete_marker_is_copied_by_its_event(http: HttpStage, side: SideName) -> None:
    play(http, f"given versioning {side}=Enabled", f"{side} put a one", "settle", "wait 100")
    play(http, f"{side} delete a", "settle", "expect a nothing", "wait 100", f"{side} undelete a", "settle")
    play(http, "expect a one", "expect right")


class Log:
    """A log that keeps the reasons of a worker's outcomes."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def line(self, level: str, event: str, **fields: Any) -> None:
        if level == "ERROR":
            self.reasons.append(str(fields.get("reason")))


@pytest.fixture
def settled(http: HttpStage) -> HttpStage:
    """Return a pair that has held `a` and `b` on both sides for a long time."""
    play(http, "cn put a one", "cn put b one", "settle", "wait 1000", "expect writes 2")
    return http


def send(http: HttpStage, *bodies: dict[str, Any] | str) -> None:
    """Put bodies into cn's queue as the console's move task does: raw."""
    cn = http.sides[SideName.CN]
    for body in bodies:
        text = body if isinstance(body, str) else json.dumps(body)
        cn.sqs.send_message(QueueUrl=cn.queue_url, MessageBody=text)


def depth(http: HttpStage) -> int:
    """Return the messages of cn's queue, received or not."""

    async def read() -> int:
        return (await http.contexts[SideName.CN].queue.depth()).messages

    return http.run(read())


def event(http: HttpStage, key: str) -> dict[str, Any]:
    """Return an old event of a user's put, with an ETag that the object does not have."""
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-27T10:00:00.000Z",
        "userIdentity": {"principalId": "AWS:AIDAX"},
        "s3": {
            "bucket": {"name": http.sides[SideName.CN].bucket},
            "object": {"key": key, "size": 1, "eTag": "0" * 32, "sequencer": "0055AED6DCD90281E5"},
        },
    }
    return {"Records": [record]}


def test_dead_letters_that_the_console_moved_back_change_nothing(settled: HttpStage) -> None:
    request = {"key": "b", "cause": "created", "actor": "user", "attempt": 50, "careful": True, "since": 1.0}
    send(
        settled,
        event(settled, "a"),
        {"dualsync": {**request, "reason": "contended"}},
        {"dualsync": request | {"key": "no"}},
    )
    play(settled, "settle", "expect a one", "expect b one", "expect right", "expect writes 2", "expect deletions 0")
    assert depth(settled) == 0


def test_foreign_messages_are_parsed_or_left_and_do_not_block_others(settled: HttpStage) -> None:
    log = Log()
    settled.contexts[SideName.CN] = replace(settled.contexts[SideName.CN], log=log)
    read: list[dict[str, Any]] = [
        {"Type": "Notification", "Message": json.dumps(event(settled, "a"))},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": settled.sides[SideName.CN].bucket},
        {"Records": []},
    ]
    bridge = {"detail-type": "Object Created", "source": "aws.s3", "detail": {"object": {"key": "b"}}}
    send(settled, *read, bridge, "hello", "{}")
    play(settled, "cn put c one", "settle", "expect c one", "expect right", "expect writes 3", "expect deletions 0")
    assert depth(settled) == 3, "they wait for the queue's redrive to the dead-letter queue"
    assert len(log.reasons) == 3
    assert all(reason.startswith("unreadable message: ") for reason in log.reasons)
    assert sum("EventBridge" in reason for reason in log.reasons) == 1


def test_the_finders_pick_up_the_changes_of_a_purged_queue(settled: HttpStage) -> None:
    for number in range(12):
        settled.perform(f"cn put k{number:02} w")
    cn = settled.sides[SideName.CN]
    play(settled, "cn delete a")
    cn.sqs.purge_queue(QueueUrl=cn.queue_url)
    play(settled, "settle", "expect global k00 nothing", "expect global a one", "expect writes 2")
    play(settled, "finders", "expect right", "expect a nothing", "expect writes 14", "expect deletions 1")


def move(side: SideName, key: str, to: str) -> list[str]:
    """Return the lines of `aws s3 mv`."""
    return [f"{side} copy {key} {to}", f"{side} delete {key}"]


@pytest.mark.parametrize("side", list(SideName))
def test_keys_that_are_swapped_or_moved_there_and_back_arrive(http: HttpStage, side: SideName) -> None:
    """Move at the origin, and at the side that has the replicas."""
    play(http, "cn put a A", "cn put b B", "settle", "wait 100")
    play(http, *move(side, "a", "t"), *move(side, "b", "a"), *move(side, "t", "b"), "settle")
    play(http, "expect a B", "expect b A", "expect t nothing", "expect right")
    for _ in range(3):
        play(http, *move(side, "a", "c"), *move(side, "c", "a"))
    play(http, "settle", "finders", "expect keys a b", "expect a B", "expect right")


@pytest.mark.parametrize("side", list(SideName))
def test_a_folder_renamed_while_the_other_side_edits_in_it_arrives_with_the_edits(
    http: HttpStage, side: SideName
) -> None:
    for number in range(8):
        http.perform(f"cn put old/{number} v{number}")
    play(http, "settle", "wait 100")
    for number in range(8):
        http.perform(f"{side} copy old/{number} new/{number}")
        if number % 4 == 0:
            play(http, f"{side.peer} put old/{number} edit{number}", f"{side.peer} lose e1")
        http.perform(f"{side} delete old/{number}")
    play(http, "wait 100", "settle", "finders", "finders", "expect right")
    for number in range(8):
        play(http, f"expect new/{number} v{number}")
    play(http, "expect old/1 nothing", "expect old/0 edit0", "expect old/4 edit4")


def test_many_deletions_by_one_request_are_copied(http: HttpStage) -> None:
    keys = [f"batch/{number:02} +&" for number in range(30)]
    for key in keys:
        http.perform(f"cn put '{key}' w")
    play(http, "settle", "wait 100")
    cn = http.sides[SideName.CN]
    cn.s3.delete_objects(Bucket=cn.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
    play(http, "settle", "expect keys", "expect deletions 30")


def etag(side: HttpSide, key: str) -> str:
    return str(side.s3.head_object(Bucket=side.bucket, Key=key)["ETag"])
