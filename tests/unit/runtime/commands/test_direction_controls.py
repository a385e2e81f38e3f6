"""Pausing, limiting, draining: the orders in the ledger, the audit trail, and waiting."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.log import State
from dualsync.runtime.service.operator_controls import Orders, read_orders
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def orders(office: Office, side: SideName) -> Orders:
    return asyncio.run(read_orders(office.sides[side].ledger))


@pytest.mark.parametrize("direction", ["cn", "cn->global"])
def test_pause_one_direction(direction: str) -> None:
    office = Office()
    answer = office.call("pause", direction, "--reason", "moving", "--yes")
    assert answer.code == 0
    assert orders(office, CN) == Orders(paused=True, reason="moving", by="ann", since=int(office.time.now))
    assert not orders(office, GLOBAL).paused
    assert office.call("resume", direction).code == 0
    assert not orders(office, CN).paused


def test_pause_all_and_wait_for_the_workers() -> None:
    office = Office()
    asyncio.run(office.heartbeat())
    answer = office.call("pause", "--wait", "--timeout", "20", "--yes", "--json")
    assert answer.code == 3
    assert answer.data["still"] is False
    for vitals in office.vitals.values():
        vitals.line("INFO", "state", state=State.PAUSED)
    asyncio.run(office.heartbeat())
    answer = office.call("pause", "--wait", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["still"] is True


def test_a_pause_needs_a_yes() -> None:
    office = Office()
    answer = office.call("pause")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert not orders(office, CN).paused


def test_an_unknown_direction() -> None:
    answer = Office().call("pause", "north", "--yes")
    assert answer.code == 2
    assert "use cn" in answer.err


def test_limits() -> None:
    office = Office()
    assert office.call("limit", "cn", "--bytes", "20M", "--yes").code == 0
    assert office.call("limit", "cn", "--requests", "50", "--yes").code == 0
    found = orders(office, CN)
    assert (found.bytes_per_second, found.requests_per_second) == (20_000_000, 50)
    assert office.call("limit", "cn", "--bytes", "0", "--yes").code == 0
    assert orders(office, CN).bytes_per_second == 0
    assert office.call("limit", "--yes").code == 2
    assert "use a whole number" in office.call("limit", "--bytes", "fast", "--yes").err
    office.call("limit", "cn", "--bytes", "1Gi", "--yes")
    assert orders(office, CN).bytes_per_second == 1 << 30


def test_every_act_is_in_the_trail() -> None:
    office = Office()
    office.call("pause", "cn", "--reason", "night", "--yes")
    office.time.now += 5
    office.call("resume", "cn")
    acts = office.call("audit", "--json").data["acts"]
    assert [(a["command"], a["state"], a["who"], a["sides"]) for a in acts] == [
        ("pause", "done", "arn:ann", ["cn"]),
        ("resume", "done", "arn:ann", ["cn"]),
    ]
    assert acts[1]["result"]["before"]["reason"] == "night"
    assert "resume" in office.call("audit").out


def test_a_paused_direction_is_named_when_its_queue_does_not_empty() -> None:
    office = Office()
    office.put(CN, "k")
    office.call("pause", "cn", "--yes")
    answer = office.call("drain", "--timeout", "1")
    assert answer.code == 3
    assert "cn->global is paused: `dualsync resume cn`" in answer.out
    assert "cn paused: nothing goes on there" in answer.err


def test_drain_waits_for_an_empty_queue() -> None:
    office = Office()
    office.put(CN, "k")
    answer = office.call("drain", "--timeout", "30", "--json")
    assert answer.code == 3
    assert answer.data["left"] == {"cn->global": 1, "global->cn": 0}
    office.settle()
    answer = office.call("drain", "--then-pause", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["paused"] is True
    assert orders(office, CN).paused
