"""Test `dualsync conflicts`: list, resolve, and undo while the loser exists."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.operations.conflicts import parse_identity
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.conflict_copy import conflict_name
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def contested(key: str = "k", **more: Any) -> Operator:
    """Return a pair whose users wrote the key on both sides; global wrote later and wins."""
    operator = Operator(**more)
    clash(operator, key)
    return operator


def clash(operator: Operator, key: str) -> None:
    operator.put(CN, key, b"cn's")
    operator.time.now += 2
    operator.put(GLOBAL, key, b"global's")
    operator.settle()
    assert operator.content(CN, key) == operator.content(GLOBAL, key) == b"global's"


def only(operator: Operator) -> dict[str, Any]:
    (found,) = operator.call("conflicts", "list", "--json").data["conflicts"]
    assert isinstance(found, dict)
    return found


def test_list_without_conflicts_exits_with_zero() -> None:
    answer = Operator().call("conflicts", "list")
    assert answer.code == 0
    assert "no conflicts" in answer.out


def test_conflict_is_listed_once() -> None:
    operator = contested()
    assert operator.call("conflicts", "list").code == 3
    found = only(operator)
    assert found["key"] == "k"
    assert parse_identity(found["winner"]).origin is GLOBAL  # type: ignore[union-attr]
    assert parse_identity(found["loser"]).origin is CN  # type: ignore[union-attr]
    assert found["id"] in operator.call("conflicts", "list").out


def test_resolve_accepts_the_winner() -> None:
    operator = contested()
    assert operator.call("conflicts", "resolve", only(operator)["id"]).code == 2
    assert operator.call("conflicts", "resolve", only(operator)["id"][:5], "--yes").code == 0
    assert operator.call("conflicts", "list").code == 0
    (act,) = operator.call("audit", "--json").data["acts"]
    assert (act["command"], act["key"]) == ("conflicts resolve", "k")


def test_resolve_all_accepts_all_winners() -> None:
    operator = Operator()
    for number in range(5):
        clash(operator, f"k{number}")
    assert operator.call("conflicts", "resolve", "--all", "--yes", "--json").data == {"resolved": 5}
    assert operator.call("conflicts", "list").code == 0
    assert operator.call("conflicts", "resolve", "--yes").code == 2


def test_undo_is_refused_if_the_loser_is_gone() -> None:
    operator = contested()
    assert "the loser is gone" in operator.call("conflicts", "show", "k").out
    answer = operator.call("conflicts", "undo", "k", "--yes")
    assert answer.code == 1
    assert "keepLoser was off" in answer.err
    assert operator.content(CN, "k") == b"global's"


def test_undo_writes_a_kept_loser() -> None:
    operator = contested(keep_loser=True)
    assert "is kept at" in operator.call("conflicts", "show", "k").out
    answer = operator.call("conflicts", "undo", "k", "--yes", "--json")
    assert answer.code == 0
    operator.settle()
    assert operator.content(CN, "k") == operator.content(GLOBAL, "k") == b"cn's"
    kept = answer.data["replaced_kept_as"]
    assert operator.content(CN, kept) == operator.content(GLOBAL, kept) == b"global's"
    assert operator.call("conflicts", "list").code == 0


def test_undo_writes_the_losers_version() -> None:
    operator = contested(versioning=Versioning.ENABLED)
    shown = operator.call("conflicts", "show", "k", "--json").data
    assert shown["loser_at"]["side"] == "cn"
    assert shown["loser_at"]["version_id"]
    assert operator.call("conflicts", "undo", "k", "--yes").code == 0
    operator.settle()
    assert operator.content(CN, "k") == operator.content(GLOBAL, "k") == b"cn's"


@pytest.mark.parametrize("id", ["nothing", ""])
def test_unknown_conflict_names_the_list_command(id: str) -> None:
    operator = contested()
    clash(operator, "other")
    answer = operator.call("conflicts", "show", id)
    assert answer.code == 1
    assert "dualsync conflicts list" in answer.err


@pytest.mark.parametrize("words", [("show", ""), ("undo", "", "--yes")], ids=" ".join)
def test_empty_id_is_no_conflicts_beginning(words: tuple[str, ...]) -> None:
    """A shell's unset variable must not choose the only conflict."""
    operator = contested(keep_loser=True)
    answer = operator.call("conflicts", *words)
    assert answer.code == 1
    assert "no conflict has the id or key ''" in answer.err
    assert len(operator.call("conflicts", "list", "--json").data["conflicts"]) == 1


def test_versions_are_parsed_and_have_conflict_names() -> None:
    version = OriginVersion(CN, 5, "e-2")
    assert parse_identity(str(version)) == version
    assert parse_identity("nobody") is None
    assert conflict_name("k", version)


def test_many_conflicts_are_limited_and_counted() -> None:
    operator = Operator()
    for number in range(30):
        clash(operator, f"k{number}")
    assert len(operator.call("conflicts", "list", "--limit", "7", "--json").data["conflicts"]) == 7
    asyncio.run(operator.heartbeat())
    status = operator.call("status", "--json").data
    assert sum(d["conflicts"] for d in status["directions"]) >= 30
