"""Test terminal output at 80 and 60 columns, without colours and without a terminal: no list cuts a key."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.output.progress import show_count, show_progress
from dualsync.runtime.commands.session import PIPE_WIDTH, Session
from dualsync.runtime.model.records import FINDER_RUN, HELD_DELETION, HELD_ID, Record
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.finder_run import last_counts
from dualsync.runtime.operations.stacks import PairLocation
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator
from tests.unit.runtime.commands.output.test_status_screen import troubled

CN, GLOBAL = SideName.CN, SideName.GLOBAL
LONG = "archive/2026/11/" + "quite-a-long-folder-name/" * 2 + "report-00042.txt"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def scene() -> Operator:
    """Return a pair with dead letters, held deletions, conflicts and a key that is longer than a narrow screen."""
    operator = troubled()
    operator.put(CN, LONG)
    operator.settle()
    operator.put(CN, "new/" + LONG)
    operator.time.now += 3600
    return operator


def shown(operator: Operator, *arguments: str, width: int, colours: bool = True) -> tuple[int, str]:
    """Run the command, and return its exit code and what a terminal of that width shows."""
    out = Console(
        file=io.StringIO(),
        force_terminal=True,
        no_color=not colours,
        width=width,
        height=24,
        emoji=False,
        highlight=False,
    )

    async def open_context(where: PairLocation) -> OperatorContext:
        return operator.context()

    result = CliRunner().invoke(app, list(arguments), obj=Session(open_context=open_context, out=out))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    file: Any = out.file
    return result.exit_code, file.getvalue()


SCREENS = (
    ("status",),
    ("dlq", "list"),
    ("conflicts", "list"),
    ("deletions", "list", "--live"),
    ("plan",),
    ("verify", "--grace", "0"),
    ("explain", LONG),
    ("report", "--since", "1d"),
    ("audit",),
    ("version",),
    ("pending",),
)


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("arguments", SCREENS, ids=" ".join)
def test_no_line_exceeds_the_width_and_no_key_is_cut(arguments: tuple[str, ...], width: int) -> None:
    code, text = shown(scene(), *arguments, width=width)
    assert code in (0, 3)
    plain = CONTROL.sub("", text)
    assert all(len(line.rstrip()) <= width for line in plain.splitlines()), plain
    joined = "".join(plain.split())
    if LONG[-12:] in joined:
        assert "report-00042.txt" in joined
    # A cut word ends in an ellipsis; the count of rows left out is a line of its own.
    assert not re.search(r"\w…(?!\w)", plain), plain


def test_pending_shows_usual_keys_on_one_line_at_80_columns() -> None:
    operator = Operator()
    sample = [f"deleted here: reports/2026/{n:03}.csv" for n in range(3)]
    held = Record(HELD_DELETION, HELD_ID, 1_790_000_100, data={"count": 3, "sample": sample})
    asyncio.run(operator.cn.ledger.record(held))
    lines = CONTROL.sub("", shown(operator, "pending", width=80)[1]).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [f"reports/2026/{n:03}.csv" for n in range(3)]
    assert "09-21 14:15" in lines[1]


@pytest.mark.parametrize(
    ("who", "name"),
    [
        ("arn:aws-cn:iam::111122223333:user/ann", "ann"),
        ("arn:aws:sts::444455556666:assumed-role/storage-operator/ann", "storage-operator/ann"),
    ],
)
def test_audit_shows_time_and_caller_on_one_line(who: str, name: str) -> None:
    operator = Operator()
    operator.who = who
    operator.call("limit", "cn", "--bytes", "20M", "--yes")
    lines = CONTROL.sub("", shown(operator, "audit", width=80)[1]).splitlines()
    time, clock, caller, command = lines[1].split()[:4]
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d", f"{time} {clock}")
    assert (caller, command) == (name, "limit")


@pytest.mark.parametrize("arguments", [("dlq", "list"), ("conflicts", "list"), ("deletions", "list"), ("verify",)])
def test_list_ends_with_its_summary_and_the_next_command(arguments: tuple[str, ...]) -> None:
    _, text = shown(scene(), *arguments, width=80)
    last = " ".join(CONTROL.sub("", text).rstrip().splitlines()[-4:])
    assert "dualsync" in last, text


@pytest.mark.parametrize("arguments", [("status",), ("dlq", "list"), ("verify",)])
def test_no_colour_is_printed_if_colours_are_off(arguments: tuple[str, ...]) -> None:
    assert COLOUR.search(shown(scene(), *arguments, width=80)[1])
    assert not COLOUR.search(shown(scene(), *arguments, width=80, colours=False)[1])


@pytest.mark.parametrize("arguments", SCREENS, ids=" ".join)
def test_no_control_character_is_printed_without_a_terminal(arguments: tuple[str, ...]) -> None:
    answer = scene().call(*arguments)
    assert "\x1b" not in answer.out
    assert all(len(line) <= PIPE_WIDTH for line in answer.out.splitlines())


def test_verdict_is_the_first_line() -> None:
    first = CONTROL.sub("", shown(scene(), "status", width=80)[1]).splitlines()[0]
    assert first.startswith("p: STOPPED: ")


def progress(width: int, total: int | None, words: str) -> str:
    err = Console(file=io.StringIO(), force_terminal=True, width=width, height=24)
    with show_progress(Session(err=err), "comparing", total) as show:
        for done in (1000, 2000, 6000):
            show(done, words)
    file: Any = err.file
    return CONTROL.sub("", file.getvalue())


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("total", [None, 5149])
def test_progress_fits_and_ends_at_the_actual_total(width: int, total: int | None) -> None:
    text = progress(width, total, "1,000 at cn, 400 at global, 99 equal" if width == 80 else "comparing")
    last = text.rstrip().replace("\r", "\n").splitlines()[-1]
    assert len(last.rstrip()) <= width
    assert ("6 000/6 000" in last.replace("\u202f", " ")) is (total is not None), last
    assert "?" not in last


def test_total_is_the_last_count_of_the_finder() -> None:
    operator = Operator()
    assert asyncio.run(last_counts(operator.context())) is None
    record = Record(FINDER_RUN, "last", 1, data={"here": 7, "there": 9})
    asyncio.run(operator.global_.ledger.record(record))
    assert asyncio.run(last_counts(operator.context())) == (9, 7)


def test_counter_without_a_terminal_prints_nothing_in_the_first_minute() -> None:
    err = Console(file=io.StringIO(), width=80)
    with show_count(Session(err=err), "comparing") as add:
        add(5)
    file: Any = err.file
    assert file.getvalue() == ""


@pytest.mark.parametrize("columns", ["40", "0", "1", "", "wide"])
def test_no_text_of_a_problem_is_cut_in_a_pipe(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """`watch` sets COLUMNS for a pipe, and a shell without a terminal may set it to 0."""
    monkeypatch.setenv("COLUMNS", columns)
    operator = scene()
    words = "x" * 2000
    asyncio.run(operator.cn.ledger.record(Record(HELD_DELETION, HELD_ID, 1, data={"count": 3, "reason": words})))
    out = operator.call("status").out
    assert f"3 deletions are held: {words}" in out
    assert "`dualsync deletions list`, then `dualsync deletions approve` or `dualsync deletions reject`" in out
    assert "state" in out
