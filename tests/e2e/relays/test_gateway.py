"""Test the TCP relay that the drill cuts and restores."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.relays.gateway import Gateway


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made = Gateway(f"http://127.0.0.1:{server.server_port}")
        yield made
        made.down()
        server.shutdown()
        thread.join()


def ask(gateway: Gateway) -> bytes:
    connection = http.client.HTTPConnection(gateway.endpoint.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_gateway_relays_until_it_is_cut_and_again_at_the_same_address(gateway: Gateway) -> None:
    before = gateway.endpoint
    assert ask(gateway) == b"ok"
    gateway.down()
    with pytest.raises(OSError, match=r"refused|reset"):
        ask(gateway)
    gateway.up()
    assert gateway.endpoint == before
    assert ask(gateway) == b"ok"
