"""Dead letters: listed with reason and key, sent anew as careful looks, dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.operations.dead_letters import anew
from dualsync.runtime.settings import SideName
from tests.support.fakes.notification import Event, body
from tests.support.operator_harness import IDS, USER, Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def event(office: Office, key: str, name: str = "ObjectCreated:Put", principal: str = USER, **more: Any) -> str:
    return body(Event(name, office.time.now, f"AWS:{principal}", "bucket-cn", "cn-north-1", key, "005A", **more))


def bury(office: Office, text: str, reason: str = "archived: restore it first") -> None:
    office.brokers[CN].dead.append((text, reason))


def left(office: Office) -> list[str]:
    letters: Any = office.cn.letters
    found: list[str] = letters.left
    return found


def test_the_list_says_why() -> None:
    office = Office()
    assert office.call("dlq", "list").code == 0
    bury(office, event(office, "a/b"))
    bury(office, sync_request_codec.encode(SyncRequest("c", Cause.FINDER)), "received too often")
    bury(office, "not json", "received too often")
    answer = office.call("dlq", "list", "cn", "--json")
    assert answer.code == 3
    found = answer.data["letters"]
    assert [(x["keys"], x["readable"]) for x in found] == [(["a/b"], True), (["c"], True), ([], False)]
    assert found[0]["reason"] == "archived: restore it first"
    assert "received five times" in found[1]["reason"]
    assert "unreadable" in found[2]["reason"]
    text = office.call("dlq", "list").out
    assert "1 × archived: restore it first" in text
    assert len(office.call("dlq", "list", "--key", "c", "--json").data["letters"]) == 1
    assert len(office.call("dlq", "list", "--reason", "ARCHIVED", "--json").data["letters"]) == 1
    assert len(left(office)) == 3


def test_a_redriven_letter_looks_at_what_is_there_now() -> None:
    """The letter says that something was created; meanwhile it was deleted on both sides."""
    office = Office()
    office.put(CN, "k")
    office.settle()
    office.delete(CN, "k")
    office.settle()
    bury(office, event(office, "k", etag="5d41402abc4b2a76b9719d911017c592", size=5))
    answer = office.call("dlq", "redrive", "--all", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["cn->global"]["done"] == 1
    office.settle()
    assert office.content(CN, "k") is office.content(GLOBAL, "k") is None
    assert left(office) == []


def test_a_redriven_deletion_does_not_delete_what_was_written_again() -> None:
    office = Office()
    office.put(CN, "k", b"new")
    office.settle()
    bury(office, event(office, "k", "ObjectRemoved:Delete"))
    office.call("dlq", "redrive", "--all", "--yes")
    office.settle()
    assert office.content(GLOBAL, "k") == b"new"


def test_a_redriven_letter_does_what_is_still_to_do() -> None:
    office = Office()
    office.put(CN, "k")
    (message,) = office.brokers[CN].receive(10)
    office.brokers[CN].delete(message.handle)
    office.brokers[CN].letters.clear()
    bury(office, message.body)
    office.call("dlq", "redrive", "--key", "k", "--yes")
    office.settle()
    assert office.content(GLOBAL, "k") == b"hello"


def test_a_redriven_echo_stays_an_echo() -> None:
    office = Office()
    office.put(CN, "k")
    bury(office, event(office, "k", principal=IDS[CN], etag="x", size=5))
    office.brokers[CN].letters.clear()
    office.call("dlq", "redrive", "--all", "--yes")
    office.settle()
    assert office.content(GLOBAL, "k") is None


def test_redriving_twice_wraps_once() -> None:
    once = anew('{"dualsync": {"key": "k", "cause": "created"}}')
    assert anew(once) == once
    assert json.loads(once)["redrive"] == '{"dualsync": {"key": "k", "cause": "created"}}'


def test_what_no_worker_can_read_stays() -> None:
    office = Office()
    bury(office, "poison", "received too often")
    answer = office.call("dlq", "redrive", "--all", "--yes")
    assert answer.code == 3
    assert "can't be read" in answer.out
    assert left(office) == ["poison"]
    assert office.call("dlq", "drop", "--reason", "archived", "--yes").code == 3
    assert "no letter is like that" in office.call("dlq", "drop", "--id", "zz", "--yes").out
    assert left(office) == ["poison"]
    assert office.call("dlq", "drop", "--reason", "unreadable", "--yes").code == 0
    assert left(office) == []


def test_an_id_as_the_list_shows_it_is_enough() -> None:
    office = Office()
    bury(office, sync_request_codec.encode(SyncRequest("k", Cause.CREATED)))
    (shown,) = [
        line.split()[1] for line in office.call("dlq", "list").out.splitlines() if line.startswith("cn->global  0-")
    ]
    assert len(shown) == 8
    assert office.call("dlq", "drop", "--id", shown, "--yes", "--json").data["cn->global"]["done"] == 1


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_dangerous_words_need_a_selection_and_a_yes(command: str) -> None:
    office = Office()
    bury(office, "poison")
    assert office.call("dlq", command, "--yes").code == 2
    assert office.call("dlq", command, "--all").code == 2
    assert left(office) == ["poison"]


def test_ten_thousand_letters_go_in_batches() -> None:
    office = Office()
    for number in range(250):
        bury(office, sync_request_codec.encode(SyncRequest(f"k{number}", Cause.FINDER)))
    answer = office.call("dlq", "redrive", "cn", "--all", "--yes", "--json")
    assert answer.data["cn->global"] == {"done": 250, "unreadable": 0, "left": 0}
    assert len(office.brokers[CN].letters) == 250
