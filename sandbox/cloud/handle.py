"""Starts the local cloud emulator in a separate process, and creates clients of it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
from botocore.config import Config

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.processes import ROOT, tied_to_parent

PATH = "/published/"
"""Where documents of issuers are published (`federation`, which only the emulator's process imports)."""


class CloudError(Exception):
    """The local cloud emulator did not start; the text holds its output."""


@dataclass
class Cloud:
    """A running local cloud emulator."""

    endpoint: str
    """Address of every service of both accounts."""

    process: subprocess.Popen[str] | None = None
    """Its process; None for an emulator that another process started."""

    @classmethod
    def start(cls, port: int = 0, log: Path | None = None) -> Cloud:
        """Start one and wait until it answers. It ends with this process. Raises `CloudError`."""
        with open(log, "a") if log else open("/dev/null", "w") as errors:
            process = subprocess.Popen(
                tied_to_parent([sys.executable, "-m", "sandbox.cloud.server", str(port)]),
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.communicate()
            lines = log.read_text().strip().splitlines() if log else []
            why = lines[-1] if lines else "run `python -m sandbox.cloud.server` to see why"
            raise CloudError(f"the local cloud emulator ended with code {process.returncode}: {why}")
        return cls(json.loads(line)["endpoint"], process)

    def session(self, side: SideName) -> boto3.Session:
        """Return the operator's session in a side's account."""
        account = ACCOUNTS[side]
        return boto3.Session(
            aws_access_key_id=account.access_key_id,
            aws_secret_access_key=account.secret_access_key,
            region_name=account.region,
        )

    def client(self, side: SideName, service: str, *, connections: int = 10) -> Any:
        """Return the operator's client of a service in a side's account."""
        return client(self.session(side), service, self.endpoint, connections=connections)

    def publish(self, documents: Mapping[str, str]) -> None:
        """Publish documents of an issuer, by their addresses, where the emulator's STS reads them."""
        for address, text in documents.items():
            url = self.endpoint + PATH + address.removeprefix("https://")
            request = urllib.request.Request(url, text.encode(), method="PUT")
            with urllib.request.urlopen(request, timeout=10):
                pass

    def stop(self) -> None:
        """Stop it. Does nothing after the first call."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
            self.process = None

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def client(session: boto3.Session, service: str, endpoint: str, *, connections: int = 10) -> Any:
    """Create a client of the local cloud emulator: path-style S3, few retries, no other endpoint."""
    config = Config(
        s3={"addressing_style": "path"},
        max_pool_connections=connections,
        retries={"total_max_attempts": 2, "mode": "standard"},
        connect_timeout=5,
        read_timeout=60,
    )
    return session.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]
