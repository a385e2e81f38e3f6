"""Test the benchmark harness with the real worker over one moto server, where the real servers are not available."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import small
from bench.harness.process import free_port, running, wait_for_port
from bench.harness.report.figures import page
from bench.harness.servers import tools
from bench.harness.site import TARGET
from bench.harness.stage import Stage
from tests.support.moto_server import Server

PLAN = small.Plan(objects=12, fewer=5, counted=12, warm=0, warming=0, rounds=2, repeats=1)


@pytest.fixture
def over_moto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(tools, "peers_wanted", False)
    server = Server()
    port, log = free_port(), tmp_path / "stub.log"
    moto = int(server.url.rsplit(":", 1)[1])
    try:
        with running([sys.executable, "-m", "bench.harness.servers.stub", str(port)], log, folder=tools.ROOT) as stub:
            wait_for_port(port, stub, log)
            yield Stage(tmp_path, s3=moto, sqs=moto, dynamodb=moto, stub=port)
    finally:
        server.stop()


def test_a_run_counts_measures_and_names_what_is_missing(over_moto: Stage) -> None:
    section = small.measure(over_moto, quick=True, plan=PLAN)
    figures = {figure.what: figure for figure in section.figures}
    requests = figures["requests per object"]
    assert 3 < requests.value < 7, "a GET, a PUT, a ledger write, shares of the batches, and what a start takes"
    assert requests.peers["dthcli worker"] is None
    assert len(figures["CPU per object"].rounds) == 2
    assert figures["objects per second, on shared cores"].value > 0
    assert 0 < figures["largest resident memory"].value < 900
    spelled = next(note for note in section.notes if note.startswith("requests per object of dualsync"))
    # Of six objects, and one PUT of the start, which proves that the peer's store keeps conditions.
    assert "PutObject 1.17, GetObject 1," in spelled
    assert "write units" in spelled
    assert any("not wanted in this run" in note for note in section.notes)
    arrived = asyncio.run(_keys(over_moto))
    assert {f"many-{round}/{n:06}" for round in range(2) for n in range(12)} <= arrived
    assert "| requests per object |" in page([section], "plot.svg", quick=True, command="make bench")


async def _keys(stage: Stage) -> set[str]:
    return {row.key async for rows in stage.bucket(TARGET).list() for row in rows}
