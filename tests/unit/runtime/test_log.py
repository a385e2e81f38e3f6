"""Test the log: one JSON line per outcome."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from dualsync.runtime.log import COUNTED, JsonLog, Outcome, State


def lines(level: str = "INFO") -> tuple[JsonLog, io.StringIO]:
    stream = io.StringIO()
    return JsonLog(stream, level, pair="p", side="cn"), stream


def test_line_is_one_json_object_with_time_level_event_pair_and_side() -> None:
    log, stream = lines()
    log.line("INFO", "outcome", outcome=Outcome.COPIED, key="a\nb/é", bytes=3, reason=None)
    [text] = stream.getvalue().splitlines()
    fields = json.loads(text)
    assert datetime.fromisoformat(fields.pop("time")).utcoffset() is not None
    assert fields == {
        "level": "INFO",
        "event": "outcome",
        "pair": "p",
        "side": "cn",
        "outcome": "copied",
        "key": "a\nb/é",
        "bytes": 3,
    }


def test_line_time_is_utc_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    log, stream = lines()
    moments = (0.0, 1792567680.0009, 1792567680.9999, 1792567681.25)
    for moment in moments:
        monkeypatch.setattr("time.time", lambda now=moment: now)
        log.line("INFO", "state", state=State.RUNNING)
    shown = [json.loads(text)["time"] for text in stream.getvalue().splitlines()]
    assert shown == [
        datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for moment in moments
    ]


@pytest.mark.parametrize(("threshold", "shown"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_lines_below_the_level_are_not_written(threshold: str, shown: int) -> None:
    log, stream = lines(threshold)
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        log.line(level, "controls", reason="x")
    assert len(stream.getvalue().splitlines()) == shown


@pytest.mark.parametrize("event", sorted(COUNTED))
def test_lines_that_metrics_count_are_written_at_any_level(event: str) -> None:
    log, stream = lines("ERROR")
    log.line("INFO", event, state=State.RUNNING)
    assert json.loads(stream.getvalue())["event"] == event


@pytest.mark.parametrize(
    "key",
    [
        "\x1b[31mred",
        "\x9b31mC1",
        "\x7f",
        "\u202egnp.exe",
        "a\u2066b\u2069",
        "zero\u200bwidth",
        "\u2028",
        "\U000e0041",
        "\ud800",
    ],
)
def test_line_contains_no_terminal_control_character(key: str) -> None:
    log, stream = lines()
    log.line("INFO", "outcome", key=key, reason=f"about {key}", city="数据/Straße")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.removesuffix("\n").isprintable()
    assert "数据/Straße" in text
    assert json.loads(text)["key"] == key
    text.encode()


def test_values_without_a_json_type_are_written_as_text() -> None:
    log, stream = lines()
    log.line("INFO", "x", what={1}, error=ValueError("v"))
    assert json.loads(stream.getvalue())["error"] == "v"
