"""The benchmarks' harness: figures, plot, proxy, made-up listings, events."""

from __future__ import annotations

import asyncio
import json
import time
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from bench import small
from bench.__main__ import BENCHMARKS, main
from bench.harness import prices, tools
from bench.harness.listing_server import PAGE, page
from bench.harness.process import run
from bench.harness.proxy import Proxy
from bench.harness.report import Figure, Section, svg, table, write
from bench.harness.stage import TARGET, Stage, event, stage
from runtime.edges.listing import parse
from runtime.events import Principals
from runtime.events import parse as read_event
from runtime.look import Actor, Cause
from tests.edges.scripted import Asked, answer, scripted

SECTION = Section(
    "A title",
    [Figure("cost", 0.5, "ms", 0.8), Figure("rate", 99, "/s", 100, more=True), Figure("count", 12345, "")],
    [("dualsync", 2.0), ("<a peer>", 1.0)],
    "bars",
    ["a peer: missing on this machine"],
)


def test_figures_stand_beside_their_targets() -> None:
    text = table(SECTION)
    assert [line.split() for line in text.splitlines()[2:5]] == [
        ["cost", "0.5", "ms", "≤", "0.8", "ms", "met"],
        ["rate", "99.0", "/s", "≥", "100", "/s", "MISSED"],
        ["count", "12,345"],
    ]
    assert "missing on this machine" in text


def test_the_page_and_the_plot(tmp_path: Path) -> None:
    folder = tmp_path
    text = write([SECTION], folder, quick=True).read_text()
    assert "| cost | 0.5 ms | ≤ 0.8 ms | met |" in text
    assert "the quick version" in text
    drawn = ET.fromstring((folder / "benchmarks.svg").read_text())
    assert len(drawn.findall("{http://www.w3.org/2000/svg}rect")) == 3
    assert "&lt;a peer&gt;" in svg([SECTION])


def test_dollars_a_million_objects() -> None:
    assert prices.per_million_objects(0, 0, 0, 0) == pytest.approx(5.4)
    assert prices.per_million_objects(0.3, 1, 1, 0.5) == pytest.approx(5.4 + 0.12 + 0.125 + 0.625 + 0.000583, rel=1e-4)


def test_made_up_listings_are_sorted_whole_and_nearly_equal() -> None:
    rows = [row for number in range(3) for row in parse(page(number, 3, differs=False), "").rows]
    others = [row for number in range(3) for row in parse(page(number, 3, differs=True), "").rows]
    assert len(rows) == 3 * PAGE
    assert all(a.key < b.key for a, b in pairwise(rows))
    assert [parse(page(number, 3, differs=False), "").token for number in range(3)] == ["1", "2", ""]
    assert sum(a != b for a, b in zip(rows, others, strict=True)) == 1


def test_announced_events_are_users_creations() -> None:
    (look,) = read_event(event("a b/ü", 5, 7), Principals(frozenset({"AIDAOWN"})), lambda key: key, time.time())
    assert (look.key, look.cause, look.actor) == ("a b/ü", Cause.CREATED, Actor.USER)
    assert json.loads(event("k", 5, 8))["Records"][0]["s3"]["object"]["sequencer"] > "0055AED6DC00000007"


async def test_the_proxy_adds_a_round_trip_and_counts() -> None:
    def serve(asked: Asked) -> bytes:
        return answer(200, asked.body)

    async with scripted(serve) as script:
        proxy = Proxy(int(script.url.rsplit(":", 1)[1]), 100)
        serving = asyncio.create_task(proxy.serve(0))
        while proxy.port == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
        script.url = f"http://127.0.0.1:{proxy.port}"
        caller = script.caller()
        begin = time.monotonic()
        await caller.call("Put", "k", "PUT", "/k", "", {}, b"x" * 300_000)
        first = time.monotonic() - begin
        begin = time.monotonic()
        body = (await caller.call("Put", "k", "PUT", "/k", "", {}, b"y" * 300_000)).body
        second = time.monotonic() - begin
        assert body == b"y" * 300_000
        assert first >= 0.2, "connecting takes a round trip, too"
        assert second >= 0.1
        assert proxy.requests == 2
        serving.cancel()


def test_a_failing_peer_says_why() -> None:
    with pytest.raises(RuntimeError, match="last words"):
        run(["sh", "-c", "echo last words; exit 3"])
    assert run(["true"]).usage.rss > 0


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no benchmark 'nothing'" in capsys.readouterr().err
    assert set(BENCHMARKS) == {"small", "far", "large", "finder", "start"}


@pytest.mark.skipif(not tools.present(), reason="the servers were not fetched: `make bench` does")
def test_a_small_run_over_real_servers(tmp_path: Path) -> None:
    with stage(tmp_path) as servers:
        servers.fresh()
        keys = [f"k{number}" for number in range(50)]
        servers.fill(keys, b"x" * small.SIZE)
        servers.announce(keys, small.SIZE)
        worker = servers.work_off(50)
        assert worker.objects == 50
        assert worker.cpu_ms < 50
        rows = asyncio.run(_keys(servers))
        assert rows == sorted(keys)


async def _keys(servers: Stage) -> list[str]:
    return [row.key async for rows in servers.bucket(TARGET).list() for row in rows]
