"""Conflicts: seen once though both workers saw them, accepted, and undone while the loser can be had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.operations.conflicts import identity
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.conflict_copy import conflict_name
from tests.support.fakes.store import Versioning
from tests.support.operator_harness import Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def contested(key: str = "k", **more: Any) -> Office:
    """Both sides' users write the key; global later, so it wins."""
    office = Office(**more)
    clash(office, key)
    return office


def clash(office: Office, key: str) -> None:
    office.put(CN, key, b"cn's")
    office.time.now += 2
    office.put(GLOBAL, key, b"global's")
    office.settle()
    assert office.content(CN, key) == office.content(GLOBAL, key) == b"global's"


def only(office: Office) -> dict[str, Any]:
    (found,) = office.call("conflicts", "list", "--json").data["conflicts"]
    assert isinstance(found, dict)
    return found


def test_none() -> None:
    answer = Office().call("conflicts", "list")
    assert answer.code == 0
    assert "no conflicts" in answer.out


def test_one_is_listed_once() -> None:
    office = contested()
    assert office.call("conflicts", "list").code == 3
    found = only(office)
    assert found["key"] == "k"
    assert identity(found["winner"]).origin is GLOBAL  # type: ignore[union-attr]
    assert identity(found["loser"]).origin is CN  # type: ignore[union-attr]
    assert found["id"] in office.call("conflicts", "list").out


def test_accept_the_winner() -> None:
    office = contested()
    assert office.call("conflicts", "resolve", only(office)["id"]).code == 2
    assert office.call("conflicts", "resolve", only(office)["id"][:5], "--yes").code == 0
    assert office.call("conflicts", "list").code == 0
    (act,) = office.call("audit", "--json").data["acts"]
    assert (act["command"], act["key"]) == ("conflicts resolve", "k")


def test_accept_all() -> None:
    office = Office()
    for number in range(5):
        clash(office, f"k{number}")
    assert office.call("conflicts", "resolve", "--all", "--yes", "--json").data == {"resolved": 5}
    assert office.call("conflicts", "list").code == 0
    assert office.call("conflicts", "resolve", "--yes").code == 2


def test_a_lost_loser_can_not_be_had() -> None:
    office = contested()
    assert "the loser is gone" in office.call("conflicts", "show", "k").out
    answer = office.call("conflicts", "undo", "k", "--yes")
    assert answer.code == 1
    assert "keepLoser=false" in answer.err
    assert office.content(CN, "k") == b"global's"


def test_undo_with_a_kept_loser() -> None:
    office = contested(keep_loser=True)
    assert "is kept at" in office.call("conflicts", "show", "k").out
    answer = office.call("conflicts", "undo", "k", "--yes", "--json")
    assert answer.code == 0
    office.settle()
    assert office.content(CN, "k") == office.content(GLOBAL, "k") == b"cn's"
    kept = answer.data["replaced_kept_as"]
    assert office.content(CN, kept) == office.content(GLOBAL, kept) == b"global's"
    assert office.call("conflicts", "list").code == 0


def test_undo_with_versions() -> None:
    office = contested(versioning=Versioning.ENABLED)
    shown = office.call("conflicts", "show", "k", "--json").data
    assert shown["loser_at"]["side"] == "cn"
    assert shown["loser_at"]["version_id"]
    assert office.call("conflicts", "undo", "k", "--yes").code == 0
    office.settle()
    assert office.content(CN, "k") == office.content(GLOBAL, "k") == b"cn's"


@pytest.mark.parametrize("id", ["nothing", ""])
def test_an_unknown_one(id: str) -> None:
    office = contested()
    clash(office, "other")
    answer = office.call("conflicts", "show", id)
    assert answer.code == 1
    assert "dualsync conflicts list" in answer.err


def test_names() -> None:
    version = OriginVersion(CN, 5, "e-2")
    assert identity(str(version)) == version
    assert identity("nobody") is None
    assert conflict_name("k", version)


def test_storm() -> None:
    office = Office()
    for number in range(30):
        clash(office, f"k{number}")
    assert len(office.call("conflicts", "list", "--limit", "7", "--json").data["conflicts"]) == 7
    asyncio.run(office.heartbeat())
    status = office.call("status", "--json").data
    assert sum(d["conflicts"] for d in status["directions"]) >= 30
