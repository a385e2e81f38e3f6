"""What operators meet, over HTTP: seeded buckets, a paused side with finder runs, one bucket of two pairs, undelete."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote_plus

import pytest

from dualsync.components.bucket_access.notifications import Subscription, get, put
from dualsync.runtime.model.records import CONTROL, ORDERS_ID, Record
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from tests.integration.http.cloud import StoryClock
from tests.integration.http.side import HttpSide, People
from tests.integration.http.stage import HttpStage
from tests.integration.sandbox.conftest import queue_policy

Sides = tuple[Mapping[SideName, People], StoryClock]


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
def test_seeded_buckets_meet_without_a_write_and_a_deletion_then_travels(
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
        await cn.ledger.record(Record(CONTROL, ORDERS_ID, 1, data={"paused": paused}))

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
        (event,) = [record for m in messages for record in json.loads(m["Body"]).get("Records", ())]  # not the test's
        assert event["s3"]["object"]["key"] == quote_plus(f"{arn[-1]} =&/k", safe="/")


@pytest.mark.parametrize("side", list(SideName))
def test_a_removed_delete_marker_travels_at_once_by_its_event(http: HttpStage, side: SideName) -> None:
    play(http, f"given versioning {side}=Enabled", f"{side} put a one", "settle", "wait 100")
    play(http, f"{side} delete a", "settle", "expect a nothing", "wait 100", f"{side} undelete a", "settle")
    play(http, "expect a one", "expect right")


def etag(side: HttpSide, key: str) -> str:
    return str(side.s3.head_object(Bucket=side.bucket, Key=key)["ETag"])
