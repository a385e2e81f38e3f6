"""Where a bucket is and whose: what S3 refuses before it looks at the request, and moto does not look at.

Another region's signature is 400 with the right region, another partition has no such bucket, and an
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
    """An error answer; `headers` besides the usual ones."""

    status: str
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(scope: Scope, environ: Mapping[str, Any]) -> Refusal | None:
    """Why S3 would refuse this request to an existing bucket, or None."""
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
