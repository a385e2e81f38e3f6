"""Provide a bucket over scripted answers, for tests of requests on the wire."""

from __future__ import annotations

from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName
from tests.support.scripted_server import ReceivedRequest, Script

STAMP = Stamp("pair", key_hash("k"), OriginVersion(SideName.CN, 1_790_000_000, "0123456789abcdef"), 5)
MODIFIED = "Wed, 21 Oct 2026 07:28:00 GMT"
DATE = {"Last_Modified": MODIFIED, "ETag": '"e"'}
PLAIN = Attributes()


def bucket(script: Script, options: Options | None = None) -> S3Bucket:
    return S3Bucket(script.caller(), "b", "p/", path_style=True, options=options)


async def put(
    script: Script, attributes: Attributes, stamp: Stamp | None = STAMP, options: Options | None = None
) -> ReceivedRequest:
    await bucket(script, options).put("k", b"hello", attributes, stamp, MUST_NOT_EXIST)
    return script.requests[-1]
