"""Test the script that drains a worker, against a metadata service on loopback that requires tokens as EC2's does."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.workers import userdata

NOTICE = '{"action": "terminate", "time": "2026-11-23T12:02:00Z"}'
LIFE, SPOT = "autoscaling/target-lifecycle-state", "spot/instance-action"


@dataclass
class Metadata:
    """Metadata `answers` per path; the last one repeats, and None is 404. A token is valid for `tokens` requests."""

    answers: dict[str, list[str | None]]
    tokens: int = 1000
    asked: list[str] = field(default_factory=list)
    given: int = 0
    left: int = 0

    def get(self, path: str, token: str | None) -> tuple[int, str]:
        if token != f"token-{self.given}" or self.left == 0:
            return 401, ""
        self.left -= 1
        self.asked.append(path)
        kept = self.answers.get(path, [None])
        answer = kept.pop(0) if len(kept) > 1 else kept[0]
        return (404, "") if answer is None else (200, answer)

    def token(self) -> tuple[int, str]:
        self.given, self.left = self.given + 1, self.tokens
        return 200, f"token-{self.given}"


@dataclass
class Instance:
    """An instance with this metadata, whose commands only record their calls."""

    folder: Path
    metadata: Metadata
    base: str

    def drain(self) -> list[str]:
        """Run the script to its end (its last sleep is cut short); return what it printed and called, in order."""
        calls = self.folder / "calls"
        for name in ("systemctl", "aws", "sleep"):
            path = self.folder / name
            path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{calls}"\n')
            path.chmod(0o755)
        script = userdata.template("drain.sh").replace("http://169.254.169.254", self.base)
        done = subprocess.run(
            ["bash", "-c", script, "drain", "cn-north-1", "the-group", "the-hook"],
            env={"PATH": f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["state"] == "DRAINING"
        return calls.read_text().splitlines()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    metadata = Metadata({LIFE: ["InService"], SPOT: [None], "instance-id": ["i-0123"]})

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.path == "/latest/api/token"
            self.reply(*metadata.token())

        def do_GET(self) -> None:
            path = self.path.removeprefix("/latest/meta-data/")
            self.reply(*metadata.get(path, self.headers["X-aws-ec2-metadata-token"]))

        def reply(self, code: int, text: str) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Instance(tmp_path, metadata, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


ENDING = [
    "systemctl stop dualsync-worker",
    "aws autoscaling complete-lifecycle-action --region cn-north-1 --auto-scaling-group-name the-group"
    " --lifecycle-hook-name the-hook --lifecycle-action-result CONTINUE --instance-id i-0123",
    "sleep infinity",
]


def test_at_scale_in_the_worker_stops_before_the_lifecycle_hook_completes(instance: Instance) -> None:
    instance.metadata.answers[LIFE] = ["InService", "InService", "Terminated"]
    assert instance.drain() == ["sleep 5", "sleep 5", *ENDING]


def test_a_spot_notice_stops_the_worker_with_nearly_all_of_its_two_minutes_left(instance: Instance) -> None:
    instance.metadata.answers[SPOT] = [None, None, None, NOTICE]
    assert instance.drain() == ["sleep 5"] * 3 + ENDING


def test_a_notice_from_before_the_start_is_acted_on_at_once(instance: Instance) -> None:
    instance.metadata.answers[SPOT] = [NOTICE]
    assert instance.drain() == ENDING


def test_an_expired_metadata_token_is_replaced(instance: Instance) -> None:
    instance.metadata.tokens = 4
    instance.metadata.answers[LIFE] = [*["InService"] * 5, "Terminated"]
    calls = instance.drain()
    assert calls[-3:] == ENDING
    assert instance.metadata.given > 1
