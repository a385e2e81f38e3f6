"""Test the benchmark harness: figures, plot, proxy, synthetic listings, events."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.harness import limit, place, process
from bench.harness.events import event
from bench.harness.process import Usage, run
from bench.harness.report import prices
from bench.harness.report.figures import Figure, Section, table, write
from bench.harness.report.plot import WIDTH, Chart, svg
from bench.harness.servers import tools
from bench.harness.servers.listing_server import PAGE, after, key, page
from bench.harness.servers.proxy import Proxy
from bench.harness.servers.requests import READ_UNITS, WRITE_UNITS, Reader, operation
from bench.harness.site import REGION, SOURCE, TARGET
from bench.harness.stage import SIZE, Stage, stage
from dualsync.runtime.aws.s3.listing import parse
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.messages.parser import parse_message as read_event
from dualsync.runtime.messages.sync_request import Actor, Cause
from tests.support.scripted_server import ReceivedRequest, answer, scripted

SECTION = Section(
    "A title",
    [
        Figure("cost", 0.5, "ms", 0.8, peers={"one": 3.9, "another": None}),
        Figure("rate", 99, "/s", 100, more=True, rounds=(98, 99, 101)),
        Figure("count", 12345, ""),
    ],
    [("dualsync", 2.0), ("<a peer>", 1.0)],
    "bars",
    ["a peer: missing on this machine"],
)


def test_figures_are_shown_with_their_targets() -> None:
    text = table(SECTION)
    assert [line.split() for line in text.splitlines()[2:5]] == [
        ["cost", "0.5", "ms", "≤", "0.8", "ms", "met", "one", "3.9;", "another", "missing"],
        ["rate", "99.0", "/s", "(98.0", "to", "101)", "≥", "100", "/s", "MISSED"],
        ["count", "12,345"],
    ]
    assert "missing on this machine" in text


def test_page_and_plot_show_figures_targets_and_peers(tmp_path: Path) -> None:
    text = write([SECTION], tmp_path, quick=True).read_text()
    assert "| cost | 0.5 ms | ≤ 0.8 ms | met | one 3.9; another missing |" in text
    assert "| **MISSED** |" in text
    assert "**1 of 2 targets are met.** Missed: rate." in text
    assert "Written by a quick run" in text
    assert "- A peer: missing on this machine." in text
    assert all(f"| {name} |" in text for name in ("machine", "versitygw", "ElasticMQ", "obstore", "awscrt", "dthcli"))
    (named,) = re.findall(r"\]\((images/\S+)\)", text)
    drawn = ET.fromstring((tmp_path / named).read_text())
    bars = [bar for bar in drawn.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class") in ("ours", "peer")]
    assert [(bar.get("class"), bar.get("width")) for bar in bars] == [("ours", "182.0"), ("peer", "91.0")]


def test_a_target_beyond_all_bars_is_within_the_chart() -> None:
    drawn = ET.fromstring(
        svg([Chart("<cost>", [("dualsync", 1.0), ("<a peer>", 2.0)], less=True, target=4.0, note="alone")])
    )
    (line,) = drawn.iter("{http://www.w3.org/2000/svg}line")
    assert float(line.get("x1", "0")) < WIDTH
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<cost>", "<a peer>", "less is better; alone", "target 4"} <= texts


def test_price_per_million_objects() -> None:
    assert prices.per_million({"GetObject": 1, "PutObject": 1}, {}, {}, 0) == pytest.approx(5.4)
    assert prices.per_million({"HeadObject": 1, "DeleteObject": 1}, {}, {}, 0) == pytest.approx(0.4)
    spent = {READ_UNITS: 2, WRITE_UNITS: 2, "PutItem": 1}
    assert prices.per_million({}, {"ReceiveMessage": 0.3}, spent, 0.5) == pytest.approx(
        0.12 + 0.125 + 0.625 + 0.000583, rel=1e-4
    )
    assert "2026" in prices.source()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"GET /b/k?x-id=GetObject", "GetObject"),
        (b"HEAD /b/k", "HeadObject"),
        (b"HEAD /b", "HeadBucket"),
        (b"GET /b?list-type=2&prefix=a%2F", "ListObjectsV2"),
        (b"PUT /b/k", "PutObject"),
        (b"PUT /b/k?partNumber=1&uploadId=u", "UploadPart"),
        (b"POST /b/k?uploads", "CreateMultipartUpload"),
        (b"POST /b/k?uploadId=u", "CompleteMultipartUpload"),
        (b"DELETE /b/k", "DeleteObject"),
        (b"PUT /b", "PUT"),
    ],
)
def test_the_operation_of_a_request_is_identified_by_its_head(line: bytes, name: str) -> None:
    assert operation(line + b" HTTP/1.1\r\nHost: h\r\n") == name
    copy = operation(b"PUT /b/k HTTP/1.1\r\nx-amz-copy-source: /b/j\r\n")
    assert copy == "CopyObject"


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_requests_are_parsed_from_chunks_of_any_size(size: int) -> None:
    counts: Counter[str] = Counter()
    reader = Reader(counts)
    asked = [
        _post("BatchGetItem", {"RequestItems": {"t": {"Keys": [{"ObjectKey": 1}] * 3, "ConsistentRead": True}}}),
        _post("GetItem", {"Key": {"ObjectKey": 1}}),
        _post("PutItem", {"Item": {"ObjectKey": "x" * 1024}}),
        b"PUT /b/k HTTP/1.1\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-amz-trailer: 1\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /b/k HTTP/1.1\r\n\r\n",
    ]
    sent = b"".join(asked)
    for at in range(0, len(sent), size):
        reader.feed(sent[at : at + size])
    assert counts == {
        "BatchGetItem": 1, "GetItem": 1, "PutItem": 1, "PutObject": 3, "GetObject": 1, READ_UNITS: 7, WRITE_UNITS: 4,
    }  # fmt: skip


def _post(name: str, body: dict[str, object]) -> bytes:
    text = json.dumps(body).encode()
    return b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.%s\r\nContent-Length: %d\r\n\r\n%s" % (
        name.encode(), len(text), text,
    )  # fmt: skip


def test_synthetic_listings_are_sorted_complete_and_nearly_equal() -> None:
    rows = [row for number in range(3) for row in parse(page(number, 3, differs=False), "").rows]
    others = [row for number in range(3) for row in parse(page(number, 3, differs=True), "").rows]
    assert len(rows) == 3 * PAGE
    assert all(a.key < b.key for a, b in pairwise(rows))
    assert [parse(page(number, 3, differs=False), "").token for number in range(3)] == ["1", "2", ""]
    assert sum(a != b for a, b in zip(rows, others, strict=True)) == 1


def test_synthetic_listings_continue_after_any_key() -> None:
    whole = [row.key for number in range(3) for row in parse(page(number, 3, differs=False), "").rows]
    assert whole == [key(number) for number in range(3 * PAGE)]
    for at in (0, 1, 998, 999, 1000, 1700):
        number, skip = divmod(after(whole[at]), PAGE)
        found = parse(page(number, 3, differs=False, skip=skip), "")
        assert found.rows[0].key == whole[at + 1]
        assert found.token == str(number + 1)
    assert parse(page(3, 3, differs=False), "").rows == []
    assert after("") == 0


def test_synthetic_events_are_creations_by_users() -> None:
    (request,) = read_event(
        event(SOURCE, REGION, "a b/ü", 5, 7), Principals(frozenset({"AIDAOWN"})), lambda key: key, time.time()
    )
    assert (request.key, request.cause, request.actor) == ("a b/ü", Cause.CREATED, Actor.USER)
    assert (
        json.loads(event(SOURCE, REGION, "k", 5, 8))["Records"][0]["s3"]["object"]["sequencer"] > "0055AED6DC00000007"
    )


async def test_the_proxy_adds_a_round_trip_and_counts() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        return answer(200, request.body)

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
        assert proxy.requests == {"PUT": 2}
        serving.cancel()


def test_a_failing_peers_reason_is_reported() -> None:
    with pytest.raises(RuntimeError, match="last words"):
        run(["sh", "-c", "echo last words; exit 3"])


@pytest.mark.parametrize("sampled", [True, False], ids=["seen while it runs", "ended before the first sample"])
def test_a_short_programs_memory_is_measured(monkeypatch: pytest.MonkeyPatch, sampled: bool) -> None:
    if not sampled:

        def ended(pid: int) -> Usage:
            raise FileNotFoundError(pid)

        monkeypatch.setattr(process, "usage", ended)
    size = run(["sleep", "0.1"]).usage.rss
    assert size > 0
    assert size < 2**26 or not sampled, "an upper bound holds this process's own memory"


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no benchmark 'nothing'" in capsys.readouterr().err
    assert set(BENCHMARKS) == {"small", "plain", "far", "large", "processes", "finder", "start"}


@pytest.mark.skipif(not tools.present(), reason="the servers were not fetched: `make bench` does")
def test_a_small_run_over_real_servers(tmp_path: Path) -> None:
    with stage(tmp_path) as servers:
        servers.fresh()
        keys = [f"k{number}" for number in range(50)]
        servers.fill(keys, b"x" * SIZE)
        servers.announce(keys, SIZE)
        worker = servers.work_off(50)
        assert worker.objects == 50
        assert worker.cpu_ms < 50
        rows = asyncio.run(_keys(servers))
        assert rows == sorted(keys)


async def _keys(servers: Stage) -> list[str]:
    return [row.key async for rows in servers.bucket(TARGET).list() for row in rows]


def test_a_worker_has_no_more_memory_than_the_limit() -> None:
    """Use the kind of limit that this machine has."""
    script = f"import sys; x = bytearray(b'1' * {limit.BYTES // 2}); sys.stdin.read(1); x += x; x += x"
    process = subprocess.Popen(
        limit.command([sys.executable, "-c", script]), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    limit.enforce(process.pid)
    process.communicate(b".", timeout=60)
    assert process.returncode != 0


def test_the_servers_data_is_deleted_after_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "HOME", tmp_path)
    for room in (0, 1 << 60):
        monkeypatch.setattr(place, "ROOM", room)
        with place.data() as folder:
            (folder / "object").write_bytes(b"content")
            assert (folder.parent == tmp_path) is not place.in_memory()
        assert not folder.exists()
    assert place.how() == "on disk"
