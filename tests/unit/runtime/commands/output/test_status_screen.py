"""Test the status on a terminal: verdict first, within the height, and live while services do not answer."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.output.status_screen import screen
from dualsync.runtime.commands.session import Session
from dualsync.runtime.errors import FatalError, UnavailableError
from dualsync.runtime.log import Outcome
from dualsync.runtime.model.records import CONFLICT, HELD_DELETION, Record
from dualsync.runtime.operations.context import Depth, OperatorContext
from dualsync.runtime.operations.problems import problems
from dualsync.runtime.operations.stacks import PairLocation
from dualsync.runtime.operations.status import read_status
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.settings import SideName
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
REASON = "300 deletions, more than 100 (DUALSYNC_DELETION_LIMIT)"


def troubled(**more: Any) -> Operator:
    """Return a pair with 20 dead letters, 300 held deletions, 30 conflicts, a pause, and work in both directions."""
    operator = Operator(**more)
    asyncio.run(operator.heartbeat())
    now = int(operator.time.now)
    for number in range(20):
        operator.brokers[CN].dead.append(("{}", f"denied: s3 PutObject refused/{number:05}.txt: AccessDenied (403)"))
    for side in operator.sides.values():
        asyncio.run(side.ledger.record(Record(HELD_DELETION, "held", now, data={"count": 300, "reason": REASON})))
        for number in range(30):
            data = {"winner": f"global@{now}:w", "loser": f"cn@{now}:l{number}", "kept": False}
            asyncio.run(side.ledger.record(Record(CONFLICT, f"c{number}", now, f"shared/{number}", data)))
    asyncio.run(operator.global_.ledger.record(DirectionControls(paused=True, by="ann", reason="moving").record(now)))
    return operator


def shown(operator: Operator, width: int, height: int | None) -> list[str]:
    out = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=width, height=height or 99)
    found = asyncio.run(read_status(operator.context()))
    out.print(screen(found, problems(found), out, height=height))
    file: Any = out.file
    return [line.rstrip() for line in file.getvalue().splitlines()]


def plain(lines: list[str]) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (60, 12)])
def test_screen_fits_and_names_what_is_hidden(width: int, height: int) -> None:
    lines = shown(troubled(), width, height)
    text = plain(lines)
    assert len(lines) <= height
    assert all(len(line) <= width for line in text.splitlines())
    first = text.splitlines()[0]
    assert first.startswith("p: STOPPED: 1 stopped, 2 waiting for you, ")
    assert "hidden for lack of room" in text
    assert "dualsync resume global" in text.replace("\n", " ").replace("  ", " ")


@pytest.mark.parametrize("width", [80, 60])
def test_screen_of_a_healthy_pair_hides_nothing(width: int) -> None:
    operator = Operator()
    operator.put(CN, "a")
    operator.settle()
    asyncio.run(operator.heartbeat())
    text = plain(shown(operator, width, 24))
    assert text.startswith("p: All is well.")
    assert "hidden" not in text
    assert "zero on both sides: " in text
    assert "dead letters" in " ".join(text.split())


def test_problem_of_both_sides_is_listed_once() -> None:
    data = troubled().call("status", "--json").data
    texts = [problem["what"] for problem in data["problems"]]
    assert sum("deletions are held" in text for text in texts) == 1
    assert "300 deletions are held: 300 deletions, more than 100 (deletionLimit)" in texts
    (conflicts,) = [p for p in data["problems"] if "conflict" in p["what"]]
    assert conflicts["what"].startswith("30 conflicts resolved")
    assert conflicts["direction"] == "both"


def test_undo_is_offered_only_where_a_loser_can_exist() -> None:
    (lost,) = [p for p in troubled().call("status", "--json").data["problems"] if "conflict" in p["what"]]
    assert "30 losers are gone" in lost["what"]
    assert "undo" not in lost["remedy"]
    listed = troubled().call("conflicts", "list").out
    assert "30 losers are gone" in listed
    assert "undo" not in listed
    kept = troubled(versioning=Versioning.ENABLED)
    (found,) = [p for p in kept.call("status", "--json").data["problems"] if "conflict" in p["what"]]
    assert "gone" not in found["what"]
    assert "dualsync conflicts undo ID" in found["remedy"]
    assert "undo ID" in kept.call("conflicts", "list").out


def test_catch_up_time_follows_backlog_and_rate() -> None:
    operator = Operator()
    for number in range(60):
        operator.vitals[CN].line("INFO", "outcome", outcome=Outcome.COPIED, key=f"k{number}", lag_seconds=1.0)
    operator.time.now += 60
    asyncio.run(operator.heartbeat())
    for number in range(120):
        operator.put(CN, f"n{number}")
    (cn, global_) = operator.call("status", "--json").data["directions"]
    assert cn["catch_up_seconds"] == pytest.approx(120, rel=0.1)
    assert global_["catch_up_seconds"] is None
    assert "about 2.0 min" in operator.call("status").out


class Failing:
    """A ledger whose calls all fail with this error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        if name == "records":

            def records(kind: str) -> Any:
                raise self.error

            return records

        async def fail(*arguments: object) -> Any:
            raise self.error

        return fail


def test_missing_ledger_leaves_the_rest_of_the_status() -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    operator.put(CN, "k")
    missing: Any = Failing(FatalError("dynamodb Query ledger-cn: ResourceNotFoundException (400)"))
    operator.change(CN, ledger=missing)
    answer = operator.call("status", "--json")
    assert answer.code == 3
    cn, global_ = answer.data["directions"]
    assert (cn["state"], global_["state"]) == ("UNKNOWN", "RUNNING")
    assert cn["backlog"]["visible"] == 1
    (problem,) = [p for p in answer.data["problems"] if "ledger" in p["what"]]
    assert "`pulumi up --refresh` of stack cn" in problem["remedy"]
    assert not [p for p in answer.data["problems"] if "no worker" in p["what"] and p["direction"] == "cn->global"]


def test_side_without_credentials_leaves_the_status_of_the_other() -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    why = "side global: profile 'x' is signed out: run `aws sso login --profile x`"

    async def open_context(where: PairLocation) -> OperatorContext:
        return operator.context(CN, unreachable={GLOBAL: why})

    result = CliRunner().invoke(app, ["status"], obj=Session(open_context=open_context))
    assert result.exit_code == 3
    assert "cn->global" in result.stdout
    assert "global is not visible to you" in result.stdout
    assert "aws sso login --profile x" in result.stdout


def watch(operator: Operator, monkeypatch: pytest.MonkeyPatch, steps: list[Any]) -> str:
    """Run the live screen, take one step between two screens, then press Ctrl-C, and return the text."""
    out = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=100, height=40)

    async def open_context(where: PairLocation) -> OperatorContext:
        return operator.context()

    async def sleep(seconds: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr("dualsync.runtime.commands.status.asyncio.sleep", sleep)
    result = CliRunner().invoke(app, ["status", "--watch"], obj=Session(open_context=open_context, out=out))
    assert result.exit_code == 130
    file: Any = out.file
    return plain([file.getvalue()])


def test_live_screen_keeps_the_last_values_on_failed_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    queue: Any = operator.cn.metrics
    depths = [Depth(7)]

    async def depth() -> Depth:
        if not depths:
            raise UnavailableError("sqs GetQueueAttributes: no answer")
        return depths[0]

    monkeypatch.setattr(queue, "queue_depth", depth)

    def lose() -> None:
        depths.clear()
        operator.time.now += 60

    text = watch(operator, monkeypatch, [lose])
    last = text[text.rindex("p: ") :]
    assert "no answer about cn->global since 2026-09-21 14:13:20Z: sqs GetQueueAttributes: no answer" in last
    assert "7 waiting" in last
