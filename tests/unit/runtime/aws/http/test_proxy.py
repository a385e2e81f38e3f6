"""Test requests through a proxy."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from dualsync.runtime.aws.http import pool
from dualsync.runtime.aws.http.proxy import Proxy, proxy_for
from dualsync.runtime.errors import FatalError, UnavailableError
from tests.support.scripted_server import answer, client_of, read_head, serving
from tests.support.tls import make_authority

VARIABLES = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
async def test_requests_go_through_the_tunnel(secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls = make_authority(tmp_path)
    monkeypatch.setattr(pool, "_tls", lambda: ssl.create_default_context(cafile=authority))
    tunnels = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(200, b"hello"))
        await writer.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_head(reader)
        tunnels.append((request.method, request.path, request.headers.get("proxy-authorization")))
        host, _, port = request.path.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(1 << 16):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(carry(reader, back), carry(there, writer))
        finally:
            back.close()
            await back.wait_closed()

    async with serving(serve, tls) as url, serving(relay, tls if secure else None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("://", "://user:p%40ss@"))
        client = client_of(url)
        answered = await client.call("GetObject", "b/k", "GET", "/b/k")
        assert answered.body == b"hello"
        client.close()
    assert tunnels == [("CONNECT", url.removeprefix("https://"), "Basic dXNlcjpwQHNz")]


@pytest.mark.parametrize(("status", "remedy"), [(407, "give it a user"), (403, "refuses"), (502, "refuses")])
async def test_proxy_refusal_names_the_proxy_and_a_remedy(
    status: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(status))
        await writer.drain()

    async with serving(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(
            UnavailableError, match=rf"proxy 127\.0\.0\.1:\d+ refuses s3\.example:443.*{status}.*"
        ) as caught:
            await client_of("https://s3.example").call("GetObject", "b/k", "GET", "/b/k")
        assert remedy in str(caught.value)


def test_proxy_is_chosen_by_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("s3.example") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,.amazonaws.com.cn")
    assert proxy_for("s3.example") == Proxy("proxy.example", 3128, False)
    assert proxy_for("s3.cn-north-1.amazonaws.com.cn") is None
    assert proxy_for("localhost") is None


@pytest.mark.parametrize(
    ("listed", "host", "port", "direct"),
    [
        ("s3.example:443", "s3.example", 443, True),
        ("s3.example:8443", "s3.example", 443, False),
        ("*.amazonaws.com", "sqs.us-west-2.amazonaws.com", 443, True),
        ("amazonaws.com", "SQS.us-west-2.AmazonAWS.com", 443, True),
        ("amazonaws.com", "notamazonaws.com", 443, False),
        ("a.example b.example", "b.example", 443, True),
        ("a.example, *", "s3.example", 443, True),
        ("10.0.0.0/8,192.168.1.7", "10.20.30.40", 443, True),
        ("10.0.0.0/8,192.168.1.7", "192.168.1.7", 443, True),
        ("10.0.0.0/8,192.168.1.7", "192.168.1.8", 443, False),
        ("0.1", "10.0.0.1", 443, False),
        ("[::1]", "::1", 443, True),
        ("[::1]:8443", "::1", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("fd00::/8", "10.0.0.1", 443, False),
        (",. ,", "s3.example", 443, False),
    ],
)
def test_no_proxy_forms_are_supported(
    listed: str, host: str, port: int, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (proxy_for(host, port) is None) is direct


def test_proxy_addresses_are_parsed_and_wrong_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Proxy.from_url("proxy:3128") == Proxy("proxy", 3128, False)
    assert Proxy.from_url("https://proxy") == Proxy("proxy", 443, True)
    assert Proxy.from_url("http://proxy:3128/") == Proxy("proxy", 3128, False)
    for wrong in (
        "socks5://proxy:1",
        "http://",
        "http://user:secret@proxy:port",
        "http://user:secret[@proxy:3128",
        "http://us\u2100er:secret@proxy:3128",
        "http://user:1/secret@proxy:3128",
        "http://user:1?secret@proxy:3128",
        "http://user:1#secret@proxy:3128",
    ):
        with pytest.raises(FatalError, match="HTTPS_PROXY") as caught:
            Proxy.from_url(wrong)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "dXNl" not in repr(Proxy.from_url("http://user:password@proxy"))
