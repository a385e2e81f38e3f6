"""The proxy between all clients and the local cloud emulator: it records changes in their order, and injects faults.

Every change of a key passes here, one at a time per key over both buckets, until it is recorded. So the recorded order
is the order in which S3 applied the changes (a linearisation), and a copy is never recorded before its original.
Requests of users have no faults. A lost answer is recorded like any other, because S3 has made the change.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from dualsync.runtime.aws.dynamodb import items
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from tests.e2e.chaos.plan import PREFIX, FaultGenerator, ProxyFault
from tests.e2e.chaos.record import KeyRecord, digest
from tests.e2e.relays.http_relay import Answer, HttpRelay, Request, Send

NAME = "x-amz-meta-w"
"""Metadata that names a version; copies carry it."""

_CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/")
_ETAG = re.compile(rb"<ETag>(?:&quot;|\")?([^<&\"]+)")
_OPERATORS = {account.access_key_id for account in ACCOUNTS.values()}
_SUBRESOURCES = {"tagging", "acl", "retention", "legal-hold", "partNumber"}


@dataclass(frozen=True, slots=True)
class Place:
    """One side: its bucket and its ledger's table."""

    side: SideName
    """The side."""

    bucket: str
    """Its bucket."""

    s3: Any
    """S3 client of a user, which does not use the proxy."""

    dynamodb: Any
    """DynamoDB client of the account, which does not use the proxy."""

    table: str
    """The ledger's table."""

    versioned: bool
    """Whether the bucket keeps versions."""


class ChaosProxy:
    """Forwards every request unchanged until `wild` is set, then injects faults into those of workers and finders."""

    def __init__(self, endpoint: str, places: Mapping[str, Place], seed: int) -> None:
        """Create the proxy. `places` are the sides by the name of their bucket."""
        self.wild = False
        """Whether faults are injected."""
        self.requests = 0
        """Requests of workers and finders while faults were injected."""
        self.faults: Counter[ProxyFault] = Counter()
        """Faults that were injected."""
        self.records: dict[str, KeyRecord] = {}
        """Histories by key."""
        self._places = places
        self._versioned = frozenset(str(place.side) for place in places.values() if place.versioned)
        self._generator = FaultGenerator(seed)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._uploads: dict[str, str] = {}
        self._completed: set[str] = set()
        self._digests: dict[str, bytes] = {}
        self._relay = HttpRelay(endpoint, self._decide)
        self.endpoint = self._relay.endpoint
        """Address for clients."""

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self._relay.stop()

    def announce(self, name: str, content: bytes) -> None:
        """Store the digest of the version that a user is about to write."""
        self._digests[name] = digest(content)

    async def _decide(self, request: Request, send: Send) -> bytes:
        found = _CREDENTIAL.search(request.headers.get("authorization", ""))
        user = found is not None and found[1] in _OPERATORS

        async def once() -> Answer:
            return await self._recorded(request, send, user)

        if user or not self.wild:
            return (await once()).raw
        self.requests += 1
        fault = self._generator.fault()
        if fault is not ProxyFault.NONE:
            self.faults[fault] += 1
        match fault:
            case ProxyFault.LATE_REQUEST:
                await asyncio.sleep(self._generator.delay())
                return (await once()).raw
            case ProxyFault.LATE_ANSWER:
                answer = await once()
                await asyncio.sleep(self._generator.delay())
                return answer.raw
            case ProxyFault.LOST_REQUEST:
                return b""
            case ProxyFault.LOST_ANSWER:
                await once()
                return b""
            case ProxyFault.HALF_ANSWER:
                raw = (await once()).raw
                return raw[: len(raw) // 2]
            case ProxyFault.TWICE_FIRST:
                first = await once()
                await once()
                return first.raw
            case ProxyFault.TWICE_SECOND:
                await once()
                return (await once()).raw
        return (await once()).raw

    async def _recorded(self, request: Request, send: Send, user: bool) -> Answer:
        path, _, query = request.target.partition("?")
        bucket, _, key = unquote_to_bytes(path.lstrip("/")).decode(errors="replace").partition("/")
        place = self._places.get(bucket)
        if place is None or not key.startswith(PREFIX) or request.method not in ("PUT", "POST", "DELETE"):
            return await send()
        options = dict(parse_qsl(query, keep_blank_values=True))
        if options.keys() & _SUBRESOURCES or (request.method == "DELETE" and "uploadId" in options):
            return await send()
        if "uploads" in options:
            answer = await send()
            upload = re.search(rb"<UploadId>([^<]+)", answer.raw)
            if upload is not None:
                self._uploads[upload[1].decode()] = request.headers.get(NAME, "")
            return answer
        async with self._locks[key]:
            known = await asyncio.to_thread(_known, place, key) if user else ""
            answer = await send()
            if answer.status < 300:
                await self._change(place, key, request, options, answer, known, user)
        return answer

    async def _change(
        self, place: Place, key: str, request: Request, options: dict[str, str], answer: Answer, known: str, user: bool
    ) -> None:
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = KeyRecord(key, self._versioned)
        side, upload = str(place.side), options.get("uploadId", "")
        if request.method == "DELETE":
            if "versionId" in options:
                raise AssertionError(f"a version of {key} is deleted, which no user and no worker does here")
            if user:
                record.user_deleted(side, int(time.time()), known)
            else:
                record.worker_deleted(side)
            return
        found = _ETAG.search(answer.raw)
        etag = (found[1].decode() if found else answer.headers.get("etag", "")).strip('"')
        if upload in self._completed:
            return  # completed before: the answer is repeated, and nothing is written ("CompleteMultipartUpload", S3)
        if upload:
            self._completed.add(upload)
        name = self._uploads.get(upload, "") if upload else request.headers.get(NAME, "")
        shown = await asyncio.to_thread(_shown, place, key) if user or upload else None
        if upload and (shown is None or shown[:2] != (etag, answer.headers.get("x-amz-version-id", ""))):
            record.gave_way(side, name)
        elif user:
            assert shown is not None, "a user has just written it"
            record.user_wrote(side, name, self._digests[name], shown[2], etag, known, upload=bool(upload))
        else:
            record.worker_wrote(side, name, etag)


def _shown(place: Place, key: str) -> tuple[str, str, int] | None:
    """Return the object's ETag, version id and LastModified in S3, in whole seconds; None for no object."""
    try:
        head = place.s3.head_object(Bucket=place.bucket, Key=key)
    except place.s3.exceptions.ClientError as e:
        if e.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    return head["ETag"].strip('"'), head.get("VersionId", ""), int(head["LastModified"].timestamp())


def _known(place: Place, key: str) -> str:
    """Return the ETag that the side's ledger holds for its own copy; empty for none."""
    stored = place.dynamodb.get_item(
        TableName=place.table, Key={items.KEY: {"S": items.table_key(key)}}, ConsistentRead=True
    ).get("Item")
    entry = items.entry_or_unreadable(stored) if stored else None
    return "" if entry is None or entry.synced is None else entry.synced.local.etag
