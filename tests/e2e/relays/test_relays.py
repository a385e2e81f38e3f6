"""Test the relays: tunnels of a proxy, stalled transfers, repeated requests, throttled writes."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.relays.connect_proxy import ConnectProxy, TlsFront
from tests.e2e.relays.http_relay import HttpRelay, Request, Send
from tests.e2e.relays.stalling import StallingGateway
from tests.e2e.relays.throttled_table import ThrottledTable
from tests.support.tls import make_authority

LARGE = 4 << 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self._answer(b"d" * (LARGE if self.path == "/large" else 2))

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("Seen", (Handler,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", seen
        made.shutdown()
        thread.join()


def connection(endpoint: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=5)


def tunnel(proxy: ConnectProxy, host: str, user: str) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])), timeout=5)
    token = b64encode(user.encode()).decode()
    made.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic {token}\r\n\r\n".encode())
    return made


def ends(made: ssl.SSLSocket) -> bool:
    """Return whether the connection ends within the socket's deadline, after reading all its bytes."""
    try:
        while made.recv(1000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_the_proxy_opens_tunnels_to_one_host_with_the_password(server: tuple[str, list[str]], tmp_path: Path) -> None:
    authority, context = make_authority(tmp_path, "peer.invalid")
    front = TlsFront(server[0], context)
    proxy = ConnectProxy("peer.invalid:443", front.port, "user", "password")
    try:
        for host, user, answer in (
            ("peer.invalid:443", "user:wrong", b"HTTP/1.1 407"),
            ("other.invalid:443", "user:password", b"HTTP/1.1 403"),
        ):
            with tunnel(proxy, host, user) as refused:
                assert refused.recv(1000).startswith(answer)
        assert (proxy.tunnels, len(proxy.refused)) == (0, 2)
        with tunnel(proxy, "peer.invalid:443", "user:password") as raw:
            assert raw.recv(1000).startswith(b"HTTP/1.1 200")
            client = ssl.create_default_context(cafile=authority)
            with client.wrap_socket(raw, server_hostname="peer.invalid") as secured:
                secured.sendall(b"GET / HTTP/1.1\r\nHost: peer.invalid\r\n\r\n")
                assert secured.recv(1000).startswith(b"HTTP/1.1 200")
                proxy.refuse("403 Forbidden")
                assert ends(secured)
        with tunnel(proxy, "peer.invalid:443", "user:password") as refused:
            assert refused.recv(1000).startswith(b"HTTP/1.1 403")
        proxy.allow()
        with tunnel(proxy, "peer.invalid:443", "user:password") as again:
            assert again.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        proxy.stop()
        front.stop()


def test_one_large_download_stalls_until_the_client_closes(server: tuple[str, list[str]]) -> None:
    gateway = StallingGateway(server[0], 1 << 20)
    try:
        gateway.arm()
        stalled = connection(gateway.endpoint)
        stalled.timeout = 0.5
        stalled.request("GET", "/large")
        answer = stalled.getresponse()
        with pytest.raises(TimeoutError):
            answer.read()
        assert [stall.upload for stall in gateway.lasting] == [False]
        answer.close()
        stalled.close()
        other = connection(gateway.endpoint)
        other.request("GET", "/large")
        assert len(other.getresponse().read()) == LARGE
        other.close()
        ended = threading.Event()
        for _ in range(50):
            if not gateway.lasting:
                break
            ended.wait(0.1)
        assert not gateway.lasting
        assert len(gateway.stalls) == 1
    finally:
        gateway.down()


def test_a_relay_forwards_drops_truncates_and_repeats_requests(server: tuple[str, list[str]]) -> None:
    async def decide(request: Request, send: Send) -> bytes:
        if request.target == "/drop":
            return b""
        answer = await send()
        if request.target == "/half":
            return answer.raw[:-1]
        return (await send()).raw if request.target == "/twice" else answer.raw

    relay = HttpRelay(server[0], decide)
    try:
        client = connection(relay.endpoint)
        for target, body in (("/pass", b"body"), ("/twice", b"")):
            client.request("POST", target, body, {"Expect": "100-continue"})
            assert client.getresponse().read() == body
        client.close()
        for target in ("/drop", "/half"):
            client = connection(relay.endpoint)
            client.request("GET", target)
            with pytest.raises((http.client.HTTPException, OSError)):
                client.getresponse().read()
            client.close()
        assert server[1] == ["/pass", "/twice", "/twice", "/half"]
    finally:
        relay.stop()


def test_writes_above_the_rate_get_dynamodbs_throttling_error(server: tuple[str, list[str]]) -> None:
    table = ThrottledTable(server[0])
    try:
        client = connection(table.endpoint)

        def status(operation: str) -> tuple[int, bytes]:
            client.request("POST", "/", b"{}", {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
            answer = client.getresponse()
            return answer.status, answer.read()

        assert status("PutItem")[0] == 200
        table.limit(0.001)
        code, body = status("PutItem")
        assert code == 400
        assert json.loads(body)["__type"].endswith("#ProvisionedThroughputExceededException")
        assert status("GetItem")[0] == 200
        table.limit(None)
        assert status("PutItem")[0] == 200
        assert (table.allowed, table.refused) == (0, 1)
        client.close()
    finally:
        table.stop()
