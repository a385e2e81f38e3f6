"""If-Match: of CompleteMultipartUpload, where moto accepts any, and of HEAD.

On HEAD, moto requires the ETag in quotes, which S3 does not, and with a part's number it compares the part's ETag
instead of the object's.
Source: Amazon S3 User Guide, "Add preconditions to S3 operations with conditional requests": 412 when the ETag is
another, 404 when there is no object. An unknown upload is 404 NoSuchUpload (moto: 500).
"""

from __future__ import annotations

from typing import Any

from moto.s3 import responses
from moto.s3.exceptions import MissingKey, NoSuchUpload, PreconditionFailed

from sandbox.cloud.patches.replace import replace


def apply() -> None:
    original = responses.S3Response._key_response_post

    def respond(self: Any, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str) -> Any:
        upload_id = query.get("uploadId", [""])[0]
        if upload_id:
            existing = self.backend.get_object(bucket_name, key_name)
            repeated = existing is not None and existing.multipart and existing.multipart.id == upload_id
            if not repeated and upload_id not in self.backend.get_bucket(bucket_name).multiparts:
                raise NoSuchUpload(upload_id=upload_id)
            expected = self.headers.get("If-Match")
            if expected and not repeated:
                if existing is None:
                    raise MissingKey(key=key_name)
                if expected.strip('"') != existing.etag.strip('"'):
                    raise PreconditionFailed("If-Match")
        return original(self, request, body, bucket_name, query, key_name)

    replace(responses.S3Response, "_key_response_post", respond)
    head = responses.S3Response.head_object

    def head_object(self: Any, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]) -> Any:
        given = {k: f'"{v}"' for k, v in headers.items() if k in ("If-Match", "If-None-Match") and v[:1] not in '"*'}
        headers = {**headers, **given}
        whole = self.backend.get_object(bucket_name, key_name) if "partNumber" in query else None
        if whole is None or not hasattr(whole, "etag"):
            return head(self, bucket_name, query, key_name, headers)
        if headers.pop("If-Match", whole.etag) not in (whole.etag, "*"):
            raise PreconditionFailed("If-Match")
        status, answer, body = head(self, bucket_name, query, key_name, headers)
        return status, {**answer, "ETag": whole.etag, "last-modified": whole.last_modified_RFC1123}, body

    replace(responses.S3Response, "head_object", head_object)
