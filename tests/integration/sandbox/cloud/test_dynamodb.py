"""Test the emulated DynamoDB: a table with provisioned capacity throttles the writes above it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud
from sandbox.cloud.patches import dynamodb as patch

_numbers = itertools.count()


@pytest.fixture
def table(cloud: Cloud) -> tuple[Any, str]:
    config = Config(retries={"total_max_attempts": 1})
    session = cloud.session(SideName.CN)
    client: Any = session.client("dynamodb", endpoint_url=cloud.endpoint, config=config)
    name = f"throttled-{next(_numbers)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )
    return client, name


def provision(client: Any, name: str, units: int) -> None:
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": units}
    client.update_table(TableName=name, BillingMode="PROVISIONED", ProvisionedThroughput=throughput)


def put(client: Any, name: str, count: int) -> list[str]:
    refused = []
    for number in range(count):
        try:
            client.put_item(TableName=name, Item={"k": {"S": str(number)}})
        except ClientError as e:
            refused.append(f"{e.response['ResponseMetadata']['HTTPStatusCode']} {e.response['Error']['Code']}")
    return refused


def test_a_table_on_demand_is_not_throttled(table: tuple[Any, str]) -> None:
    assert put(*table, 50) == []


def test_a_provisioned_table_is_throttled_until_it_is_on_demand_again(table: tuple[Any, str]) -> None:
    client, name = table
    provision(client, name, 1)
    refused = put(client, name, 30)
    assert set(refused) == {"400 ProvisionedThroughputExceededException"}
    client.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    assert put(client, name, 30) == []


def test_batches_and_transactions_return_the_items_not_written(table: tuple[Any, str]) -> None:
    client, name = table
    provision(client, name, 5)
    requests = [{"PutRequest": {"Item": {"k": {"S": f"b{n}"}}}} for n in range(20)]
    left = client.batch_write_item(RequestItems={name: requests})["UnprocessedItems"][name]
    assert 0 < len(left) <= 15
    items = [{"Put": {"TableName": name, "Item": {"k": {"S": f"t{n}"}}}} for n in range(20)]
    with pytest.raises(ClientError) as caught:
        client.transact_write_items(TransactItems=items)
    assert "ThrottlingError" in caught.value.response["Error"]["Message"]


class Table:
    billing_mode = "PROVISIONED"

    def __init__(self, units: int) -> None:
        self.throughput = {"WriteCapacityUnits": units}


def test_capacity_comes_back_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(patch, "clock", lambda: now)
    table = Table(10)
    assert [patch.take(table, 1) for _ in range(11)] == [True] * 10 + [False]
    now += 0.5
    assert [patch.take(table, 1) for _ in range(6)] == [True] * 5 + [False]
    now += 3600
    assert [patch.take(table, 1) for _ in range(11)] == [True] * 10 + [False]
    now += 1
    assert patch.take(table, 40)
    assert not patch.take(table, 1)
    now += 3
    assert not patch.take(table, 1)


@pytest.mark.parametrize(("size", "units"), [(1, 1), (900, 1), (3000, 3)])
def test_units_follow_the_size(size: int, units: int) -> None:
    assert patch.units_of({"k": {"S": "x" * size}}) == units
