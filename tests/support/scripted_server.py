"""Provide an HTTP server that sends scripted answers byte for byte, and records the requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from dualsync.runtime.aws.credentials import Credential, Credentials, FixedCredentials
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.aws.http.pool import Endpoint, Pool

KEY = FixedCredentials(Credential("AKIDEXAMPLE", "secret-of-the-example"))
CLOSE = b""
"""As an answer: close the connection without one."""


class Last(bytes):
    """An answer after which the connection is closed."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Script:
    """Answers in order, the last one for all further requests; a callable makes its answer from the request."""

    answers: list[bytes | Callable[[ReceivedRequest], bytes]]
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def caller(self, service: str = "s3", credentials: Credentials = KEY, *, spare: int = 0) -> ServiceClient:
        return ServiceClient(Pool(Endpoint.from_url(self.url), spare=spare), service, "us-west-2", credentials)

    def close_connections(self) -> None:
        """Close all connections, as a server does with idle ones."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                answer = self._answer(await _request(reader, writer))
                if answer == CLOSE:
                    return
                writer.write(answer)
                await writer.drain()
                if isinstance(answer, Last):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, request: ReceivedRequest) -> bytes:
        self.requests.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(request) if callable(answer) else answer


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ReceivedRequest:
    request = _parse_head(await reader.readuntil(b"\r\n\r\n"))
    if "expect" in request.headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return replace(request, body=await reader.readexactly(int(request.headers.get("content-length", 0))))


def _parse_head(raw: bytes) -> ReceivedRequest:
    head = raw.decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip(" \t") for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    return ReceivedRequest(method, path, headers, b"")


@asynccontextmanager
async def scripted(*answers: bytes | Callable[[ReceivedRequest], bytes]) -> AsyncIterator[Script]:
    """Serve the answers on loopback within a `with` block."""
    script = Script(list(answers))
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        script.close_connections()


def answer(status: int = 200, body: bytes = b"", /, **headers: str) -> bytes:
    """Return an answer with its length. `x_amz_version_id="1"` is header `x-amz-version-id: 1`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Some Words\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def chunked(*chunks: bytes, status: int = 200) -> bytes:
    """Return an answer in chunks, as S3 sends lists and completions."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return f"HTTP/1.1 {status} Some Words\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body


def error(status: int, code: str, message: str = "Something.") -> bytes:
    """Return an error in S3's format."""
    return answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve each connection with `handler`, for servers that misbehave, and yield the server's URL."""

    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for task in tasks:
            if task is not None and not task.done():
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def client_of(url: str, service: str = "s3", *, spare: int = 0) -> ServiceClient:
    """Return a client of the service at `url`."""
    return ServiceClient(Pool(Endpoint.from_url(url), spare=spare), service, "us-west-2", KEY)


async def read_head(reader: asyncio.StreamReader) -> ReceivedRequest:
    """Read a request's head, and leave its body."""
    return _parse_head(await reader.readuntil(b"\r\n\r\n"))
