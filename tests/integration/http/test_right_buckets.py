"""Test that a finder stops and deletes nothing when owner, region, bucket or prefix differ from the deployed ones."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.app import finder, worker
from dualsync.runtime.settings import Settings, SideName
from sandbox.cloud.accounts import ACCOUNTS
from tests.integration.http.cloud import EmulatorClock, start
from tests.integration.http.side import AccountClients, HttpSide
from tests.support.moto_server import TABLE

CN, GLOBAL = SideName.CN, SideName.GLOBAL
KEYS = [f"k{n}" for n in range(5)]
"""Number of objects below the finder's limit of deletions."""


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[SideName, AccountClients]]:
    file: Path = tmp_path_factory.mktemp("clock") / "ahead"
    EmulatorClock(file)
    with start(file) as cloud:
        yield {side: AccountClients(cloud, side) for side in SideName}


class GuardedPair:
    """A pair whose ledger at cn has five objects of both sides."""

    def __init__(self, accounts: Mapping[SideName, AccountClients], patch: pytest.MonkeyPatch) -> None:
        self.accounts = accounts
        self.cn, self.global_ = (HttpSide(accounts[side]) for side in SideName)
        for key in KEYS:
            for side in (self.cn, self.global_):
                side.put(key, "one", "one")
        self.cn.lose_events()
        dedicated = self.global_.dedicated
        secret = {
            "access_key_id": dedicated.credential.access_key_id,
            "secret_access_key": dedicated.credential.secret_access_key,
            "user_id": dedicated.user_id,
        }
        name = f"secret-{self.cn.bucket}"
        self.cn.cloud.client(CN, "secretsmanager").create_secret(Name=name, SecretString=json.dumps(secret))
        for variable in [v for v in os.environ if v.startswith("AWS_")]:
            patch.delenv(variable)
        worker = self.cn.worker.credential
        patch.setenv("AWS_ACCESS_KEY_ID", worker.access_key_id)
        patch.setenv("AWS_SECRET_ACCESS_KEY", worker.secret_access_key)
        patch.setenv("AWS_ENDPOINT_URL", self.cn.cloud.endpoint)
        patch.setattr(finder, "MAX_CREDENTIAL_TRIES", 1)
        self.patch = patch
        self.settings = Settings(
            pair="p",
            side=CN,
            local_bucket=self.cn.bucket,
            local_region=self.cn.region,
            local_account=ACCOUNTS[CN].account_id,
            remote_bucket=self.global_.bucket,
            remote_region=self.global_.region,
            remote_account=ACCOUNTS[GLOBAL].account_id,
            remote_endpoint=self.cn.cloud.endpoint,
            remote_sts_endpoint=self.cn.cloud.endpoint,
            queue_url=self.cn.queue_url,
            dead_letter_queue_url=self.cn.dead_url,
            ledger_table=self.cn.table,
            peer_secret=name,
            own_user_ids=(self.cn.dedicated.user_id,),
            finder_grace_seconds=0,
        )

    def find(self, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
        out = io.StringIO()
        self.patch.setattr(sys, "stdout", out)
        code = asyncio.run(finder.run_finder(replace(self.settings, **changes)))
        return code, [json.loads(line) for line in out.getvalue().splitlines()]

    @property
    def waiting(self) -> int:
        answer = self.cn.sqs.get_queue_attributes(
            QueueUrl=self.cn.queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture
def place(accounts: Mapping[SideName, AccountClients], monkeypatch: pytest.MonkeyPatch) -> GuardedPair:
    place = GuardedPair(accounts, monkeypatch)
    code, lines = place.find()
    assert (code, lines[-1].get("agreed")) == (0, len(KEYS)), lines
    return place


def refused(place: GuardedPair, words: str, **changes: Any) -> None:
    code, lines = place.find(**changes)
    assert code == 1, lines
    assert [(line["event"], line["state"]) for line in lines] == [("state", "GUARD_REFUSED"), ("finder", "failed")]
    assert words in lines[0]["reason"]
    assert place.waiting == 0


def test_the_deployed_buckets_are_compared(place: GuardedPair) -> None:
    place.cn.delete("k0")
    place.cn.lose_events()
    assert place.find()[0] == 0
    assert place.waiting == 1


@pytest.mark.parametrize("side", SideName)
def test_a_bucket_of_another_owner_is_refused(place: GuardedPair, side: SideName) -> None:
    name = "local" if side is CN else "remote"
    stranger = {f"{name}_account": "999999999999"}
    bucket = getattr(place.settings, f"{name}_bucket")
    refused(place, f"bucket {bucket} is not account 999999999999's", **stranger)


@pytest.mark.parametrize("side", SideName)
def test_a_missing_bucket_is_refused(place: GuardedPair, side: SideName) -> None:
    name = "local" if side is CN else "remote"
    refused(place, "bucket gone-away does not exist", **{f"{name}_bucket": "gone-away"})


def test_a_bucket_in_another_region_is_refused(place: GuardedPair) -> None:
    bucket = place.global_.bucket
    refused(place, f"bucket {bucket} is in {place.global_.region}, not in eu-west-1", remote_region="eu-west-1")


def test_a_bucket_in_another_partition_is_refused(place: GuardedPair) -> None:
    """The peer's name is a bucket of this side's own partition, which the peer's key can't access."""
    refused(place, f"bucket {place.cn.bucket} does not exist", remote_bucket=place.cn.bucket)


@pytest.mark.parametrize("side", SideName)
def test_another_bucket_of_the_same_owner_is_refused(place: GuardedPair, side: SideName) -> None:
    other = HttpSide(place.accounts[side])
    other.put("k0", "one", "one")
    name = "local" if side is CN else "remote"
    refused(place, f"{name} bucket", **{f"{name}_bucket": other.bucket})


@pytest.mark.parametrize("name", ["local", "remote"])
def test_another_prefix_is_refused(place: GuardedPair, name: str) -> None:
    refused(place, f"{name} prefix ''", **{f"{name}_prefix": "deeper/"})


def test_after_the_ledger_was_emptied_new_buckets_are_accepted(place: GuardedPair) -> None:
    """The remedy for an intended change: without ledger entries nothing is deleted."""
    place.cn.dynamodb.delete_table(TableName=place.cn.table)
    place.cn.dynamodb.create_table(TableName=place.cn.table, **TABLE)
    other = HttpSide(place.accounts[CN])
    code, lines = place.find(local_bucket=other.bucket)
    assert code == 0
    assert (lines[-1]["here"], lines[-1]["there"], lines[-1]["found"]) == (0, len(KEYS), {})
    assert place.waiting == 0


class LogWatch(io.StringIO):
    """A log with the time of each line."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
        self.event = asyncio.Event()

    def write(self, text: str) -> int:
        if self.words in text:
            self.event.set()
        return super().write(text)


@pytest.mark.parametrize("changes", [{"local_prefix": "deeper/"}, {"remote_account": "999999999999"}])
def test_a_worker_with_other_buckets_refuses_and_receives_nothing(place: GuardedPair, changes: dict[str, Any]) -> None:
    place.cn.delete("k0")
    assert place.waiting == 1

    async def run_worker() -> None:
        watch = LogWatch("GUARD_REFUSED")
        place.patch.setattr(sys, "stdout", watch)
        work = asyncio.create_task(worker.run_worker(replace(place.settings, **changes)))
        await asyncio.wait_for(watch.event.wait(), 60)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(run_worker())
    assert place.waiting == 1
    assert place.global_.shown("k0") == "one"
