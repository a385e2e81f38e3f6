"""Test that the benchmark's table answers as DynamoDB does, for the requests of ledger and peers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.harness.authority import make
from bench.harness.process import free_port, running, wait_for_port
from bench.harness.servers import tools
from bench.harness.servers.expressions import ExpressionError, Item, matches, update
from bench.harness.servers.start import LEDGER
from bench.harness.site import ask
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network
from tests.contract import test_ledger as contract
from tests.contract.adapters import AdapterWorld
from tests.contract.memory import MemoryWorld

ITEM: Item = {"a": {"S": "x"}, "n": {"N": "10"}}
VALUES = {":x": {"S": "x"}, ":y": {"S": "y"}, ":n": {"N": "10.0"}, ":m": {"N": "9"}}


class TableWorld(MemoryWorld):
    """The contract tests' stores, with the benchmark's table as ledger."""

    name = "benchmark's table"

    def __init__(self, url: str) -> None:
        super().__init__()
        caller = Network("us-east-1", FixedCredentials(Credential("a", "b"))).client("dynamodb", url)
        asyncio.run(ask(caller, "CreateTable", "DynamoDB_20120810", {"TableName": "ledger"} | LEDGER))
        self.ledger = DynamoLedger(caller, "ledger")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AdapterWorld]:
    port, log = free_port(), tmp_path / "table.log"
    with running([sys.executable, "-m", "bench.harness.servers.table", str(port)], log, folder=tools.ROOT) as server:
        wait_for_port(port, server, log)
        yield TableWorld(f"http://127.0.0.1:{port}")


for _name in [name for name in dir(contract) if name.startswith("test_")]:
    globals()[_name] = getattr(contract, _name)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("attribute_not_exists(b)", True),
        ("attribute_exists(b)", False),
        ("a = :x AND n = :n", True),
        ("a = :y OR n > :m", True),
        ("NOT (a = :x) OR a <> :x", False),
        ("b = :x", False),
        ("#a = :x", True),
        ("n >= :n and n <= :n", True),
    ],
)
def test_condition_expressions_are_evaluated(expression: str, holds: bool) -> None:
    assert matches(expression, ITEM, VALUES, {"#a": "a"}) is holds


@pytest.mark.parametrize("expression", ["size(a) > :n", "a = ", "a = :x a", "contains(a, :x)", "a ~ :x"])
def test_an_unsupported_expression_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        matches(expression, ITEM, VALUES, {})


def test_update_expressions_are_applied() -> None:
    item = dict(ITEM)
    update("set b = :x, c = :n - n, d = n + :m", item, VALUES, {})
    assert (item["b"], float(item["c"]["N"]), item["d"]) == ({"S": "x"}, 0.0, {"N": "19"})
    with pytest.raises(ExpressionError):
        update("REMOVE b", item, VALUES, {})


def test_the_table_answers_over_tls_with_its_own_authority(tmp_path: Path) -> None:
    authority = make(tmp_path)
    port, log = free_port(), tmp_path / "table.log"
    command = [sys.executable, "-m", "bench.harness.servers.table", str(port), str(authority.both)]
    code = (
        "import sys\n"
        "from tests.integration.bench.test_table import TableWorld\n"
        "TableWorld(f'https://127.0.0.1:{sys.argv[1]}')\n"
    )
    with running(command, log, folder=tools.ROOT) as server:
        wait_for_port(port, server, log)
        trust = os.environ | authority.trusted() | {"PYTHONPATH": str(tools.ROOT)}
        for environment, good in ((trust, True), (os.environ | {"PYTHONPATH": str(tools.ROOT)}, False)):
            done = subprocess.run(
                [sys.executable, "-c", code, str(port)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode == 0) is good, done.stderr
            assert good or "CERTIFICATE_VERIFY_FAILED" in done.stderr
