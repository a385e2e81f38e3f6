"""Signed requests to one service: sent, tried again where that can help, and refused with the service's own code."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from dualsync.runtime.aws.credentials import Credentials
from dualsync.runtime.aws.errors import Refusal, error_of
from dualsync.runtime.aws.http.adaptive_concurrency import AdaptiveConcurrency
from dualsync.runtime.aws.http.body_memory import HURRY
from dualsync.runtime.aws.http.connection import Answer, Connection
from dualsync.runtime.aws.http.pool import Pool
from dualsync.runtime.aws.http.signing import EMPTY, UNSIGNED, Signer
from dualsync.runtime.errors import CredentialRejectedError, ThrottledError, UnavailableError
from dualsync.runtime.model.streamed_body import StreamedBody

ATTEMPTS = 3
"""Few: the worker itself tries again, by message."""

STREAMS = 8
"""So many contents at a time are sent while they are read. Hundreds that share the memory for pieces would each get one
in a minute, and S3 ends a request on which nothing moves for some 20 s (RequestTimeout): none would ever end."""

T = TypeVar("T")
B = TypeVar("B", bound=bytearray)

_SLOW = (503, 429)
_HASHED_ASIDE = 1 << 20
_SKEWED = ("RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired")
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,500})</Message>")


class ServiceError(Exception):
    """A service answered with an error: for the edge that asked, which may know better than `error_of`."""

    def __init__(self, refusal: Refusal, answer: Answer) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.headers = answer.headers
        self.body = answer.body or b""


class ServiceClient:
    """One service at one endpoint. `service` is its name in signatures and in the table of errors."""

    def __init__(self, pool: Pool, service: str, region: str, credentials: Credentials) -> None:
        self.pool = pool
        self.service = service
        self.pace = AdaptiveConcurrency()
        self._streams = asyncio.Semaphore(STREAMS)
        self._signer = Signer(service, region)
        self._credentials = credentials
        self._secure = pool.endpoint.secure

    def use(self, credentials: Credentials) -> None:
        """Sign with another key from now on."""
        self._credentials = credentials

    async def call(
        self,
        operation: str,
        target: str,
        method: str,
        path: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: Any = b"",
        *,
        memory: Callable[[int], Awaitable[bytearray]] | None = None,
    ) -> Answer:
        """The whole answer to one request. Raises `ServiceError`, `UnavailableError`, `CredentialRejectedError`.

        `memory` gives room for a large body of so many bytes.
        """

        async def once() -> Answer:
            if isinstance(body, StreamedBody):
                answer, connection = await self._stream(operation, target, method, path, query, headers, body)
            else:
                answer, connection = await self._once(operation, target, method, path, query, headers, body)
            if answer.body is None:
                answer.body = await self._receive(connection, await self._room(connection, answer.length or 0, memory))
            else:
                self.pool.give(connection)
            return answer

        return await self._again(operation, target, once)

    async def open(
        self, operation: str, target: str, method: str, path: str, headers: dict[str, str]
    ) -> tuple[Answer, Connection]:
        """The answer, and the connection that a large body is still to come from (`Answer.body` is None then): for
        `rest`, or back to the pool."""
        return await self._again(
            operation, target, lambda: self._once(operation, target, method, path, "", headers, b"")
        )

    async def rest(self, operation: str, target: str, connection: Connection, memory: B) -> B:
        """Receive a large body into `memory`, which has its length, and give the connection back."""
        try:
            return await self._receive(connection, memory)
        except UnavailableError as error:
            raise UnavailableError(f"{self.service} {operation} {target}: {error}") from None

    async def _room(
        self, connection: Connection, length: int, memory: Callable[[int], Awaitable[bytearray]] | None
    ) -> bytearray:
        if memory is None:
            return bytearray(length)
        try:
            return await memory(length)
        except BaseException:
            connection.abort()
            self.pool.give(connection)
            raise

    async def _receive(self, connection: Connection, memory: B) -> B:
        try:
            await connection.receive(memory)
        except BaseException:
            connection.abort()
            raise
        finally:
            self.pool.give(connection)
        return memory

    async def _again(self, operation: str, target: str, once: Callable[[], Awaitable[T]]) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await once()
            except ServiceError as refused:
                if attempt >= ATTEMPTS or not await self._may_help(refused):
                    raise
                pause = 0.2 if refused.refusal.status in _SLOW else 0.05
            except UnavailableError as error:
                if attempt >= ATTEMPTS:
                    raise UnavailableError(f"{self.service} {operation} {target}: {error}") from None
                pause = 0.05
            await asyncio.sleep(random.uniform(0, pause * 2**attempt))  # noqa: S311

    async def json(self, operation: str, prefix: str, target: str, version: str, given: dict[str, Any]) -> Any:
        """A call of the AWS JSON protocol (`X-Amz-Target: prefix.operation`), and its answer."""
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": f"{prefix}.{operation}"}
        answer = await self.call(operation, target, "POST", "/", "", headers, json.dumps(given).encode())
        return json.loads(answer.body) if answer.body else {}

    async def _stream(self, *request: Any) -> tuple[Answer, Connection]:
        """`_once` in its turn; no piece of it waits for anything but memory."""
        async with self._streams:
            before = HURRY.set(True)
            try:
                return await self._once(*request)
            finally:
                HURRY.reset(before)

    async def _once(
        self,
        operation: str,
        target: str,
        method: str,
        path: str,
        query: str,
        given: dict[str, str] | None,
        body: Any,
    ) -> tuple[Answer, Connection]:
        await self.pace.enter()
        try:
            request = await self._request(method, path, query, dict(given) if given else {}, body)
            connection, answer = await self._exchange(request, body, method == "HEAD")
        except BaseException:
            self.pace.failed()
            raise
        if answer.status in _SLOW:
            self.pace.refused()
        else:
            self.pace.answered()
        if answer.status < 300:
            return answer, connection
        try:
            if answer.body is None:
                connection.abort()  # with a body that nobody reads, the next request would wait behind it
                raise UnavailableError(f"an error of {answer.length} bytes")
            raise ServiceError(self._refusal(operation, target, answer), answer)
        finally:
            self.pool.give(connection)

    async def _request(self, method: str, path: str, query: str, headers: dict[str, str], body: Any) -> bytes:
        """The head, signed now: a signature ages."""
        endpoint = self.pool.endpoint
        digest = EMPTY
        if self.service == "s3":
            digest = headers["x-amz-content-sha256"] = await self._payload(body)
        elif body:
            digest = hashlib.sha256(body).hexdigest()
        headers["host"] = endpoint.authority
        path = endpoint.base + path
        self._signer.sign(await self._credentials.get(), method, path, query, headers, digest)
        if body or method in ("PUT", "POST"):
            headers["content-length"] = str(len(body))
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    async def _exchange(self, request: bytes, body: Any, headless: bool) -> tuple[Connection, Answer]:
        while True:
            connection, used = await self.pool.take()
            try:
                return connection, await connection.ask(request, body, headless=headless)
            except UnavailableError:
                self.pool.give(connection)
                # A kept connection may have been closed by the other end just now; a new one tells. What is sent while
                # it is read may also have failed for its source: to try that on every kept one would never end.
                if not used or connection.answered or isinstance(body, StreamedBody):
                    raise
            except BaseException:
                connection.abort()
                self.pool.give(connection)
                raise

    async def _payload(self, body: Any) -> str:
        if not body:
            return EMPTY
        if self._secure or isinstance(body, StreamedBody):
            return UNSIGNED
        if len(body) < _HASHED_ASIDE:
            return hashlib.sha256(body).hexdigest()
        return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()

    async def _may_help(self, refused: ServiceError) -> bool:
        """Whether to send it again: the service is at fault or busy, or the key or the clock could be mended."""
        kind = error_of(refused.refusal)
        if refused.refusal.code in _SKEWED and self._set_clock(refused.headers.get("date", "")):
            return True
        if isinstance(kind, CredentialRejectedError):
            return await self._credentials.renew()
        return isinstance(kind, ThrottledError | UnavailableError)

    def _set_clock(self, date: str) -> bool:
        """Go by the service's clock when this machine's is far off it."""
        try:
            skew = parsedate_to_datetime(date).timestamp() - time.time()
        except ValueError:
            return False
        if abs(skew - self._signer.skew) < 60:
            return False
        self._signer.skew = skew
        return True

    def _refusal(self, operation: str, target: str, answer: Answer) -> Refusal:
        code, message = _spoken(bytes(answer.body or b""), answer.headers)
        return Refusal(self.service, operation, target, code or str(answer.status), answer.status, message)


def _spoken(body: bytes, headers: dict[str, str]) -> tuple[str, str]:
    """An error's code and message. Not by an XML parser: S3 quotes keys with control characters, which no XML holds."""
    if body.startswith(b"{"):
        try:
            said = json.loads(body)
        except ValueError:
            return "", ""
        query = headers.get("x-amzn-query-error", "").split(";")[0]
        code = str(said.get("__type") or said.get("code") or "").rsplit("#", 1)[-1]
        return code or query, str(said.get("message") or said.get("Message") or "")
    found, message = _CODE.search(body), _MESSAGE.search(body)
    return (
        found[1].decode("latin-1") if found else headers.get("x-amzn-errortype", "").split(":")[0],
        message[1].decode(errors="replace") if message else "",
    )
