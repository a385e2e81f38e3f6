"""Test that keys and texts of others are shown exactly, and only as text: no control characters, markup or emoji."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from dualsync.runtime.commands.output.formatting import local_time, short_local_time
from dualsync.runtime.commands.session import escape, key_text
from dualsync.runtime.log import printable_json
from dualsync.runtime.model.records import (
    AUDIT,
    CONFLICT,
    CONTROL,
    DELETION_APPROVAL,
    FINDER_RUN,
    HELD_DELETION,
    WORKER,
    Record,
)
from dualsync.runtime.operations.conflicts import parse_identity
from dualsync.runtime.operations.key_text.plain_text import display_key, escape_invisible, shell_word, use_config_names
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
KEYS = [
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b31mC1",
    "\u202egnp.exe",
    "a\u2066b\u2069",
    "zero\u200bwidth",
    "[bold]x[/bold]",
    "[/]",
    "back\\",
    "x\\[/dim]",
    ":warning:",
    "a:smile:b",
    "new\nline",
    "it's\x00",
    "<script>alert(1)</script>",
    "\U000e0041tag",
    "Straße/数据.txt",
]


def hostile(text: str) -> list[str]:
    """Return characters that a terminal obeys, or that change the direction of writing."""
    return sorted(
        {hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    )


@pytest.fixture(scope="module")
def operator() -> Operator:
    operator = Operator()
    for key in KEYS:
        operator.put(CN, key, b"cn's")
        operator.time.now += 2
        operator.put(GLOBAL, key, b"global's")
    operator.settle()
    for key in KEYS:
        operator.put(CN, key + "/only-here", b"z")
    operator.time.now += 5000
    return operator


@pytest.mark.parametrize(
    "words",
    [
        ("conflicts", "list"),
        ("status",),
        ("verify",),
        ("dlq", "list"),
        ("audit",),
        ("plan",),
        ("deletions", "list", "--live"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_lists_print_no_control_character_of_a_key(
    operator: Operator, words: tuple[str, ...], form: tuple[str, ...]
) -> None:
    answer = operator.call(*words, *form)
    assert answer.code in (0, 3), answer.err
    assert hostile(answer.out + answer.err) == []


@pytest.mark.parametrize("key", KEYS)
def test_explain_shows_a_key_exactly(operator: Operator, key: str) -> None:
    text = operator.call("explain", key)
    assert hostile(text.out) == []
    assert display_key(key) in text.out
    assert operator.call("explain", key, "--json").data["key"] == key
    assert hostile(operator.call("explain", key, "--json").out) == []


def test_printable_keys_are_shown_unchanged(operator: Operator) -> None:
    out = operator.call("conflicts", "list").out
    for key in (":warning:", "a:smile:b", "[bold]x[/bold]", "back\\", "Straße/数据.txt"):
        assert key in out


SPLIT_TAGS = ["[/a", "b]", "[b", "c]", "\\", "end\\", "two\\\\", "\\[d]", "[/]"]
"""Texts whose brackets and backslashes become markup beside those of another text."""


@pytest.mark.parametrize("frame", ["{}, {}", "[bold]{}[/bold]: {}[dim]{}[/dim]", "  {} {}"])
@pytest.mark.parametrize("form", [key_text, escape])
def test_texts_beside_each_other_are_shown_exactly(form: Callable[[str], str], frame: str) -> None:
    for texts in itertools.product(SPLIT_TAGS, repeat=2):
        words = (*texts, texts[0])
        shown = Text.from_markup(frame.format(*map(form, words)), emoji=False).plain
        assert shown == re.sub(r"\[/?[a-z]+\]", "", frame).format(*words)


def test_the_keys_that_a_question_is_about_are_all_named() -> None:
    operator = Operator()
    for key in ("[/a", "b]", "folder\\"):
        operator.put(CN, key)
    operator.settle()
    for key in ("[/a", "b]", "folder\\"):
        operator.delete(CN, key)
    assert operator.call("deletions", "reject", "--dry-run").err == "3 objects, 15 B: [/a, b], folder\\\n"


@pytest.mark.parametrize("key", [key for key in KEYS if "\x00" not in key])
@pytest.mark.parametrize("form", [display_key, shell_word])
def test_escaped_key_can_be_pasted_into_a_shell(key: str, form: object) -> None:
    word = display_key(key) if form is display_key and key != display_key(key) else shell_word(key)
    done = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode() == key


@pytest.mark.parametrize("key", KEYS)
def test_printable_json_decodes_to_the_same_value(key: str) -> None:
    text = printable_json(json.dumps({"key": key}, ensure_ascii=False, indent=2))
    assert json.loads(text) == {"key": key}
    assert hostile(text) == []


def test_reports_contain_no_control_character_and_no_script(operator: Operator, tmp_path: Path) -> None:
    operator.call("verify", "--out", str(tmp_path))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert hostile(text) == []
        assert "<script>" not in text or file.suffix != ".html"


@pytest.mark.parametrize("digits", [13, 5000])
def test_conflict_record_with_an_impossible_time_is_not_parsed(digits: int) -> None:
    assert parse_identity(f"cn@{'9' * digits}:e") is None
    assert parse_identity("cn@1790000000:e") is not None


@pytest.mark.parametrize("seconds", [10**12, 10**17, -(10**15), 1e300])
def test_impossible_time_is_shown_as_a_number(seconds: float) -> None:
    assert local_time(seconds).endswith(" s after 1970")
    assert short_local_time(seconds)


def test_escaping_is_unambiguous() -> None:
    assert escape_invisible("plain \\x1b text") == "plain \\x1b text"
    assert escape_invisible("\\x1b and \x1b") == "\\\\x1b and \\x1b"


def test_environment_variables_are_shown_as_configuration_keys() -> None:
    text = "300 deletions of 400 keys, more than 10 % (DUALSYNC_DELETION_LIMIT_PERCENT)"
    assert use_config_names(text) == "300 deletions of 400 keys, more than 10 % (deletionLimitPercent)"


SPOILED = "x\x1b[2J\x1b]0;title\x07[/z]\u202e\r\n"
"""A text that no version writes."""


@pytest.mark.parametrize(
    ("kind", "id", "known", "member"),
    [
        (AUDIT, "1", {"who": "arn:ann", "command": "pause", "state": "done"}, "who"),
        (AUDIT, "1", {"who": "arn:ann", "command": "pause", "state": "done"}, "command"),
        (AUDIT, "1", {"who": "arn:ann", "command": "pause", "state": "done"}, "state"),
        (AUDIT, "1", {"who": "arn:ann", "command": "pause", "state": "done"}, "arguments"),
        (AUDIT, "1", {"who": "arn:ann", "command": "pause", "state": "done"}, "time"),
        (CONFLICT, "1", {"winner": "cn@5:e", "loser": "global@4:f", "kept": False}, "policy"),
        (CONFLICT, "1", {"winner": "cn@5:e", "loser": "global@4:[/z]\x1b"}, "policy"),
        (HELD_DELETION, "held", {"count": 3, "reason": "many", "sample": ["a"]}, "count"),
        (HELD_DELETION, "held", {"count": 3, "reason": "many", "sample": ["a"]}, "reason"),
        (DELETION_APPROVAL, "approval", {"up_to": 3}, "up_to"),
        (FINDER_RUN, "last", {"here": 1, "there": 1, "queued": 0}, "archived"),
        (WORKER, "1", {"state": "RUNNING"}, "state"),
        (WORKER, "1", {"state": "RUNNING"}, "guard"),
        (WORKER, "1", {"state": "RUNNING", "put_lags": {SPOILED: 1, "3": SPOILED}, "delete_lags": {"-1": 1}}, "reason"),
        (WORKER, "1", {"state": "RUNNING", "problems": [{"outcome": "failed", "time": SPOILED}]}, "denied"),
        (CONTROL, "orders", {"timetable": {"format": 1, "zone": SPOILED, "changes": [[0, 1]]}}, "by"),
    ],
)
def test_records_are_shown_only_as_text(kind: str, id: str, known: dict[str, object], member: str) -> None:
    operator = Operator()
    now = int(operator.time.now)
    if kind == DELETION_APPROVAL:
        asyncio.run(operator.cn.ledger.record(Record(HELD_DELETION, "held", now, data={"count": 3})))
    asyncio.run(operator.cn.ledger.record(Record(kind, id, now, "k", {**known, member: SPOILED})))
    for words in (
        ("status",),
        ("audit",),
        ("report",),
        ("conflicts", "list"),
        ("conflicts", "show", "k"),
        ("deletions", "list"),
        ("drain", "--timeout", "0"),
        ("resume", "cn"),
    ):
        answer = operator.call(*words)
        assert hostile(answer.out + answer.err) == []
