"""Test the cost estimate: its arithmetic, its command, and its counts against the worker's real calls."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Generator

import pytest

from dualsync.components.config import egress
from tests.docs.pages import ROOT, shown
from tests.simulation.scenarios import stage
from tests.support.fakes.gate import Pair, Step
from tools.docs import cost
from tools.docs.cost import CALLS, Usage, estimate, prices

FREE = dict.fromkeys((k for k, v in prices("us-west-2").items() if isinstance(v, (int, float))), 0.0)


def test_the_estimate_of_a_change_counts_the_workers_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    class Counted(Step):
        __slots__ = ()

        def __await__(self) -> Generator[Step, None, None]:
            if not self.after:
                calls[self.call] += 1
            yield self

    def gate(call: str) -> Pair:
        return Counted(call, False), Counted(call, True)

    monkeypatch.setattr(stage, "stepping_gate", gate)
    play = stage.Stage()
    for content in ("one", "two"):  # a new object, and an overwritten one
        calls.clear()
        play.perform(f"cn put a {content}")
        play.perform("settle")
        counted = {
            "s3 put": calls.pop("remote.put"),
            "s3 get": calls.pop("local.get"),
            "s3 head": calls.pop("local.head"),
            "ledger read": calls.pop("ledger.get"),
            "ledger write": calls.pop("ledger.put"),
            "message": calls.pop("queue.delete"),
        }
        assert counted == CALLS
        assert set(calls) == {"local.body"}  # the answer of the GET, read


def test_what_an_idle_pair_costs() -> None:
    def fixed(**more: bool) -> tuple[float, float]:
        bill = estimate(Usage(keys=0, changes=0, **more), prices("us-west-2"))
        return bill.total("fixed"), bill.total("fixed") - bill.free("fixed")

    by_list, with_allowances = fixed()
    assert with_allowances < 25 < by_list < 36
    assert max(fixed(public_ip=False, dashboard=False)) < 22
    assert min(fixed(public_ip=False)) < 17
    assert sum(fixed(topic_key=True)) == pytest.approx(sum(fixed()) + 4)


def test_services_without_ipv6_are_named_on_the_page() -> None:
    names = {"dynamodb": "DynamoDB", "sts": "STS", "ecs": "ECS", "autoscaling": "Auto Scaling"}
    names["monitoring"] = "CloudWatch"
    for region in ("us-west-2", "cn-north-1"):
        missing = {s for s in egress.SERVICES if not egress.listed(s, region, egress.DUAL_STACK)}
        # KMS is called with `peerIdentity: role` only.
        assert missing - {"kms"} == set(names), region
    *most, last = names.values()
    page = " ".join((ROOT / "docs" / "cost.md").read_text().split())
    assert f"no dual-stack endpoint of {', '.join(most)} and {last} in us-west-2 and cn-north-1" in page


def test_a_hand_made_bill() -> None:
    bill = estimate(Usage(keys=3_000_000, changes=2_000_000, mib=0.5), FREE | {"put_1000": 0.005, "out_gib": 0.09})
    runs = 2 * 730  # hourly, each side; 1,060 s each fit into the hour
    assert bill.total("finder") == pytest.approx(runs * 2 * 3000 * 0.000005)
    assert bill.total("changes") == pytest.approx(2_000_000 * 0.000005)
    assert bill.total("transfer") == pytest.approx(2_000_000 * 0.5 / 1024 * 0.09)
    assert bill.total() == pytest.approx(bill.total("finder", "changes", "transfer"))


def test_a_finder_that_takes_longer_than_its_interval_runs_less_often() -> None:
    price = FREE | {"put_1000": 1.0}
    month = 2 * 730 * 3600
    bill = estimate(Usage(keys=100_000_000, changes=0), price)
    assert bill.total("finder") == pytest.approx(month / (60 + 100_000_000 / 3000) * 2 * 100_000_000 / 1000 / 1000)


def test_large_objects_are_priced_as_multipart_uploads() -> None:
    price = FREE | {"put_1000": 1000.0}
    assert estimate(Usage(keys=0, changes=1, mib=15), price).total("changes") == 1
    assert estimate(Usage(keys=0, changes=1, mib=64), price).total("changes") == 8 + 2


def test_nat_and_unequal_etags_raise_the_estimate() -> None:
    price = prices("us-west-2")
    plain = estimate(Usage(keys=1_000_000, changes=100_000), price).total()
    assert estimate(Usage(keys=1_000_000, changes=100_000, nat=True), price).total() > plain
    reads = estimate(Usage(keys=1_000_000, changes=0, unequal_etags=1), FREE | {"read_million": 1.0})
    assert reads.total("finder") == pytest.approx(2 * 730)


def test_a_region_without_prices_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(["--keys", "1", "--changes", "1", "--region", "cn-north-1"]) == 2
    assert "add a table for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--keys", "-1"), ("--changes", "-1"), ("--mib", "nan"), ("--workers", "-3")),
        *(("--interval", "0"), ("--unequal-etags", "7")),
    ],
)
def test_a_number_out_of_range_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(["--keys", "1", "--changes", "1", option, value]) == 2
    printed = capsys.readouterr()
    assert f"{option} {value}" in printed.err
    assert "out of range; use a number from" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in shown((ROOT / "docs" / "cost.md").read_text())
        if "-m tools.docs.cost" in line and "--keys" in line
    ],
)
def test_the_pages_examples_run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(shlex.split(line)[3:]) == 0
    assert "not checked since" in capsys.readouterr().out


def test_every_price_is_used_and_the_table_is_dated() -> None:
    table = prices("us-west-2")
    assert table["date"].year >= 2026
    text = (ROOT / "tools" / "docs" / "cost.py").read_text()
    assert all(f'"{name}"' in text for name, value in table.items() if isinstance(value, (int, float)))
