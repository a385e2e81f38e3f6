"""Test the status as a page: a file, and a read-only server on loopback that keeps the last answer on failed calls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.commands import status as command
from dualsync.runtime.commands.output.page_server import LOOPBACK, PageServer
from dualsync.runtime.commands.session import Session
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.status import Status, read_status
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator
from tests.unit.runtime.commands.output.test_status_screen import troubled


def test_file_contains_verdict_problems_and_table(tmp_path: Path) -> None:
    file = tmp_path / "status.html"
    answer = troubled().call("status", "--html", str(file))
    assert answer.code == 3
    page = file.read_text()
    assert page.index("STOPPED") < page.index("dualsync resume global") < page.index("dead letters</th>")
    assert "<script" not in page
    assert 'http-equiv="refresh"' not in page


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    operator = Operator()
    operator.brokers[SideName.CN].dead.append(("{}", "denied: <img src=x onerror=alert(1)> \u202e \x1b[2J"))
    file = tmp_path / "status.html"
    operator.call("status", "--html", str(file))
    page = file.read_text()
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_file_that_cannot_be_written_names_the_option(tmp_path: Path) -> None:
    answer = Operator().call("status", "--html", str(tmp_path / "no" / "x.html"))
    assert answer.code == 2
    assert "--html" in answer.err


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n", "200"),
        ("HEAD /status.json HTTP/1.1\r\nHost: localhost:80\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost: evil.example:80\r\n", "421"),
        ("GET / HTTP/1.1\r\n", "421"),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n", "405"),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1:80\r\n", "404"),
        ("\x00\x01", "421"),
    ],
)
def test_server_answers_reads_for_its_own_host_only(head: str, status: str) -> None:
    server = PageServer({"/": lambda: ("text/html", "STATUS"), "/status.json": lambda: ("application/json", "{}")})
    answer = server.respond(head).decode()
    assert answer.split(" ")[1] == status
    assert ("STATUS" in answer.split("\r\n\r\n")[1]) is (head.startswith("GET / ") and status == "200")


async def read(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text.split("\r\n\r\n", 1)[1]


def test_server_keeps_the_last_status_on_failed_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator()
    printed: list[str] = []
    listening = asyncio.Event()

    def say(text: str) -> None:
        printed.append(text)
        listening.set()

    cli = Session(json=True)  # the address is printed nevertheless: a free port is known by nothing else
    monkeypatch.setattr(cli.err, "print", say)
    calls = 0
    real = read_status
    answered = asyncio.Event()

    async def read_once(context: OperatorContext) -> Status:
        nonlocal calls
        calls += 1
        if calls > 1:
            answered.set()
            raise UnavailableError("sqs GetQueueAttributes: EndpointConnectionError")
        return await real(context)

    monkeypatch.setattr(command, "read_status", read_once)

    async def work() -> tuple[str, Any]:
        await operator.heartbeat()
        serving = asyncio.create_task(command._serve(cli, operator.context(), 0.01, 0))
        await asyncio.wait_for(listening.wait(), 30)
        port = int(printed[0].split("127.0.0.1:")[1].split("/")[0])
        await answered.wait()
        await asyncio.sleep(0)
        page, document = await read(port, "/"), json.loads(await read(port, "/status.json"))
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return page, document

    page, document = asyncio.run(work())
    assert 'http-equiv="refresh"' in page
    assert "no answer about" in page
    assert "EndpointConnectionError" in document["no_answer"]
    assert [d["state"] for d in document["directions"]] == ["RUNNING", "RUNNING"]
