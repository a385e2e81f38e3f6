"""Test `dualsync smoke`: a round trip in both directions that names where it waited and removes its objects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.model.objects import PutResult
from dualsync.runtime.operations.smoke import run_round_trip
from dualsync.runtime.settings import SideName
from tests.support.fakes.clock import FakeClock
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


class Working(FakeClock):
    """A clock whose sleep lets the workers of these sides run, and steps the wall clock."""

    def __init__(self, operator: Operator, *sides: SideName) -> None:
        super().__init__(operator.time)
        self._operator = operator
        self._sides = sides
        self.step = 0.0

    async def sleep(self, seconds: float) -> None:
        self.skew = self.step
        await super().sleep(seconds)
        await self._operator.work(*self._sides, rounds=1)


def operator(*sides: SideName) -> Operator:
    found = Operator()
    found.clock = Working(found, *sides)
    return found


def test_round_trip_succeeds_in_both_directions() -> None:
    answer = operator(CN, GLOBAL).call("smoke", "--json")
    assert answer.code == 0
    assert answer.data["fine"] is True
    assert [t["direction"] for t in answer.data["trips"]] == ["cn->global", "global->cn"]
    assert all(t["put"] > 0 and t["deleted"] > 0 for t in answer.data["trips"])


def test_round_trip_removes_its_objects() -> None:
    at = operator(CN, GLOBAL)
    at.call("smoke")
    at.settle()
    assert at.stores[CN].rows() == at.stores[GLOBAL].rows() == []


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_round_trip_is_timed_without_the_wall_clock(step: float) -> None:
    at = Operator()
    clock = at.clock = Working(at, CN)
    clock.step = step
    found = asyncio.run(run_round_trip(at.context(), at.cn, at.global_, 60))
    assert 0 < (found.put or 0) < 60
    assert 0 < (found.deleted or 0) < 60


def test_stopped_direction_is_reported() -> None:
    at = operator(GLOBAL)
    answer = at.call("smoke", "--timeout", "5")
    assert answer.code == 3
    assert "not at global after 5 s" in answer.out
    assert "global->cn: there after" in answer.out
    assert at.stores[CN].rows() == []


def test_deletion_that_is_not_applied_is_reported() -> None:
    at = operator(CN, GLOBAL)
    work = at.workers[CN].process

    async def only_puts(message: Any) -> None:
        if "ObjectRemoved" not in message.body:
            await work(message)

    at.workers[CN].process = only_puts  # type: ignore[method-assign]
    found = asyncio.run(run_round_trip(at.context(), at.cn, at.global_, 5))
    assert found.put is not None
    assert found.deleted is None
    assert "deleted here, still at global" in found.error
    assert at.stores[GLOBAL].rows() == []


def test_store_that_ignores_conditions_is_reported() -> None:
    at = operator(CN, GLOBAL)
    bucket = at.global_.bucket
    refusing = bucket.put

    async def put(key: str, body: Any, attributes: Any, stamp: Any, condition: Any) -> Any:
        try:
            return await refusing(key, body, attributes, stamp, condition)
        except PreconditionFailedError:
            return PutResult("0")

    bucket.put = put  # type: ignore[method-assign]
    found = asyncio.run(run_round_trip(at.context(), at.cn, at.global_, 5))
    assert found.error.startswith("the store of global does not enforce conditions (PutObject with If-None-Match was")
    assert not found.succeeded
