"""Test `dualsync dlq`: dead letters are listed with reason and key, redriven as full checks, and dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.operations.dead_letters import redrive_body
from dualsync.runtime.settings import SideName
from tests.support.fakes.notification import Event, body
from tests.support.operator_harness import IDS, USER, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def event(operator: Operator, key: str, name: str = "ObjectCreated:Put", principal: str = USER, **more: Any) -> str:
    return body(Event(name, operator.time.now, f"AWS:{principal}", "bucket-cn", "cn-north-1", key, "005A", **more))


def add_dead_letter(operator: Operator, text: str, reason: str = "archived: restore it first") -> None:
    operator.brokers[CN].dead.append((text, reason))


def remaining(operator: Operator) -> list[str]:
    letters: Any = operator.cn.dead_letter_queue
    found: list[str] = letters.left
    return found


def test_list_shows_keys_and_reasons() -> None:
    operator = Operator()
    assert operator.call("dlq", "list").code == 0
    add_dead_letter(operator, event(operator, "a/b"))
    add_dead_letter(operator, sync_request_codec.encode(SyncRequest("c", Cause.FINDER)), "received too often")
    add_dead_letter(operator, "not json", "received too often")
    answer = operator.call("dlq", "list", "cn", "--json")
    assert answer.code == 3
    found = answer.data["letters"]
    assert [(x["keys"], x["readable"]) for x in found] == [(["a/b"], True), (["c"], True), ([], False)]
    assert found[0]["reason"] == "archived: restore it first"
    assert "received five times" in found[1]["reason"]
    assert "unreadable" in found[2]["reason"]
    text = operator.call("dlq", "list").out
    assert "1 × archived: restore it first" in text
    assert len(operator.call("dlq", "list", "--key", "c", "--json").data["letters"]) == 1
    assert len(operator.call("dlq", "list", "--reason", "ARCHIVED", "--json").data["letters"]) == 1
    assert len(remaining(operator)) == 3


def test_redriven_letter_is_checked_against_the_current_objects() -> None:
    """The letter names a created object that was deleted on both sides since."""
    operator = Operator()
    operator.put(CN, "k")
    operator.settle()
    operator.delete(CN, "k")
    operator.settle()
    add_dead_letter(operator, event(operator, "k", etag="5d41402abc4b2a76b9719d911017c592", size=5))
    answer = operator.call("dlq", "redrive", "--all", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["cn->global"]["done"] == 1
    operator.settle()
    assert operator.content(CN, "k") is operator.content(GLOBAL, "k") is None
    assert remaining(operator) == []


def test_redriven_deletion_does_not_delete_an_object_written_again() -> None:
    operator = Operator()
    operator.put(CN, "k", b"new")
    operator.settle()
    add_dead_letter(operator, event(operator, "k", "ObjectRemoved:Delete"))
    operator.call("dlq", "redrive", "--all", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") == b"new"


def test_redriven_letter_copies_an_object_not_copied_yet() -> None:
    operator = Operator()
    operator.put(CN, "k")
    (message,) = operator.brokers[CN].receive(10)
    operator.brokers[CN].delete(message.handle)
    operator.brokers[CN].letters.clear()
    add_dead_letter(operator, message.body)
    operator.call("dlq", "redrive", "--key", "k", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") == b"hello"


def test_redriven_echo_is_not_copied_back() -> None:
    operator = Operator()
    operator.put(CN, "k")
    add_dead_letter(operator, event(operator, "k", principal=IDS[CN], etag="x", size=5))
    operator.brokers[CN].letters.clear()
    operator.call("dlq", "redrive", "--all", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") is None


def test_redrive_body_is_wrapped_once() -> None:
    once = redrive_body('{"dualsync": {"key": "k", "cause": "created"}}')
    assert redrive_body(once) == once
    assert json.loads(once)["redrive"] == '{"dualsync": {"key": "k", "cause": "created"}}'


def test_unreadable_letter_is_not_redriven_and_can_be_dropped() -> None:
    operator = Operator()
    add_dead_letter(operator, "poison", "received too often")
    answer = operator.call("dlq", "redrive", "--all", "--yes")
    assert answer.code == 3
    assert "can't be read" in answer.out
    assert remaining(operator) == ["poison"]
    assert operator.call("dlq", "drop", "--reason", "archived", "--yes").code == 3
    assert "no letter matches" in operator.call("dlq", "drop", "--id", "zz", "--yes").out
    assert remaining(operator) == ["poison"]
    assert operator.call("dlq", "drop", "--reason", "unreadable", "--yes").code == 0
    assert remaining(operator) == []


def test_short_id_as_listed_selects_a_letter() -> None:
    operator = Operator()
    add_dead_letter(operator, sync_request_codec.encode(SyncRequest("k", Cause.CREATED)))
    (shown,) = [line.split()[0] for line in operator.call("dlq", "list").out.splitlines() if line.startswith("0-")]
    assert len(shown) == 8
    assert operator.call("dlq", "drop", "--id", shown, "--yes", "--json").data["cn->global"]["done"] == 1


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_redrive_and_drop_require_a_selection_and_confirmation(command: str) -> None:
    operator = Operator()
    add_dead_letter(operator, "poison")
    assert operator.call("dlq", command, "--yes").code == 2
    assert operator.call("dlq", command, "--all").code == 2
    assert remaining(operator) == ["poison"]


def test_many_letters_are_redriven_in_batches() -> None:
    operator = Operator()
    for number in range(250):
        add_dead_letter(operator, sync_request_codec.encode(SyncRequest(f"k{number}", Cause.FINDER)))
    answer = operator.call("dlq", "redrive", "cn", "--all", "--yes", "--json")
    assert answer.data["cn->global"] == {"done": 250, "unreadable": 0, "left": 0}
    assert len(operator.brokers[CN].letters) == 250
