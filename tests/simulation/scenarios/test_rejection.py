"""Test a held deletion that an operator rejects: the object returns where it was deleted, and stays on both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.operations import deletions
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.settings import SideName
from tests.simulation.scenarios.script import expand
from tests.simulation.scenarios.stage import Stage
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.parallel import Serial
from tests.support.fakes.store import Store
from tests.support.operator_harness import OPERATOR, FakeUserStore

HELD = (
    "given settings deletion_limit 5",
    "SIDE put k{1..20} v{1..20}",
    "settle",
    "SIDE delete k{1..15}",
    "SIDE lose e{21..35}",
    "finders",
    "expect deletions 0",
    "expect PEER k1 v1",
)


class Prefixed(FakeUserStore):
    """The operator's writes below the side's prefix."""

    def __init__(self, store: Store, prefix: str) -> None:
        super().__init__(store)
        self._prefix = prefix

    async def rewrite_as_user(
        self, source: str, etag: str, target: str, *, version_id: str = "", over: str = ""
    ) -> str:
        names = (self._prefix + source, etag, self._prefix + target)
        return await super().rewrite_as_user(*names, version_id=version_id, over=over)


def context(stage: Stage) -> OperatorContext:
    """Return an operator's context in the world of a scenario."""
    world, nobody = stage.world, Any
    missing: Any = nobody
    sides = {
        name: Side(
            name=name,
            settings=world.settings[name],
            bucket=FakeBucket(world.stores[name], OPERATOR, prefix=world.prefix(name)),
            ledger=FakeLedger(world.tables[name]),
            store=Prefixed(world.stores[name], world.prefix(name)),
            queue=missing,
            dead_letter_queue=missing,
            metrics=missing,
            history=missing,
            lister=missing,
            whole_bucket=missing,
        )
        for name in SideName
    }
    return OperatorContext(
        pair="p", sides=sides, clock=FakeClock(world.time), operator_arns="arn:ann", parallel=Serial()
    )


def play(stage: Stage, side: str, *lines: str) -> None:
    for line in lines:
        for one in expand(line.replace("SIDE", side).replace("PEER", SideName(side).peer)):
            stage.perform(one)


def reject(stage: Stage, key: str = "") -> int:
    return asyncio.run(deletions.reject(context(stage), "", key, lambda tally: None)).kept


@pytest.mark.parametrize("given", ["", "given versioning cn=Enabled global=Enabled", "given prefix cn=in/ global=out/"])
@pytest.mark.parametrize("side", SideName)
def test_rejected_deletions_are_undone_and_the_objects_stay(side: str, given: str) -> None:
    stage = Stage()
    prefix = dict(cn="in/", **{"global": "out/"})[side] if "prefix" in given else ""
    play(stage, side, *([given] if given else []), *(line.replace("k{", f"{prefix}k{{") for line in HELD))
    assert reject(stage) == 15
    play(stage, side, "settle", "expect k{1..20} v{1..20}", "expect deletions 0")
    play(stage, side, "expect records held-deletion 0", "wait 100000", "finders", "finders")
    play(stage, side, "expect k{1..20} v{1..20}", "expect deletions 0", "expect records held-deletion 0")


@pytest.mark.parametrize("side", SideName)
def test_rejection_of_one_key_leaves_the_others_held(side: str) -> None:
    stage = Stage()
    play(stage, side, *HELD)
    assert reject(stage, "k3") == 1
    play(stage, side, "settle", "finders", "expect k3 v3", "expect SIDE k4 nothing", "expect PEER k4 v4")
    play(stage, side, "expect deletions 0", "expect SIDE records held-deletion 1")


@pytest.mark.parametrize("side", SideName)
def test_rejection_keeps_what_users_wrote_meanwhile(side: str) -> None:
    stage = Stage()
    play(stage, side, *HELD, "wait 100", "PEER put k1 newer", "SIDE put k2 again", "settle")
    assert reject(stage) == 13
    play(stage, side, "settle", "finders", "expect k1 newer", "expect k2 again", "expect k3 v3", "expect deletions 0")


@pytest.mark.parametrize("side", SideName)
def test_object_can_be_deleted_after_a_rejection(side: str) -> None:
    stage = Stage()
    play(stage, side, *HELD)
    reject(stage)
    play(stage, side, "settle", "wait 100", "SIDE delete k1", "PEER delete k2", "settle")
    play(stage, side, "expect k1 nothing", "expect k2 nothing", "expect k3 v3", "finders", "expect k1 nothing")
