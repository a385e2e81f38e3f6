"""Signed requests to one service: sent, retried where that can help, and refused with the service's own code."""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import random
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, TypeVar

from dualsync.runtime.aws.credentials import Credentials
from dualsync.runtime.aws.errors import Refusal, error_of, request_id
from dualsync.runtime.aws.http.adaptive_concurrency import AdaptiveConcurrency
from dualsync.runtime.aws.http.answer import Answer
from dualsync.runtime.aws.http.body_memory import HAS_PRIORITY
from dualsync.runtime.aws.http.connection import EXPECT_BYTES, Connection
from dualsync.runtime.aws.http.pool import Pool
from dualsync.runtime.aws.http.signing import EMPTY, UNSIGNED, Signer
from dualsync.runtime.errors import CredentialRejectedError, PermanentError, ThrottledError, UnavailableError
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.settings import VERSION

ATTEMPTS = 3
"""Attempts of a request. Few, since the worker itself retries per message."""

THROTTLED_ATTEMPTS = 8
"""Attempts of a request that the service throttles; the pauses between them add up to 12 s on average."""

PAUSE_SECONDS, THROTTLED_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.05, 0.1, 5.0
"""Base of the pause after an error and after throttling, doubled per attempt, and its upper limit. A pause is drawn
between zero and that ("Retry behavior", AWS SDKs and Tools Reference Guide: exponential backoff with jitter)."""

STREAMS = 8
"""Contents that are sent at a time while they are read. If hundreds shared the memory, each would get a piece per
minute, and S3 ends a request on which nothing moves for some 20 s (RequestTimeout)."""

USER_AGENT = f"dualsync/{VERSION} Python/{platform.python_version()}"
"""How requests appear in CloudTrail and in S3's access logs."""

T = TypeVar("T")
B = TypeVar("B", bound=bytearray)

_SLOW = (503, 429)
_HASHED_ASIDE = 1 << 20
_SKEWED = ("RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired")
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,8000})</Message>")
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE)
_CONTENT = ("GetObject", "HeadObject")
_EXPECT = b"\r\nexpect: 100-continue\r\n"
_EMPTY_ANSWERS = ("sqs",)
"""Services of which an answer without a body is whole (Amazon SQS API Reference, DeleteMessage)."""


class ServiceError(Exception):
    """An error answer of a service, for the adapter that asked: it may know more than `error_of`."""

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
        self.concurrency = AdaptiveConcurrency()
        self._streams = asyncio.Semaphore(STREAMS)
        self._signer = Signer(service, region)
        self._credentials = credentials
        self._secure = pool.endpoint.secure

    def use(self, credentials: Credentials) -> None:
        """Sign with another key from now on."""
        self._credentials = credentials

    def close(self) -> None:
        """Close the connections; requests under way fail."""
        self.pool.close()

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
        """Return the whole answer to one request.

        `memory` returns room for a large body of a given number of bytes. Raises `ServiceError`, `UnavailableError` and
        `CredentialRejectedError`.
        """
        return await self._retry(
            operation,
            target,
            lambda: self._read_whole(operation, target, method, path, query, headers, body, memory),
        )

    async def _read_whole(
        self,
        operation: str,
        target: str,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str] | None,
        body: Any,
        memory: Callable[[int], Awaitable[bytearray]] | None,
    ) -> Answer:
        if isinstance(body, StreamedBody):
            answer, connection = await self._stream(operation, target, method, path, query, headers, body)
        else:
            answer, connection = await self._once(operation, target, method, path, query, headers, body)
        if answer.body is None:
            answer.body = await self._receive(
                connection, await self._body_memory(connection, answer.length or 0, memory)
            )
        else:
            self.pool.release(connection)
        return answer

    async def open(
        self, operation: str, target: str, method: str, path: str, headers: dict[str, str]
    ) -> tuple[Answer, Connection]:
        """Return the answer, and the connection on which a large body is still to come (`Answer.body` is None then).

        The connection goes to `receive_rest`, or back to the pool.
        """
        return await self._retry(
            operation, target, lambda: self._once(operation, target, method, path, "", headers, b"")
        )

    async def receive_rest(self, operation: str, target: str, connection: Connection, memory: B) -> B:
        """Receive a large body into `memory`, which has its length, and return the connection to the pool."""
        try:
            return await self._receive(connection, memory)
        except UnavailableError as error:
            raise UnavailableError(f"{self.service} {operation} {target}: {error}") from None

    async def _body_memory(
        self, connection: Connection, length: int, memory: Callable[[int], Awaitable[bytearray]] | None
    ) -> bytearray:
        if memory is None:
            return bytearray(length)
        try:
            return await memory(length)
        except BaseException:
            connection.abort()
            self.pool.release(connection)
            raise

    async def _receive(self, connection: Connection, memory: B) -> B:
        try:
            await connection.receive(memory)
        except BaseException:
            connection.abort()
            raise
        finally:
            self.pool.release(connection)
        return memory

    async def _retry(self, operation: str, target: str, once: Callable[[], Awaitable[T]]) -> T:
        failures = throttled = 0
        while True:
            try:
                return await once()
            except ServiceError as refused:
                if isinstance(error_of(refused.refusal), ThrottledError):
                    throttled += 1
                else:
                    failures += 1
                if failures >= ATTEMPTS or throttled >= THROTTLED_ATTEMPTS or not await self._should_retry(refused):
                    raise
                pause = THROTTLED_PAUSE_SECONDS * 2**throttled if throttled else PAUSE_SECONDS * 2**failures
            except UnavailableError as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise UnavailableError(f"{self.service} {operation} {target}: {error}") from None
                pause = PAUSE_SECONDS * 2**failures
            await asyncio.sleep(random.uniform(0, min(pause, MAX_PAUSE_SECONDS)))  # noqa: S311

    async def call_json(self, operation: str, prefix: str, target: str, version: str, given: dict[str, Any]) -> Any:
        """Call the AWS JSON protocol (`X-Amz-Target: prefix.operation`), and return its answer, an object.

        An answer that is none is an error of the request like a lost connection, and retried.
        """
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": f"{prefix}.{operation}"}
        body = json.dumps(given).encode()

        async def once() -> Any:
            answer = await self._read_whole(operation, target, "POST", "/", "", headers, body, None)
            return _document(answer, self.service)

        return await self._retry(operation, target, once)

    async def _stream(self, *request: Any) -> tuple[Answer, Connection]:
        """Do `_once` in its turn; a piece of the body waits for memory, and neither for a window nor for a stream."""
        async with self._streams:
            before = HAS_PRIORITY.set(True)
            try:
                return await self._once(*request)
            finally:
                HAS_PRIORITY.reset(before)

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
        slot = not HAS_PRIORITY.get()
        await self.concurrency.enter(slot=slot)
        try:
            large = len(body) >= EXPECT_BYTES if body else False
            request = await self._request(method, path, query, dict(given) if given else {}, body, large)
            connection, answer = await self._exchange(request, body, method == "HEAD")
        except BaseException:
            self.concurrency.leave_after_failure(slot=slot)
            raise
        refusal = None if answer.status < 300 else self._refusal(operation, target, answer)
        if refusal is not None and (answer.status in _SLOW or isinstance(error_of(refusal), ThrottledError)):
            self.concurrency.leave_after_refusal(slot=slot)
        else:
            self.concurrency.leave_after_answer(slot=slot)
        if refusal is None and not (operation not in _CONTENT and _is_page(answer)):
            return answer, connection
        try:
            if refusal is None:
                connection.abort()
                raise UnavailableError(f"an HTML page came instead of an answer ({answer.status})")
            if answer.body is None:
                connection.abort()  # the next request would wait behind the unread body
                raise UnavailableError(f"an error ({answer.status}) of {answer.length} bytes{_ids(answer)}")
            raise ServiceError(refusal, answer)
        finally:
            self.pool.release(connection)

    async def _request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: Any, large: bool
    ) -> bytes:
        """Return the request's head, signed now since a signature ages."""
        endpoint = self.pool.endpoint
        digest = EMPTY
        if self.service == "s3":
            digest = headers["x-amz-content-sha256"] = await self._payload(body)
        elif body:
            digest = hashlib.sha256(body).hexdigest()
        headers["host"] = endpoint.authority
        path = endpoint.base + path
        credential = await self._credentials.get()
        if credential is not None:
            self._signer.sign(credential, method, path, query, headers, digest)
        if body or method in ("PUT", "POST"):
            headers["content-length"] = str(len(body))
        # Not signed, as in the SDKs: proxies may change them.
        headers["user-agent"] = USER_AGENT
        if large and self.pool.expects_continue:
            headers["expect"] = "100-continue"
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\n{lines}\r\n"
        if not head.count("\r") == head.count("\n") == len(headers) + 2 or "\0" in head:
            # RFC 9112, 11.1: the server would read what follows as a header, or as another request.
            raise PermanentError("InvalidHeader", f"{self.service}: a line break or NUL in the head of the request")
        return head.encode("latin-1")

    async def _exchange(self, request: bytes, body: Any, headless: bool) -> tuple[Connection, Answer]:
        """Send on a kept connection, and once more on a new one if that turns out to be closed.

        What is sent while it is read may also have failed for its source, so it is not sent again here.
        """
        connection, used = await self.pool.acquire()
        while True:
            expect = _EXPECT in request
            try:
                answer = await connection.send_request(request, body, headless=headless, expect=expect)
                if answer.status != 417 or not expect:
                    return connection, answer
                self.pool.stop_expecting_continue()  # RFC 9110, 15.5.18: send it again without
                request = request.replace(_EXPECT, b"\r\n")
                self.pool.release(connection)
            except UnavailableError:
                self.pool.release(connection)
                if not used or connection.answered or isinstance(body, StreamedBody):
                    raise
            except BaseException:
                connection.abort()
                self.pool.release(connection)
                raise
            connection, used = await self.pool.acquire(fresh=True)

    async def _payload(self, body: Any) -> str:
        if not body:
            return EMPTY
        if self._secure or isinstance(body, StreamedBody):
            return UNSIGNED
        if len(body) < _HASHED_ASIDE:
            return hashlib.sha256(body).hexdigest()
        return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()

    async def _should_retry(self, refused: ServiceError) -> bool:
        """Return whether to retry: the service is at fault or busy, or the key or the clock has been corrected."""
        kind = error_of(refused.refusal)
        if refused.refusal.code in _SKEWED and self._set_clock(refused.headers.get("date", "")):
            return True
        if isinstance(kind, CredentialRejectedError):
            return await self._credentials.renew()
        return isinstance(kind, ThrottledError | UnavailableError)

    def _set_clock(self, date: str) -> bool:
        """Adopt the service's clock if this machine's is far off; return whether it was."""
        try:
            skew = parsedate_to_datetime(date).timestamp() - time.time()
        except (ValueError, OverflowError):
            return False
        if abs(skew - self._signer.skew) < 60:
            return False
        self._signer.skew = skew
        return True

    def _refusal(self, operation: str, target: str, answer: Answer) -> Refusal:
        code, message = _code_and_message(bytes(answer.body or b""), answer.headers)
        code = code or str(answer.status)
        return Refusal(self.service, operation, target, code, answer.status, message, request_id(answer.headers))


def _document(answer: Answer, service: str) -> Any:
    """Return the JSON object of an answer. Raises `UnavailableError` when there is none."""
    if not answer.body and service in _EMPTY_ANSWERS:
        return {}
    try:
        document = json.loads(answer.body or b"")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UnavailableError(f"the answer ({answer.status}) is no JSON object{_ids(answer)}")
    return document


def _is_page(answer: Answer) -> bool:
    """Return whether the body is an HTML page, as captive portals and inspecting proxies send it."""
    return _PAGE.match(answer.body or b"", 0, 256) is not None


def _ids(answer: Answer) -> str:
    ids = request_id(answer.headers)
    return f" ({ids})" if ids else ""


def _code_and_message(body: bytes, headers: dict[str, str]) -> tuple[str, str]:
    """Return an error's code and message.

    Without an XML parser: S3 quotes keys with control characters, which XML cannot hold.
    """
    if body.startswith(b"{"):
        try:
            error = json.loads(body)
        except (ValueError, RecursionError):
            return "", ""
        named = str(error.get("__type") or error.get("code") or headers.get("x-amzn-errortype") or "")
        code = named.split(":")[0].rsplit("#", 1)[-1]  # Smithy, AWS JSON 1.1: namespace#Code:address
        query = headers.get("x-amzn-query-error", "").split(";")[0]
        return code or query, str(error.get("message") or error.get("Message") or "")
    code_found, message = _CODE.search(body), _MESSAGE.search(body)
    return (
        code_found[1].decode("latin-1") if code_found else headers.get("x-amzn-errortype", "").split(":")[0],
        unescape(message[1].decode(errors="replace")) if message else "",
    )
