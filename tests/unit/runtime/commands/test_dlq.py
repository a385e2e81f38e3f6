"""Dead letters: listed with reason and key, sent again as full checks, dropped."""

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


def bury(operator: Operator, text: str, reason: str = "archived: restore it first") -> None:
    operator.brokers[CN].dead.append((text, reason))


def left(operator: Operator) -> list[str]:
    letters: Any = operator.cn.dead_letter_queue
    found: list[str] = letters.left
    return found


def test_the_list_says_why() -> None:
    operator = Operator()
    assert operator.call("dlq", "list").code == 0
    bury(operator, event(operator, "a/b"))
    bury(operator, sync_request_codec.encode(SyncRequest("c", Cause.FINDER)), "received too often")
    bury(operator, "not json", "received too often")
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
    assert len(left(operator)) == 3


def test_a_redriven_letter_looks_at_what_is_there_now() -> None:
    """The letter says that something was created; meanwhile it was deleted on both sides."""
    operator = Operator()
    operator.put(CN, "k")
    operator.settle()
    operator.delete(CN, "k")
    operator.settle()
    bury(operator, event(operator, "k", etag="5d41402abc4b2a76b9719d911017c592", size=5))
    answer = operator.call("dlq", "redrive", "--all", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["cn->global"]["done"] == 1
    operator.settle()
    assert operator.content(CN, "k") is operator.content(GLOBAL, "k") is None
    assert left(operator) == []


def test_a_redriven_deletion_does_not_delete_what_was_written_again() -> None:
    operator = Operator()
    operator.put(CN, "k", b"new")
    operator.settle()
    bury(operator, event(operator, "k", "ObjectRemoved:Delete"))
    operator.call("dlq", "redrive", "--all", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") == b"new"


def test_a_redriven_letter_does_what_is_still_to_do() -> None:
    operator = Operator()
    operator.put(CN, "k")
    (message,) = operator.brokers[CN].receive(10)
    operator.brokers[CN].delete(message.handle)
    operator.brokers[CN].letters.clear()
    bury(operator, message.body)
    operator.call("dlq", "redrive", "--key", "k", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") == b"hello"


def test_a_redriven_echo_stays_an_echo() -> None:
    operator = Operator()
    operator.put(CN, "k")
    bury(operator, event(operator, "k", principal=IDS[CN], etag="x", size=5))
    operator.brokers[CN].letters.clear()
    operator.call("dlq", "redrive", "--all", "--yes")
    operator.settle()
    assert operator.content(GLOBAL, "k") is None


def test_redriving_twice_wraps_once() -> None:
    once = redrive_body('{"dualsync": {"key": "k", "cause": "created"}}')
    assert redrive_body(once) == once
    assert json.loads(once)["redrive"] == '{"dualsync": {"key": "k", "cause": "created"}}'


def test_what_no_worker_can_read_stays() -> None:
    operator = Operator()
    bury(operator, "poison", "received too often")
    answer = operator.call("dlq", "redrive", "--all", "--yes")
    assert answer.code == 3
    assert "can't be read" in answer.out
    assert left(operator) == ["poison"]
    assert operator.call("dlq", "drop", "--reason", "archived", "--yes").code == 3
    assert "no letter matches" in operator.call("dlq", "drop", "--id", "zz", "--yes").out
    assert left(operator) == ["poison"]
    assert operator.call("dlq", "drop", "--reason", "unreadable", "--yes").code == 0
    assert left(operator) == []


def test_an_id_as_the_list_shows_it_is_enough() -> None:
    operator = Operator()
    bury(operator, sync_request_codec.encode(SyncRequest("k", Cause.CREATED)))
    (shown,) = [line.split()[0] for line in operator.call("dlq", "list").out.splitlines() if line.startswith("0-")]
    assert len(shown) == 8
    assert operator.call("dlq", "drop", "--id", shown, "--yes", "--json").data["cn->global"]["done"] == 1


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_dangerous_words_need_a_selection_and_a_yes(command: str) -> None:
    operator = Operator()
    bury(operator, "poison")
    assert operator.call("dlq", command, "--yes").code == 2
    assert operator.call("dlq", command, "--all").code == 2
    assert left(operator) == ["poison"]


def test_ten_thousand_letters_go_in_batches() -> None:
    operator = Operator()
    for number in range(250):
        bury(operator, sync_request_codec.encode(SyncRequest(f"k{number}", Cause.FINDER)))
    answer = operator.call("dlq", "redrive", "cn", "--all", "--yes", "--json")
    assert answer.data["cn->global"] == {"done": 250, "unreadable": 0, "left": 0}
    assert len(operator.brokers[CN].letters) == 250
