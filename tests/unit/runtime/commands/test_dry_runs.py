"""Test that changing commands show what they would do before they ask, and that `--dry-run` changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION, Record
from dualsync.runtime.operations import keys
from dualsync.runtime.operations.context import AccessKey, ExpectedUser
from dualsync.runtime.settings import SideName
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import IDS, FakeSideMetrics, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def held(**more: Any) -> Operator:
    """Return a pair with three deletions made at cn and two at global, without events, held by both finders."""
    operator = Operator(**more)
    for number in range(5):
        operator.put(CN, f"{'a' if number < 3 else 'b'}/{number}", b"12345")
    operator.settle()
    for number in range(5):
        operator.delete(CN if number < 3 else GLOBAL, f"{'a' if number < 3 else 'b'}/{number}")
    for broker in operator.brokers.values():
        broker.letters.clear()
    for side in operator.sides.values():
        asyncio.run(side.ledger.record(Record(HELD_DELETION, "held", int(operator.time.now), data={"count": 5})))
    return operator


def approvals(operator: Operator) -> int:
    async def count(side: Any) -> int:
        return len([record async for record in side.ledger.records(DELETION_APPROVAL)])

    return sum(asyncio.run(count(side)) for side in operator.sides.values())


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_approve_shows_what_it_would_delete(versioning: Versioning) -> None:
    operator = held(versioning=versioning)
    answer = operator.call("deletions", "approve")
    assert answer.code == 2  # no terminal, no --yes
    assert "deleted at cn, still in bucket bucket-global (global)" in answer.err
    assert "3 objects, 15 B: a/0, a/1, a/2" in answer.err
    assert "deleted at global, still in bucket bucket-cn (cn)" in answer.err
    assert "2 objects, 10 B: b/3, b/4" in answer.err
    forever = versioning is Versioning.NEVER
    assert ("5 objects of them cannot be restored afterwards" in answer.err) is forever
    assert ("keeps NO versions" in answer.err) is forever
    assert approvals(operator) == 0


def test_dry_run_of_approve_approves_nothing() -> None:
    operator = held()
    answer = operator.call("deletions", "approve", "--dry-run", "--json")
    assert answer.code == 0
    assert answer.data["approved"] == 0
    assert answer.data["deletions"][0] == {
        "bucket": "bucket-global",
        "side": "global",
        "versioned": False,
        "count": 3,
        "bytes": 15,
        "sample": ["a/0", "a/1", "a/2"],
    }
    assert approvals(operator) == 0
    assert not any(broker.letters for broker in operator.brokers.values())


@pytest.mark.parametrize(
    ("words", "gone", "left"),
    [
        (("--prefix", "a/"), ["a/0", "a/1", "a/2"], ["b/3", "b/4"]),
        (("global",), ["b/3", "b/4"], ["a/0", "a/1", "a/2"]),
        (("cn", "--up-to", "2"), ["a/0", "a/1"], ["a/2", "b/3", "b/4"]),
    ],
)
def test_approval_of_a_part_leaves_the_rest_held(words: tuple[str, ...], gone: list[str], left: list[str]) -> None:
    operator = held()
    answer = operator.call("deletions", "approve", *words, "--yes", "--json")
    assert answer.data["approved"] == len(gone)
    operator.settle()
    there = {key for side in SideName for key in (*gone, *left) if operator.content(side, key) is not None}
    assert there == set(left)


def test_object_written_again_is_not_deleted_by_an_approval() -> None:
    operator = held()
    operator.put(GLOBAL, "a/0", b"new")
    operator.brokers[GLOBAL].letters.clear()
    operator.call("deletions", "approve", "--prefix", "a/", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "a/0") == b"new"


@pytest.mark.parametrize("words", [("reject",), ("restore", "--since", "2026-01-01T00:00")])
def test_dry_run_of_reject_and_restore_writes_nothing(words: tuple[str, ...]) -> None:
    operator = held(versioning=Versioning.ENABLED)
    if words[0] == "restore":
        operator.put(CN, "both")
        operator.settle()
        operator.delete(CN, "both")
        operator.settle()
    answer = operator.call("deletions", *words, "--dry-run", "--json")
    assert answer.data["objects"]["count"] == (5 if words == ("reject",) else 1)
    assert operator.content(GLOBAL, "b/3") is None
    assert operator.content(CN, "both") is None


def test_dry_run_of_redrive_sends_nothing() -> None:
    operator = Operator()
    body = '{"dualsync": {"key": "k", "cause": "created"}}'
    operator.brokers[CN].dead.append((body, "denied: s3 PutObject k: AccessDenied"))
    answer = operator.call("dlq", "redrive", "--all", "--dry-run")
    assert (answer.code, answer.out) == (0, "nothing was sent\n")
    assert "1 × denied: s3 PutObject k" in answer.err
    assert operator.brokers[CN].dead == [(body, "denied: s3 PutObject k: AccessDenied")]
    assert "Send 1 dead letter of all again?" in operator.call("dlq", "redrive", "--all").err


def test_reconcile_of_a_prefix_leaves_other_keys_held() -> None:
    operator = held()
    operator.put(CN, "a/new")
    operator.put(CN, "b/new")
    operator.brokers[CN].letters.clear()
    operator.time.now += 5000
    answer = operator.call("reconcile", "cn", "--prefix", "a/", "--yes", "--json")
    assert answer.data["cn->global"]["here"] == 1
    operator.settle()
    assert operator.content(GLOBAL, "a/new") is not None
    assert operator.content(GLOBAL, "b/new") is None
    assert operator.call("deletions", "list", "--json").data["held"][0]["count"] == 5


def second_key(**facts: str) -> Operator:
    """Return a pair where cn's user has two keys and the secret at global names the first."""
    operator = Operator()
    asyncio.run(operator.heartbeat())
    for side, access, promised in (
        (CN, ["AKIA1", "AKIAHAND"], ExpectedUser("AKIAPEER", IDS[GLOBAL])),
        (GLOBAL, ["AKIAPEER"], ExpectedUser("AKIA1", IDS[CN])),
    ):
        metrics: Any = operator.sides[side].metrics
        assert isinstance(metrics, FakeSideMetrics)
        metrics.access = [AccessKey(id, int(operator.time.now)) for id in access]
        metrics.promised = promised
    operator.change(CN, facts={**operator.cn.facts, **facts})
    return operator


def test_unknown_second_key_is_reported_with_the_command_that_deletes_it() -> None:
    operator = second_key(keyId="AKIA1")
    answer = operator.call("rotate-key", "cn")
    assert answer.code == 3
    assert "second key AKIAHAND, which neither the secret nor the stack names" in answer.out
    assert "aws iam delete-access-key --user-name user-cn --access-key-id AKIAHAND" in answer.out
    assert "pulumi refresh --clear-pending-creates --stack cn" in answer.out
    assert answer.out.index("delete-access-key") < answer.out.index("keyVersion")
    texts = [p["what"] for p in operator.call("status", "--json").data["problems"]]
    assert "cn's user has a second key AKIAHAND, which the secret does not name" in texts


def test_rotation_deletes_an_unknown_second_key_first(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = second_key(keyId="AKIA1")
    ran: list[Any] = []
    monkeypatch.setattr(keys, "present_version", lambda project, stack: 4)
    monkeypatch.setattr(keys, "run_commands", lambda project, steps: ran.extend(steps))
    operator.call("rotate-key", "cn", "--run", "--yes", "--timeout", "0")
    assert [key.id for key in asyncio.run(operator.cn.metrics.access_keys()) or ()] == ["AKIA1"]
    assert [step[1] for step in ran] == ["refresh", "config", "up"]


def test_rotation_under_way_deletes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = second_key(keyId="AKIAHAND")
    ran: list[Any] = []
    monkeypatch.setattr(keys, "present_version", lambda project, stack: 4)
    monkeypatch.setattr(keys, "run_commands", lambda project, steps: ran.extend(steps))
    assert operator.call("rotate-key", "cn", "--json").data["phase"] == "rotating"
    operator.call("rotate-key", "cn", "--run", "--yes", "--timeout", "0")
    assert len(asyncio.run(operator.cn.metrics.access_keys()) or ()) == 2
    assert [step[1] for step in ran] == ["up"]


@pytest.mark.parametrize(
    "words",
    [
        ("deletions", "approve", "--prefix", ""),
        ("deletions", "reject", "--prefix="),
        ("deletions", "reject", "--key", ""),
        ("deletions", "restore", "--since", "1h", "--prefix", ""),
        ("dlq", "drop", "--all", "--key", ""),
        ("dlq", "redrive", "--id", "", "--reason", "denied"),
        ("reconcile", "--prefix", ""),
        ("verify", "--prefix", ""),
    ],
    ids=" ".join,
)
def test_selection_that_is_given_empty_does_not_choose_everything(words: tuple[str, ...]) -> None:
    """A shell's unset variable gives an empty text."""
    operator = held()
    answer = operator.call(*words, *([] if words[0] == "verify" else ["--yes"]))
    assert answer.code == 2
    assert "it is empty" in answer.err
    assert approvals(operator) == 0
    assert operator.call("audit").out == "nothing yet\n"
    assert operator.content(GLOBAL, "a/0") == b"12345"


@pytest.mark.parametrize(
    "words",
    [
        ("deletions", "list", "--live"),
        ("deletions", "approve", "--dry-run"),
        ("deletions", "reject", "--dry-run"),
        ("deletions", "restore", "--since", "1h", "--dry-run"),
        ("plan",),
        ("reconcile", "--yes"),
        ("verify",),
    ],
    ids=" ".join,
)
def test_prefix_that_begins_with_the_pairs_own_is_noted(words: tuple[str, ...]) -> None:
    """S3 shows whole keys. Pasted, their prefix chooses nothing, and `verify` finds both sides the same."""
    operator = Operator(local_prefix="in/", remote_prefix="in/", versioning=Versioning.ENABLED)
    answer = operator.call(*words, "--prefix", "in/a/")
    assert "note: --prefix 'in/a/' is relative to the pair's prefix 'in/', so it means 'in/in/a/'" in answer.err
    assert "note" not in operator.call(*words, "--prefix", "a/").err


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (("dlq", "redrive", "--all"), 0, "no dead letters\n"),
        (("dlq", "drop", "--all"), 0, "no dead letters\n"),
        (("dlq", "drop", "--reason", "denied"), 3, "no letter matches: see `dualsync dlq list`\n"),
        (("conflicts", "resolve", "--all"), 0, "nothing was resolved\n"),
    ],
)
def test_nothing_is_asked_about_nothing(words: tuple[str, ...], code: int, out: str) -> None:
    operator = Operator()
    answer = operator.call(*words)
    assert (answer.code, answer.out) == (code, out)
    assert "?" not in answer.err
    assert operator.call("audit").out == "nothing yet\n"
