"""Test `dualsync report`: counts from metrics, keys from logs, operators' commands from the audit trail."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.operations.aws.metrics import AwsSideMetrics, period_of
from dualsync.runtime.operations.reports.report import COUNTED_METRICS
from dualsync.runtime.operations.stacks import Stack
from dualsync.runtime.settings import SideName
from tests.support.lost_ledger import lose_ledger
from tests.support.operator_harness import Operator, settings

CN = SideName.CN
COMPONENT = Path(__file__).resolve().parents[5] / "components" / "monitoring" / "metrics.py"


def working() -> Operator:
    operator = Operator()
    metrics: Any = operator.cn.metrics
    metrics.counted = {"TransferredObjects": 5020.0, "CompletedBytes": 3.0 * 2**30, "FailedObjects": 1.0}
    history: Any = operator.cn.history
    history.lines += [
        {"event": "outcome", "outcome": "buried", "key": "a/<b>.txt", "reason": "denied: AccessDenied", "time": "T1"},
        {"event": "outcome", "outcome": "skipped", "key": "s1", "reason": "excluded", "time": "T2"},
        {"event": "outcome", "outcome": "skipped", "key": "s2", "reason": "excluded", "time": "T3"},
    ]
    return operator


def test_report_lists_copies_failures_and_operator_commands() -> None:
    operator = working()
    operator.call("pause", "cn", "--yes", "--reason", "night")
    operator.time.now = 0
    answer = operator.call("report", "--since", "2026-09-01T00:00", "--until", "2027-01-01T00:00")
    assert answer.code == 3
    text = " ".join(answer.out.split())
    assert "copied 5 020 0" in text.replace("\u202f", " ").replace("\xa0", " ")
    assert "3.0 GiB" in text
    assert "buried a/<b>.txt: denied: AccessDenied" in text
    assert "2 skipped: excluded" in text
    assert "pause done" in text
    assert answer.out.splitlines()[-1].startswith("p: 2026-09-01 00:00:00Z to ")


def test_report_as_json_and_as_a_page(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    answer = working().call("report", "--json", "--html", str(file))
    cn, global_ = answer.data["directions"]
    assert set(cn["totals"]) == set(COUNTED_METRICS)
    assert (cn["totals"]["copied"], cn["totals"]["bytes"]) == (5020, 3 << 30)
    assert [line["key"] for line in cn["failed"]] == ["a/<b>.txt"]
    assert len(cn["skipped"]) == 2
    assert global_["failed"] == []
    assert answer.data["complete"] is True
    page = file.read_text()
    assert "Something failed." in page
    assert "a/&lt;b&gt;.txt" in page
    assert "<b>" not in page


def test_report_without_failures_exits_with_zero() -> None:
    answer = Operator().call("report", "--since", "2h")
    assert answer.code == 0


def test_unreadable_sources_are_named_and_the_report_is_incomplete() -> None:
    operator = Operator()
    history: Any = operator.cn.history
    metrics: Any = operator.global_.metrics
    history.hidden, metrics.counted = True, None
    answer = operator.call("report")
    assert "cn->global: log lines of failed messages are not visible to you" in answer.out
    assert "not all of it is visible to you" in answer.out
    assert operator.call("report", "--json").data["complete"] is False


def test_missing_ledger_leaves_out_only_its_audit_records() -> None:
    operator = working()
    operator.call("pause", "global", "--yes", "--reason", "night")
    lose_ledger(operator)
    answer = operator.call("report", "--since", "2026-09-01T00:00", "--until", "2027-01-01T00:00")
    text = " ".join(answer.out.split())
    assert "acts of operators in the ledger of cn are not visible: dynamodb" in text
    assert "pause done" in text
    assert "copied 5" in text
    assert "not all of it is visible to you" in text


def test_period_that_ends_before_it_begins_is_refused() -> None:
    assert Operator().call("report", "--since", "1h", "--until", "2h").code == 2


def test_report_reads_metrics_that_the_component_defines() -> None:
    assert set(COUNTED_METRICS.values()) <= set(re.findall(r'Counted\(\s*"(\w+)"', COMPONENT.read_text()))


@pytest.mark.parametrize(
    ("days", "length", "period"),
    [(1, 1, 60), (4, 4, 300), (20, 1, 300), (30, 30, 3600), (80, 1, 3600), (400, 400, 86400)],
)
def test_metric_period_follows_cloudwatch_retention(days: float, length: float, period: int) -> None:
    now = 2e9
    since = now - days * 86400
    assert period_of(since, since + length * 86400, now) == period


@pytest.mark.parametrize(
    ("since", "until", "days"), [(0.0, 2e11, 1440), (1.7e9, 1.7e9 + 86400, 1), (2e11, 2e11 + 1, None)]
)
def test_metrics_are_asked_for_as_many_points_as_an_answer_has(
    monkeypatch: pytest.MonkeyPatch, since: float, until: float, days: int | None
) -> None:
    """A longer period is refused by CloudWatch, which keeps no points that old, nor has any of the future."""
    asked: list[dict[str, Any]] = []

    async def answer(self: AwsSideMetrics, service: str, method: str, **given: Any) -> Any:
        asked.append(given)
        return {"Datapoints": [{"Sum": 2.0}]}

    monkeypatch.setattr(AwsSideMetrics, "_try", answer)
    stack = Stack(side=CN, settings=settings(CN), facts={"metrics": "dualsync"})
    metrics = AwsSideMetrics(stack, lambda service: None, Threads(1))
    sums = asyncio.run(metrics.metric_sums(["Copied"], since, until))
    if days is None:
        assert (sums, asked) == ({"Copied": 0.0}, [])
        return
    assert sums == {"Copied": 2.0}
    (given,) = asked
    assert given["EndTime"] - given["StartTime"] == timedelta(days=days)
