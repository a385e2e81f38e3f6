"""Test the finder's start script as the container runs it, over fakes of ECS, S3 and the image's boto3."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualsync.components.bundle.builder import write
from dualsync.components.workers.userdata import template

BOTO3 = """
import json, os
class Body:
    def __init__(self, path): self.path = path
    def iter_chunks(self, size):
        with open(self.path, "rb") as file:
            while chunk := file.read(size): yield chunk
class Client:
    def get_paginator(self, name): return self
    def paginate(self, **asked):
        assert asked == {"cluster": "c", "family": "finder", "desiredStatus": "RUNNING"}, asked
        return [{"taskArns": json.loads(os.environ["RUNNING"])}]
    def get_object(self, **asked):
        assert asked == {"Bucket": "b", "Key": "k", "VersionId": "v"}, asked
        return {"Body": Body(os.environ["BUNDLE"])}
def client(name): return Client()
"""

RUNTIME = b"import os, sys; print(sys.argv[1:], os.environ['DUALSYNC_SIDE'], __file__)"


class Metadata(http.server.BaseHTTPRequestHandler):
    """ECS's task metadata."""

    def do_GET(self) -> None:
        body = json.dumps({"Cluster": "c", "Family": "finder", "TaskARN": "arn:me"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v4/x"
    server.shutdown()
    thread.join()
    server.server_close()


def start(tmp_path: Path, metadata: str, *, running: list[str], sha256: str = "") -> subprocess.CompletedProcess[str]:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "boto3.py").write_text(BOTO3)
    bundle = tmp_path / "given.tar"
    write(
        bundle,
        {f"dualsync/{name}": b"" for name in ("__init__.py", "runtime/__init__.py")}
        | {"dualsync/runtime/__main__.py": RUNTIME},
    )
    (tmp_path / "work").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "image"),
        "ECS_CONTAINER_METADATA_URI_V4": metadata,
        "RUNNING": json.dumps(running),
        "BUNDLE": str(bundle),
        "DUALSYNC_SIDE": "cn",
    }
    wanted = sha256 or hashlib.sha256(bundle.read_bytes()).hexdigest()
    command = [sys.executable, "-c", template("start_finder.py"), "b", "k", "v", wanted, str(tmp_path / "work")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_fetches_and_verifies_the_bundle_and_starts_the_finder(tmp_path: Path, metadata: str) -> None:
    done = start(tmp_path, metadata, running=["arn:me"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"['finder'] cn {tmp_path}/work/dualsync/runtime/__main__.py\n"


def test_the_script_ends_while_another_finder_runs(tmp_path: Path, metadata: str) -> None:
    done = start(tmp_path, metadata, running=["arn:me", "arn:other"])
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "level": "INFO",
        "event": "finder",
        "state": "skipped",
        "reason": "still running: arn:other",
    }


def test_a_bundle_with_another_digest_is_not_run(tmp_path: Path, metadata: str) -> None:
    done = start(tmp_path, metadata, running=[], sha256="b" * 64)
    assert done.returncode == 1
    assert "deploy again" in done.stderr
    assert not (tmp_path / "work" / "dualsync").exists()


def test_a_failure_logs_a_line_that_raises_the_alarm(tmp_path: Path) -> None:
    done = start(tmp_path, "http://127.0.0.1:1", running=[])
    assert done.returncode == 1
    line = json.loads(done.stdout)
    assert (line["event"], line["state"], line["level"]) == ("finder", "failed", "ERROR")
