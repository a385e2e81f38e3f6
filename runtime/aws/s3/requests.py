"""Requests for one bucket and the keys under its prefix."""

from __future__ import annotations

import re
from urllib.parse import quote

from dualsync.runtime.aws.credentials import Credentials
from dualsync.runtime.aws.errors import Refusal, error_of, request_id
from dualsync.runtime.aws.http.answer import Answer
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.s3 import headers as wire
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.streamed_body import StreamedBody


class BucketRequests:
    """Sends requests with a bucket's path, its key prefix and the headers that every request carries."""

    def __init__(
        self, client: ServiceClient, bucket: str, prefix: str, *, path_style: bool, headers: dict[str, str]
    ) -> None:
        self.client = client
        self._bucket = bucket
        self._prefix = prefix
        self._base = f"/{bucket}" if path_style else ""
        self._request_headers = headers
        self.incomplete_key = ""
        """Key of the first object whose metadata S3 did not return in full; empty if there was none."""

    def use(self, credentials: Credentials) -> None:
        """Use another credential from now on; calls under way end with the old one."""
        self.client.use(credentials)

    async def _call(
        self,
        operation: str,
        method: str,
        key: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | StreamedBody = b"",
    ) -> Answer:
        given = self._request_headers | headers if headers else self._request_headers
        return await self.client.call(operation, self._target(key), method, self._path(key), query, given, body)

    async def _ask(
        self,
        operation: str,
        method: str,
        key: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | StreamedBody = b"",
    ) -> Answer:
        """Do as `_call` does, with every refusal translated, also one after a 200 (long completions)."""
        try:
            answer = await self._call(operation, method, key, query, headers, body)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        if answer.body and b"<Error>" in answer.body:
            code = re.search(rb"<Code>([^<]*)</Code>", answer.body)
            name = code[1].decode(errors="replace") if code else "InternalError"
            ids = request_id(answer.headers)
            raise error_of(Refusal("s3", operation, self._target(key), name, 500, request_id=ids))
        return answer

    def _head_of(self, key: str, answer: Answer, *, is_s3: bool) -> ObjectHead:
        """Return the object that the answer describes. Raises as `dualsync.runtime.aws.s3.headers.read_head`."""
        if not self.incomplete_key and wire.lacks_metadata(answer.headers):
            self.incomplete_key = key
        return wire.read_head(answer.headers, answer.length, is_s3=is_s3)

    def _path(self, key: str) -> str:
        return f"{self._base}/{quote(self._prefix + key, safe='/-._~')}"

    def _target(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"

    async def _listed(self, operation: str, given: dict[str, str], more: dict[str, str] | None = None) -> bytes:
        # Without the encoding, control characters in keys make the answer no XML.
        given = {"encoding-type": "url"} | given
        query = "&".join(f"{name}={quote(given[name], safe='')}" for name in sorted(given))
        headers = self._request_headers | (more or {})
        try:
            answer = await self.client.call(operation, self._target(""), "GET", self._base or "/", query, headers)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        return bytes(answer.body or b"")

    async def _spoken(self, refusal: Refusal, key: str, query: str) -> Refusal | None:
        """Return the refusal with a code, or None if a GET finds the object after all.

        A HEAD's answer has no body, so the same is requested as a GET of one byte.
        """
        if not refusal.code.isdigit() or refusal.status >= 500:
            return refusal
        try:
            await self._call("GetObject", "GET", key, query, {"range": "bytes=0-0"})
        except ServiceError as refused:
            return None if refused.refusal.code == "InvalidRange" else refused.refusal
        return None
