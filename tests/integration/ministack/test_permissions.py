"""Test the pair's policies with ministack's evaluation: each caller may do what it needs and nothing similar.

For each refusal there is an allowed call with the same key, so a broken key does not count as a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.aws.credentials import Credential
from dualsync.runtime.settings import SideName
from tests.integration.ministack.pair import BUCKETS, PREFIX, Pair

INSIDE, OUTSIDE = f"{PREFIX}permissions", "outside/permissions"
REFUSALS = ("AccessDenied", "AccessDeniedException")


@dataclass(frozen=True)
class Caller:
    """Clients with one key on one side."""

    pair: Pair
    side: SideName
    key: Credential
    other: str
    """Another bucket of the account, with the object `INSIDE`."""

    def client(self, service: str) -> Any:
        """Return a client."""
        return self.pair.accounts.client(self.side, service, self.key)

    @property
    def bucket(self) -> str:
        """Return the side's bucket."""
        return BUCKETS[self.side]

    def output(self, name: str) -> Any:
        """Return an output of the side's stack."""
        return self.pair.outputs[self.side][name]


Call = Callable[[Caller], object]


def get(key: str) -> Call:
    """Read an object of the side's bucket."""
    return lambda caller: caller.client("s3").get_object(Bucket=caller.bucket, Key=key)


def put(key: str) -> Call:
    """Write an object into the side's bucket."""
    return lambda caller: caller.client("s3").put_object(Bucket=caller.bucket, Key=key, Body=b"x")


def delete(key: str) -> Call:
    """Delete an object, which is not there, from the side's bucket."""
    return lambda caller: caller.client("s3").delete_object(Bucket=caller.bucket, Key=key)


def get_elsewhere(caller: Caller) -> object:
    """Read an object under the same key of another bucket of the account."""
    return caller.client("s3").get_object(Bucket=caller.other, Key=INSIDE)


def list_elsewhere(caller: Caller) -> object:
    """List another bucket of the account."""
    return caller.client("s3").list_objects_v2(Bucket=caller.other)


def scan(caller: Caller) -> object:
    """Read the whole ledger."""
    return caller.client("dynamodb").scan(TableName=caller.output("ledgerTable"))


def read_entry(caller: Caller) -> object:
    """Read one entry of the ledger."""
    key = {"ObjectKey": {"S": "permissions"}}
    return caller.client("dynamodb").get_item(TableName=caller.output("ledgerTable"), Key=key)


def receive(caller: Caller) -> object:
    """Receive from the queue, where nothing is."""
    return caller.client("sqs").receive_message(QueueUrl=caller.output("queueUrl"), WaitTimeSeconds=0)


def send(queue: str) -> Call:
    """Send a message that the worker skips."""
    body = json.dumps({"Event": "s3:TestEvent"})
    return lambda caller: caller.client("sqs").send_message(QueueUrl=caller.output(queue), MessageBody=body)


def purge(caller: Caller) -> object:
    """Empty the queue."""
    return caller.client("sqs").purge_queue(QueueUrl=caller.output("queueUrl"))


def read_secret(caller: Caller) -> object:
    """Read the secret with the peer's key."""
    return caller.client("secretsmanager").get_secret_value(SecretId=caller.pair.secret_name(caller.side.peer))


def read_other_secret(caller: Caller) -> object:
    """Read another secret of the account."""
    return caller.client("secretsmanager").get_secret_value(SecretId="another-secret")


def make_key(caller: Caller) -> object:
    """Create another access key."""
    return caller.client("iam").create_access_key()


ALLOWED: dict[str, list[Call]] = {
    "worker": [get(INSIDE), put(INSIDE), delete(f"{INSIDE}-none"), receive, read_entry, read_secret, send("queueUrl")],
    "finder": [get(INSIDE), read_entry, read_secret, send("queueUrl")],
    "user": [get(INSIDE), put(INSIDE), delete(f"{INSIDE}-none")],
    "operator": [get(OUTSIDE), get_elsewhere, list_elsewhere, scan, read_secret, read_other_secret],
}
"""Calls with the key of the worker's role, the finder's role, the dedicated user, and an administrator of the account.

The last shows that the other bucket, the ledger and the other secret exist: what is refused to the others is there.
"""

REFUSED: dict[str, list[Call]] = {
    "worker": [
        *(call(OUTSIDE) for call in (get, put, delete)),
        *(get_elsewhere, list_elsewhere, scan, purge, read_other_secret, make_key),
    ],
    "finder": [
        *(get(OUTSIDE), put(INSIDE), delete(INSIDE)),
        *(get_elsewhere, list_elsewhere, scan, receive, purge, read_other_secret, send("deadLetterQueueUrl")),
    ],
    "user": [
        *(call(OUTSIDE) for call in (get, put, delete)),
        *(get_elsewhere, list_elsewhere, scan, receive, read_entry, read_secret, send("queueUrl"), make_key),
    ],
    # Its own policy allows everything, so the queues' policies refuse these.
    "operator": [send("queueUrl"), send("deadLetterQueueUrl")],
}


@pytest.fixture(scope="module", params=SideName)
def callers(pair: Pair, request: pytest.FixtureRequest) -> Callable[[str], Caller]:
    """Return the callers of a side by their names; another bucket, another secret and two objects are there."""
    side: SideName = request.param
    other = f"another-bucket-{side}"
    s3 = pair.s3(side)
    region = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket=other, CreateBucketConfiguration=region)
    for bucket, key in ((other, INSIDE), (BUCKETS[side], INSIDE), (BUCKETS[side], OUTSIDE)):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pair.accounts.client(side, "secretsmanager").create_secret(Name="another-secret", SecretString="x")
    keys = {
        "worker": pair.worker_key(side),
        "finder": pair.finder_key(side),
        "user": pair.user_key(side),
        "operator": pair.accounts.operator(side),
    }
    return lambda name: Caller(pair, side, keys[name], other)


@pytest.mark.parametrize("name", ALLOWED)
def test_a_caller_may_do_what_it_needs(callers: Callable[[str], Caller], name: str) -> None:
    for call in ALLOWED[name]:
        call(callers(name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_caller_is_refused_similar_calls(callers: Callable[[str], Caller], name: str) -> None:
    may = []
    for number, call in enumerate(REFUSED[name]):
        try:
            call(callers(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in REFUSALS:
                continue
            may.append(f"{number}: {error}")
        else:
            may.append(f"{number}: allowed")
    assert may == []


def test_the_queue_takes_no_other_buckets_events(callers: Callable[[str], Caller]) -> None:
    caller = callers("operator")
    own = caller.client("s3").get_bucket_notification_configuration(Bucket=caller.bucket)["QueueConfigurations"]
    entries = [{"Id": "all", "QueueArn": entry["QueueArn"], "Events": ["s3:ObjectCreated:*"]} for entry in own]
    assert len(entries) == 1
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        caller.client("s3").put_bucket_notification_configuration(
            Bucket=caller.other, NotificationConfiguration={"QueueConfigurations": entries}
        )


@pytest.mark.parametrize("side", SideName)
def test_the_users_key_has_no_rights_in_its_holders_account(pair: Pair, side: SideName) -> None:
    key = pair.user_key(side)
    pair.accounts.client(side, "s3", key).list_objects_v2(Bucket=BUCKETS[side])
    with pytest.raises(ClientError) as raised:
        pair.accounts.client(side.peer, "s3", key).list_objects_v2(Bucket=BUCKETS[side.peer])
    assert raised.value.response["Error"]["Code"] in REFUSALS


@pytest.mark.parametrize("side", SideName)
def test_no_user_assumes_the_roles(pair: Pair, side: SideName) -> None:
    roles = [pair.processes.worker_job(side, "i-1").role_arn, pair.processes.finder_job(side).role_arn]
    for role in roles:
        with pytest.raises(ClientError) as raised:
            pair.accounts.client(side, "sts").assume_role(RoleArn=role, RoleSessionName="user")
        assert raised.value.response["Error"]["Code"] in REFUSALS
