"""An S3 bucket under one prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from runtime.edges import metadata
from runtime.edges.threads import Threads, arguments
from runtime.edges.translate import MISSING_OBJECT, Refusal, error_of, refusal_of
from runtime.errors import Unavailable
from runtime.objects import Attributes, Condition, Part, Row, Seen, Written
from runtime.version import Stamp

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CHUNK_BYTES = 1 << 20
"""Content of up to this many bytes is read in the same step as its headers; larger content comes in such chunks."""

_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")


class S3Reading:
    """An object being read (`runtime.ports.Reading`)."""

    def __init__(self, seen: Seen, body: Any, content: bytes | None, threads: Threads, target: str) -> None:
        self._seen = seen
        self._body = body
        self._content = content
        self._threads = threads
        self._target = target

    @property
    def seen(self) -> Seen:
        return self._seen

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content. Raises `Unavailable` when it ends early or its checksum is wrong."""
        if self._content is not None:
            yield self._content
            return
        while chunk := await self._threads.ask("s3", self._target, self._body.read, CHUNK_BYTES):
            yield chunk

    async def close(self) -> None:
        if self._content is None:
            await self._threads.call(self._body.close)


class S3Bucket:
    """`runtime.ports.Bucket` over boto3.

    `storage_class` is given to everything written here; empty keeps the source's (`Attributes.storage_class`).
    `acl` is a canned ACL, empty for none. An object whose whole key is the prefix (a console's folder marker) has no
    relative key and is not seen.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        threads: Threads,
        storage_class: str = "",
        acl: str = "",
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._threads = threads
        self._storage_class = storage_class
        self._acl = acl

    def use(self, client: S3Client) -> None:
        """Go on with another client, so with another credential; calls under way end with the old one."""
        self._client = client

    async def head(self, key: str, version_id: str = "") -> Seen | None:
        for _ in range(3):
            try:
                answer = await self._call("head_object", key, **arguments(VersionId=version_id))
            except ClientError as error:
                if _is_delete_marker(error):
                    return None
                refusal = await self._spoken(self._refusal(error, key), key, version_id)
                if refusal is None:
                    continue
                if refusal.code in MISSING_OBJECT:
                    return None
                raise error_of(refusal) from None
            return _seen(answer)
        raise Unavailable(f"s3 HeadObject {self._target(key)}: HEAD and GET disagree again and again")

    async def read(self, key: str) -> S3Reading | None:
        def get() -> tuple[Any, bytes | None]:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            small = answer["ContentLength"] <= CHUNK_BYTES
            return answer, answer["Body"].read() if small else None

        try:
            answer, content = await self._threads.ask_raw("s3", self._target(key), get)
        except ClientError as error:
            refusal = self._refusal(error, key)
            if refusal.code in MISSING_OBJECT:
                return None
            raise error_of(refusal) from None
        return S3Reading(_seen(answer), answer["Body"], content, self._threads, self._target(key))

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        def get() -> bytes:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes={start}-{end - 1}", IfMatch=f'"{etag}"'
            )
            return answer["Body"].read()

        content = await self._threads.ask("s3", self._target(key), get)
        if len(content) != end - start:
            raise Unavailable(f"s3 GetObject {self._target(key)}: {len(content)} bytes came for {start} to {end}")
        return content

    async def part_size(self, key: str, etag: str) -> int:
        answer = await self._ask("head_object", key, PartNumber=1, IfMatch=f'"{etag}"')
        return int(answer["ContentLength"])

    async def put(
        self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Condition
    ) -> Written:
        answer = await self._ask(
            "put_object", key, Body=body, **self._given(attributes, stamp), **_condition(condition)
        )
        return Written(_etag(answer), answer.get("VersionId", ""))

    async def create_upload(self, key: str, attributes: Attributes, stamp: Stamp | None) -> str:
        answer = await self._ask("create_multipart_upload", key, **self._given(attributes, stamp))
        return str(answer["UploadId"])

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        answer = await self._ask("upload_part", key, UploadId=upload_id, PartNumber=number, Body=body)
        return Part(number, _etag(answer))

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part], condition: Condition) -> Written:
        listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        answer = await self._ask(
            "complete_multipart_upload",
            key,
            UploadId=upload_id,
            MultipartUpload={"Parts": listed},
            **_condition(condition),
        )
        return Written(_etag(answer), answer.get("VersionId", ""))

    async def abort_upload(self, key: str, upload_id: str) -> None:
        try:
            await self._call("abort_multipart_upload", key, UploadId=upload_id)
        except ClientError as error:
            refusal = self._refusal(error, key)
            if refusal.code != "NoSuchUpload":
                raise error_of(refusal) from None

    async def delete(self, key: str, condition: Condition) -> None:
        if condition.etag is None:
            raise ValueError("a deletion needs the ETag of what it deletes")
        await self._ask("delete_object", key, **_condition(condition))

    async def list(self, after: str = "") -> AsyncIterator[Sequence[Row]]:
        position = arguments(StartAfter=self._prefix + after if after else "")
        while True:
            answer = await self._threads.ask(
                "s3",
                self._target(""),
                self._client.list_objects_v2,
                Bucket=self._bucket,
                Prefix=self._prefix,
                # Without it, control characters in keys make the answer malformed XML.
                EncodingType="url",
                **position,
            )
            rows = [self._row(item) for item in answer.get("Contents", ())]
            yield [row for row in rows if row.key]
            if not answer["IsTruncated"]:
                return
            position = {"ContinuationToken": answer["NextContinuationToken"]}

    def _row(self, item: Mapping[str, Any]) -> Row:
        key = unquote_plus(item["Key"])[len(self._prefix) :]
        return Row(key, _etag(item), item["Size"], int(item["LastModified"].timestamp()))

    def _given(self, attributes: Attributes, stamp: Stamp | None) -> dict[str, Any]:
        return arguments(
            ContentType=attributes.content_type,
            CacheControl=attributes.cache_control,
            ContentDisposition=attributes.content_disposition,
            ContentEncoding=attributes.content_encoding,
            ContentLanguage=attributes.content_language,
            Expires=_date(attributes.expires),
            WebsiteRedirectLocation=attributes.website_redirect,
            StorageClass=self._storage_class or attributes.storage_class,
            ACL=self._acl,
            Metadata=metadata.outgoing(attributes.metadata, stamp),
        )

    async def _spoken(self, refusal: Refusal, key: str, version_id: str) -> Refusal | None:
        """The refusal with a code. A HEAD's answer has no body, so the same is asked as a GET of one byte; None when
        that finds the object after all."""
        if not refusal.code.isdigit() or refusal.status >= 500:
            return refusal
        try:
            answer = await self._call("get_object", key, Range="bytes=0-0", **arguments(VersionId=version_id))
        except ClientError as error:
            spoken = self._refusal(error, key)
            return None if spoken.code == "InvalidRange" else spoken
        await self._threads.call(answer["Body"].close)
        return None

    async def _call(self, method: str, key: str, **given: Any) -> Any:
        """One call; only botocore's `ClientError` comes out as it is."""
        function = getattr(self._client, method)
        return await self._threads.ask_raw(
            "s3", self._target(key), function, Bucket=self._bucket, Key=self._prefix + key, **given
        )

    async def _ask(self, method: str, key: str, **given: Any) -> Any:
        try:
            return await self._call(method, key, **given)
        except ClientError as error:
            raise error_of(self._refusal(error, key)) from None

    def _refusal(self, error: ClientError, key: str) -> Refusal:
        return refusal_of(error, "s3", self._target(key))

    def _target(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"


def _condition(condition: Condition) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if condition.etag is None else {"IfMatch": f'"{condition.etag}"'}


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _seen(answer: Mapping[str, Any]) -> Seen:
    users, stamp = metadata.incoming(answer.get("Metadata", {}))
    storage_class = answer.get("StorageClass", "")
    asleep = storage_class in _ARCHIVES or bool(answer.get("ArchiveStatus"))
    return Seen(
        etag=_etag(answer),
        size=answer["ContentLength"],
        modified=int(answer["LastModified"].timestamp()),
        stamp=stamp,
        attributes=Attributes(
            content_type=answer.get("ContentType", ""),
            cache_control=answer.get("CacheControl", ""),
            content_disposition=answer.get("ContentDisposition", ""),
            content_encoding=answer.get("ContentEncoding", ""),
            content_language=answer.get("ContentLanguage", ""),
            expires=answer.get("ExpiresString", ""),
            website_redirect=answer.get("WebsiteRedirectLocation", ""),
            storage_class=storage_class,
            metadata=users,
        ),
        version_id=answer.get("VersionId", ""),
        archived=asleep and 'ongoing-request="false"' not in answer.get("Restore", ""),
        opaque=answer.get("ServerSideEncryption", "").startswith("aws:kms") or "SSECustomerAlgorithm" in answer,
    )


def _is_delete_marker(error: ClientError) -> bool:
    headers: Mapping[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get("x-amz-delete-marker") == "true"


def _date(text: str) -> datetime | None:
    """boto3 takes a date only; a text that is none (S3 stores any) cannot travel."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None
