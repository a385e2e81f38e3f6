"""Test metadata, memory bound, batches, parallel calls, credentials, endpoints and secrets."""

from __future__ import annotations

import asyncio
import json
from email.header import decode_header, make_header

import pytest
from botocore.session import Session

from dualsync.runtime.aws.credentials import MachineCredentials
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.http.body_memory import HAS_PRIORITY, Admission, Body
from dualsync.runtime.aws.http.pool import Endpoint
from dualsync.runtime.aws.request_batching import RequestBatcher
from dualsync.runtime.aws.s3 import metadata
from dualsync.runtime.aws.secrets_manager import PeerSecret, PeerSecrets
from dualsync.runtime.aws.sqs import SqsQueue, printable
from dualsync.runtime.aws.sts import StsIdentity
from dualsync.runtime.errors import (
    CredentialRejectedError,
    FatalError,
    PermanentError,
    PreconditionFailedError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.origin_version import STAMP_KEY, Stamp
from dualsync.runtime.platform import LoopParallel
from tests.support.moto_server import Server
from tests.support.scripted_server import KEY, answer, error, scripted
from tests.support.wire import STAMP


def text(value: object) -> bytes:
    return answer(200, json.dumps(value).encode())


# -- metadata


@pytest.mark.parametrize("value", ["grün", "漢字" * 100, "🎈", "a" * 60 + "ü", "Ã¤ is not ä"])
def test_non_ascii_metadata_is_sent_as_rfc_2047_words(value: str) -> None:
    sent = metadata.ascii_value(value)
    assert sent.isascii()
    assert all(len(word) <= 75 for word in sent.split(" "))
    try:
        meant = value.encode("latin-1").decode()
    except UnicodeError:
        meant = value
    assert str(make_header(decode_header(sent))) == meant


def test_metadata_received_as_words_is_sent_unchanged() -> None:
    assert metadata.encode_headers([("k", "=?UTF-8?Q?gr=C3=BCn?=")], None) == {"k": "=?UTF-8?Q?gr=C3=BCn?="}


def test_stamp_is_left_out_if_user_metadata_leaves_no_room() -> None:
    room = metadata.LIMIT_BYTES - len(STAMP_KEY) - len(STAMP.encode())
    assert STAMP_KEY in metadata.encode_headers([("k", "v" * (room - 1))], STAMP)
    assert metadata.encode_headers([("k", "v" * room)], STAMP) == {"k": "v" * room}


def test_invalid_stamp_is_kept_as_user_metadata() -> None:
    assert metadata.decode_headers({STAMP_KEY: "mine", "B": "1", "a": "2"}) == (
        (("a", "2"), ("b", "1"), (STAMP_KEY, "mine")),
        None,
    )
    assert metadata.decode_headers({STAMP_KEY: STAMP.encode()}) == ((), STAMP)
    assert Stamp.decode(STAMP.encode()) == STAMP


# -- memory


async def test_bodies_are_admitted_in_order() -> None:
    admission = Admission(100)
    first = await admission.body(60)
    large = asyncio.create_task(admission.body(90))
    small = asyncio.create_task(admission.body(10))
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done(), "a small body does not overtake a large one"
    del first
    await asyncio.sleep(0)
    assert large.done()
    assert small.done()
    assert admission.held_bytes == 100


async def test_piece_of_a_request_under_way_is_admitted_first() -> None:
    async def hurrying(size: int) -> Body:
        HAS_PRIORITY.set(True)
        return await admission.body(size)

    admission = Admission(100)
    first = await admission.body(60)
    large = asyncio.create_task(admission.body(90))
    await asyncio.sleep(0)
    piece = await asyncio.wait_for(asyncio.create_task(hurrying(40)), 10)
    pieces = [asyncio.create_task(hurrying(n)) for n in (60, 40)]
    await asyncio.sleep(0)
    small = asyncio.create_task(admission.body(1))
    await asyncio.sleep(0)
    del first
    await asyncio.sleep(0)
    assert [waiting.done() for waiting in (*pieces, large, small)] == [True, False, False, False]
    del piece
    await asyncio.sleep(0)
    assert [waiting.done() for waiting in (*pieces, large, small)] == [True, True, False, False]
    del pieces[:]
    await asyncio.sleep(0)
    assert large.done()
    assert small.done()


async def test_body_beyond_the_budget_is_admitted_alone() -> None:
    admission = Admission(100)
    first = await admission.body(1)
    huge = asyncio.create_task(admission.body(1000))
    await asyncio.sleep(0)
    assert not huge.done()
    del first
    assert len(await huge) == 1000


async def test_cancelled_waiter_takes_no_memory() -> None:
    admission = Admission(100)
    first: Body | None = await admission.body(100)
    waiting = [asyncio.create_task(admission.body(50)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    first = None
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert first is None
    assert admission.held_bytes == 50


async def test_cancelled_waiter_lets_those_behind_it_pass() -> None:
    admission = Admission(100)
    held = [await admission.body(60)]
    large, small = (asyncio.create_task(admission.body(size)) for size in (50, 40))
    await asyncio.sleep(0)
    large.cancel()
    held.append(await asyncio.wait_for(small, 60))
    assert admission.held_bytes == 100


# -- batches


async def test_concurrent_items_are_batched() -> None:
    asked: list[list[int]] = []

    async def ask(items: object) -> list[int]:
        asked.append(list(items))  # type: ignore[call-overload]
        return [item * 2 for item in asked[-1]]

    together: RequestBatcher[int, int] = RequestBatcher(ask, 3)
    assert await asyncio.gather(*(together(number) for number in range(7))) == [0, 2, 4, 6, 8, 10, 12]
    assert asked == [[0, 1, 2], [3, 4, 5], [6]]
    assert await together(9) == 18


async def test_batch_error_is_raised_for_all_its_items_without_cancelled_ones() -> None:
    asked: list[list[int]] = []

    async def ask(items: object) -> list[int]:
        asked.append(list(items))  # type: ignore[call-overload]
        raise ThrottledError("no")

    together: RequestBatcher[int, int] = RequestBatcher(ask, 10)
    tasks = [asyncio.create_task(together(number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ThrottledError, asyncio.CancelledError, ThrottledError]
    assert asked == [[0, 2]]


# -- parallel calls


async def test_parallel_map_keeps_order_and_limit() -> None:
    running = most = 0

    async def double(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number * 2

    parallel = LoopParallel()
    assert await parallel.map(double, range(20), 4) == [number * 2 for number in range(20)]
    assert most == 4
    assert await parallel.map(double, [], 4) == []
    assert await parallel.map(double, [3], 0) == [6]


async def test_first_error_cancels_the_other_calls() -> None:
    ended = []

    async def work(number: int) -> None:
        if number == 1:
            raise PreconditionFailedError("this one")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(PreconditionFailedError, match="this one"):
        await LoopParallel().map(work, range(3), 3)
    assert sorted(ended) == [0, 2]


# -- queue and ledger


async def test_failed_entries_of_a_batch_are_sent_again() -> None:
    rejected = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
    failed = {"Successful": [{"Id": "0"}, {"Id": "2"}], "Failed": [rejected]}
    async with scripted(text(failed), text({"Successful": [{"Id": "1"}]})) as script:
        await SqsQueue(script.caller("sqs"), "q", "d").send(["a", "b", "c"], 7)
        second = json.loads(script.requests[1].body)
        assert second == {"QueueUrl": "q", "Entries": [{"Id": "1", "MessageBody": "b", "DelaySeconds": 7}]}


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"SenderFault": True, "Code": "InvalidMessageContents"}, PermanentError),
        ({"SenderFault": True, "Code": "UnknownCode"}, PermanentError),
        ({"SenderFault": False, "Code": "UnknownCode"}, UnavailableError),
    ],
)
async def test_batch_that_keeps_failing_raises(item: dict[str, object], kind: type[Exception]) -> None:
    async with scripted(text({"Failed": [{"Id": "0", **item}]})) as script:
        with pytest.raises(kind):
            await SqsQueue(script.caller("sqs"), "q", "d").send(["a"])


@pytest.mark.parametrize(("reason", "sent"), [("a\nb\x00c", "a b c"), ("", "unknown"), ("ü" * 600, "ü" * 512)])
def test_dead_letter_reason_is_printable_and_bounded(reason: str, sent: str) -> None:
    assert printable(reason) == sent


async def test_concurrent_ledger_reads_are_one_request() -> None:
    async with scripted(text({"Responses": {"t": [{"ObjectKey": {"S": "b"}, "Revision": {"N": "1"}}]}})) as script:
        ledger = DynamoLedger(script.caller("dynamodb"), "t")
        got = await asyncio.gather(*(ledger.get(key) for key in "abb"))
        assert [entry.key if entry else None for entry in got] == [None, "b", "b"]
        (request,) = script.requests
        assert request.headers["x-amz-target"].endswith(".BatchGetItem")
        keys = json.loads(request.body)["RequestItems"]["t"]
        assert keys == {"Keys": [{"ObjectKey": {"S": "a"}}, {"ObjectKey": {"S": "b"}}], "ConsistentRead": True}


async def test_unprocessed_keys_are_read_again_and_then_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
    again = {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [{"ObjectKey": {"S": "a"}}]}}}
    done = {"Responses": {"t": [{"ObjectKey": {"S": "a"}, "Revision": {"N": "3"}}]}}
    async with scripted(text(again), text(again), text(done)) as script:
        ledger = DynamoLedger(script.caller("dynamodb"), "t")
        assert (await ledger.get_many(["a", "b"]))["a"].revision == 3
        assert len(json.loads(script.requests[1].body)["RequestItems"]["t"]["Keys"]) == 1
    async with scripted(text(again)) as script:
        with pytest.raises(ThrottledError, match="unprocessed"):
            await DynamoLedger(script.caller("dynamodb"), "t").get_many(["a"])


async def test_repeated_write_of_the_same_entry_succeeds(server: Server) -> None:
    caller = Network("cn-north-1", KEY).client("dynamodb", server.url)
    ledger = DynamoLedger(caller, server.make_table())
    entry = LedgerEntry("k", 1, updated=5)
    await ledger.put(entry, 0)
    await ledger.put(entry, 0)
    with pytest.raises(PreconditionFailedError):
        await ledger.put(LedgerEntry("k", 1, updated=6), 0)


# -- secret and identity


async def test_peer_secret_is_read(server: Server) -> None:
    caller = Network("cn-north-1", KEY).client("secretsmanager", server.url)
    values = {"access_key_id": "AKIA", "secret_access_key": "very/secret", "user_id": "AIDA"}
    secret = await PeerSecrets(caller, server.make_secret(values)).read()
    assert secret == PeerSecret("AKIA", "very/secret", "AIDA")
    assert "very" not in repr(secret)
    assert await PeerSecrets(caller, "none").read() is None
    assert (await PeerSecrets(caller, server.make_secret({**values, "user_id": ""})).read()) == PeerSecret(
        "AKIA", "very/secret"
    )
    for wrong in (
        "very/secret",
        "[]",
        '{"access_key_id": "very/secret"}',
        '{"access_key_id": 1, "secret_access_key": "x"}',
    ):
        with pytest.raises(CredentialRejectedError, match="secret_access_key") as caught:
            await PeerSecrets(caller, server.make_secret(wrong)).read()
        assert "very" not in str(caught.value)


async def test_secret_marked_for_deletion_is_absent() -> None:
    body = b'{"__type":"InvalidRequestException","Message":"marked for deletion"}'
    async with scripted(answer(400, body)) as script:
        assert await PeerSecrets(script.caller("secretsmanager"), "s").read() is None


async def test_user_id_of_the_caller_is_read(server: Server) -> None:
    identity = StsIdentity(Network("cn-north-1", KEY).client("sts", server.url))
    assert await identity.user_id() == server.client("sts").get_caller_identity()["UserId"]
    async with scripted(error(403, "InvalidClientTokenId")) as script:
        with pytest.raises(CredentialRejectedError):
            await StsIdentity(script.caller("sts")).user_id()


# -- endpoints and keys


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    import os

    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(("region", "suffix"), [("cn-north-1", "amazonaws.com.cn"), ("us-west-2", "amazonaws.com")])
def test_endpoints_follow_the_partition(region: str, suffix: str) -> None:
    network = Network(region)
    assert network.client("sqs").pool.endpoint == Endpoint(f"sqs.{region}.{suffix}", 443, True)
    caller, path_style = network.bucket_client("bucket")
    assert (caller.pool.endpoint.host, path_style) == (f"bucket.s3.{region}.{suffix}", False)
    caller, path_style = network.bucket_client("a.b")
    assert (caller.pool.endpoint.host, path_style) == (f"s3.{region}.{suffix}", True)


@pytest.mark.usefixtures("_bare")
def test_configured_endpoints_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:6000/base/")
    network = Network("us-west-2")
    assert network.client("sqs").pool.endpoint == Endpoint("127.0.0.1", 6000, False, "/base")
    assert network.client("dynamodb").pool.endpoint.authority == "127.0.0.1:5000"
    assert network.client("sts", "https://sts.example").pool.endpoint.authority == "sts.example"
    caller, path_style = network.bucket_client("bucket", "http://[::1]:7000")
    assert (caller.pool.endpoint.authority, path_style) == ("[::1]:7000", True)


@pytest.mark.usefixtures("_bare")
def test_unknown_region_is_a_fatal_error() -> None:
    with pytest.raises(FatalError, match="nowhere"):
        Network("nowhere").client("sqs")


@pytest.mark.usefixtures("_bare")
async def test_credential_of_the_machine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialRejectedError, match="no AWS credential"):
        await MachineCredentials(Session()).get()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    credentials = MachineCredentials(Session())
    key = await credentials.get()
    assert (key.access_key_id, key.token) == ("AKIA", "")
    assert "secret" not in repr(key).replace("secret_access_key", "")
    assert await credentials.renew() is False
