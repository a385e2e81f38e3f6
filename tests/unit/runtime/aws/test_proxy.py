"""The way through a proxy."""

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


async def test_requests_go_through_the_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls = make_authority(tmp_path)
    monkeypatch.setattr(pool, "_tls", lambda: ssl.create_default_context(cafile=authority))
    tunnels = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(200, b"hello"))
        await writer.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_head(reader)
        tunnels.append((asked.method, asked.path, asked.headers.get("proxy-authorization")))
        host, _, port = asked.path.partition(":")
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

    async with serving(serve, tls) as url, serving(relay) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("http://", "http://user:p%40ss@"))
        client = client_of(url)
        answered = await client.call("GetObject", "b/k", "GET", "/b/k")
        assert answered.body == b"hello"
        client.close()
    assert tunnels == [("CONNECT", url.removeprefix("https://"), "Basic dXNlcjpwQHNz")]


@pytest.mark.parametrize(("status", "remedy"), [(407, "give it a user"), (403, "refuses"), (502, "refuses")])
async def test_refusal_of_the_proxy_names_it(status: int, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_hosts_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("s3.example") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,.amazonaws.com.cn")
    assert proxy_for("s3.example") == Proxy("proxy.example", 3128, False)
    assert proxy_for("s3.cn-north-1.amazonaws.com.cn") is None
    assert proxy_for("localhost") is None


def test_addresses_of_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Proxy.of("proxy:3128") == Proxy("proxy", 3128, False)
    assert Proxy.of("https://proxy") == Proxy("proxy", 443, True)
    for wrong in ("socks5://proxy:1", "http://", "http://user:secret@proxy:port"):
        with pytest.raises(FatalError, match="HTTPS_PROXY") as caught:
            Proxy.of(wrong)
        assert "secret" not in str(caught.value)
    assert "dXNl" not in repr(Proxy.of("http://user:password@proxy"))
