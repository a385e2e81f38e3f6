"""Provide the server that the environment names as a server of the contract tests."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from dualsync.runtime.aws.boto3_bridge import client_config
from dualsync.runtime.aws.credentials import Credential
from tests.support.moto_server import UsEast1Server

URL = "CONTRACT_SERVER"
"""Environment variable with the server's address on loopback, such as `http://127.0.0.1:4566`."""
NAME = "CONTRACT_SERVER_NAME"
"""Environment variable with the server's name in test ids and `differs`; `other` if it is not set."""
CLOCK = "CONTRACT_SERVER_CLOCK"
"""Environment variable with the path of a file into which tests write the seconds by which the server's clock must be
ahead. Without it, tests that let time pass are skipped."""
REGION = "us-east-1"


def other_name() -> str:
    """Return the server's name, empty if there is none."""
    return os.environ.get(NAME, "other") if os.environ.get(URL) else ""


def other_server() -> OtherServer:
    """Return the server."""
    clock = os.environ.get(CLOCK)
    return OtherServer(os.environ[URL], Path(clock) if clock else None)


class OtherServer(UsEast1Server):
    """The server at an address on loopback. It is neither stopped nor emptied."""

    def __init__(self, url: str, clock: Path | None) -> None:
        if not _is_loopback(urlsplit(url).hostname or ""):
            raise ValueError(f"{URL}={url!r}: not on the loopback interface; give an address such as 127.0.0.1")
        super().__init__(clock)
        self.url = url.rstrip("/")
        self.credential = Credential("test", "test")
        self._clients: dict[str, Any] = {}

    def client(self, service: Any) -> Any:
        """Return a boto3 client."""
        if service not in self._clients:
            session = boto3.Session("test", "test", region_name=REGION)
            self._clients[service] = session.client(service, endpoint_url=self.url, config=client_config(16, "path"))
        return self._clients[service]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
