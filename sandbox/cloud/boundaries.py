"""Checks of region, partition and owner of a bucket, which S3 makes before it processes a request and moto does not.

A signature for another region is 400 with the right region, a bucket of another partition does not exist, and an
`x-amz-expected-bucket-owner` that is not the owner is 403.
Sources: Amazon S3 User Guide, "Verifying bucket ownership with bucket owner condition"; Amazon S3 API Reference,
"Error responses" (AuthorizationHeaderMalformed, NoSuchBucket).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from sandbox.cloud.callers import Scope


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer."""

    status: str
    """HTTP status line."""

    code: str
    """S3's error code."""

    message: str
    """Text for people."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers besides the usual ones."""


def refusal(scope: Scope, environ: Mapping[str, Any]) -> Refusal | None:
    """Return the refusal of a request to an existing bucket, None when S3 would process it."""
    name, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None or (environ["REQUEST_METHOD"] == "PUT" and not key and not environ["QUERY_STRING"]):
        return None
    partition, account_id = owner
    if get_partition(scope.region) != partition:
        return Refusal("404 Not Found", "NoSuchBucket", "The specified bucket does not exist")
    region = s3_backends[account_id][partition].buckets[name].region_name
    if scope.region != region:
        text = f"The authorization header is malformed; the region '{scope.region}' is wrong; expecting '{region}'"
        headers = {"x-amz-bucket-region": region}
        return Refusal("400 Bad Request", "AuthorizationHeaderMalformed", text, headers)
    expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
    if expected and expected != account_id:
        return Refusal("403 Forbidden", "AccessDenied", "Access Denied")
    return None
