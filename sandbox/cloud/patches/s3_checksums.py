"""Checksums of the kinds that Python has: compared, and returned per part; moto does neither.

Source: Amazon S3 User Guide, "Checking object integrity for data uploads": a different value is refused with BadDigest;
a part's checksum is returned by its number where it is composite, and by ListParts.
"""

from __future__ import annotations

from typing import Any

from moto.s3 import exceptions, models, responses
from moto.s3.utils import compute_checksum

from sandbox.cloud.patches.replace import replace
from sandbox.cloud.patches.s3_multipart import part_of

KINDS = ("CRC32", "SHA1", "SHA256")


class BadDigest(exceptions.S3ClientError):
    """The body does not have the given checksum."""

    code = "BadDigest"

    def __init__(self, kind: str) -> None:
        super().__init__("BadDigest", f"The {kind} you specified did not match the calculated checksum.")


def apply() -> None:
    _objects()
    _parts()
    _completions()


def _objects() -> None:
    original = responses.S3Response.put_object

    def put_object(self: Any) -> Any:
        kind, value = _given(self)
        _compare(kind, value, _made(self.body or b"", kind))
        answer = original(self)
        if kind:
            key = self.backend.get_object(self.bucket_name, self.parse_key_name())
            key.checksum_algorithm, key.checksum_value, key.checksum_type = kind, value, "FULL_OBJECT"
        return answer

    replace(responses.S3Response, "put_object", put_object)


def _parts() -> None:
    upload = responses.S3Response.upload_part
    listed = responses.S3Response.list_parts
    read = responses.S3Response.get_object

    def upload_part(self: Any) -> Any:
        kind, value = _given(self)
        _compare(kind, value, _made(self.body, kind))
        answer = upload(self)
        multipart = self.backend.get_bucket(self.bucket_name).multiparts[self._get_param("uploadId")]
        part = multipart.parts[self._get_int_param("partNumber")]
        algorithm, type = _declared(multipart)
        if algorithm in KINDS and type == "COMPOSITE":
            part.checksum_algorithm, part.checksum_value = algorithm, _made(self.body, algorithm)
        return answer

    def list_parts(self: Any) -> Any:
        multipart = self.backend.get_bucket(self.bucket_name).multiparts.get(self._get_param("uploadId"))
        parts = multipart.parts if multipart else {}
        serialized = self.serialized

        def with_part_checksums(answer: Any) -> Any:
            for shown in answer.result["Parts"] if isinstance(answer.result, dict) else ():
                part = parts[shown["PartNumber"]]
                if part.checksum_algorithm:
                    shown[f"Checksum{part.checksum_algorithm}"] = part.checksum_value
            return serialized(answer)

        self.serialized = with_part_checksums
        return listed(self)

    def get_object(self: Any) -> Any:
        status, headers, body = read(self)
        number = self._get_int_param("partNumber")
        key = self.backend.get_object(self.bucket_name, self.parse_key_name()) if number and status == 200 else None
        if key is None or not key.multipart:
            return status, headers, body
        part = part_of(key, number)
        headers = {name: text for name, text in headers.items() if not name.startswith("x-amz-checksum-")}
        if part.checksum_algorithm and self.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers[f"x-amz-checksum-{part.checksum_algorithm.lower()}"] = part.checksum_value
        start = sum(part_of(key, earlier).size for earlier in range(1, number))
        shown = {"content-length": str(part.size), "x-amz-mp-parts-count": str(len(key.multipart.partlist))}
        return 206, headers | shown, key.value[start : start + part.size]

    replace(responses.S3Response, "upload_part", upload_part)
    replace(responses.S3Response, "list_parts", list_parts)
    replace(responses.S3Response, "get_object", get_object)


def _completions() -> None:
    original = responses.S3Response._key_response_post

    def respond(self: Any, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str) -> Any:
        multipart = self.backend.get_bucket(bucket_name).multiparts.get(query.get("uploadId", [""])[0])
        kind, value = _given(self)
        if multipart is not None and kind and kind == _declared(multipart)[0]:
            building = models.MultipartChecksumBuilder(*_declared(multipart))
            for number in multipart.partlist:
                building.addPart(multipart.parts[number].value)
            _, made, count = building.build() or ("", "", 0)
            _compare(kind, value, f"{made}-{count}" if "-" in value else made)
        return original(self, request, body, bucket_name, query, key_name)

    replace(responses.S3Response, "_key_response_post", respond)


def _given(self: Any) -> tuple[str, str]:
    for kind in KINDS:
        value = self.headers.get(f"x-amz-checksum-{kind.lower()}")
        if value:
            return kind, value
    return "", ""


def _declared(multipart: Any) -> tuple[str, str]:
    algorithm = str(multipart.metadata.get("x-amz-checksum-algorithm") or "")
    return algorithm, str(multipart.metadata.get("x-amz-checksum-type") or "COMPOSITE")


def _made(body: bytes, kind: str) -> str:
    return compute_checksum(body, kind).decode() if kind else ""


def _compare(kind: str, given: str, made: str) -> None:
    if given != made:
        raise BadDigest(kind)
