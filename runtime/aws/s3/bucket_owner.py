"""Check a bucket's owner and region at S3, before anything in it is used."""

from __future__ import annotations

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError

OWNER = "x-amz-expected-bucket-owner"
"""Header by which S3 refuses a request to another account's bucket (Amazon S3 User Guide, "Verifying bucket ownership
with bucket owner condition")."""
_REGION = "x-amz-bucket-region"


async def bucket_problem(client: ServiceClient, bucket: str, region: str, owner: str, *, path_style: bool) -> str:
    """Return what is wrong with the bucket, in words; empty if it belongs to `owner` and lies in `region`.

    An empty `owner` accepts any. A bucket that may not be read yields the empty string: nothing is proven. Raises
    `RetryableError`.
    """
    conditional = {OWNER: owner} if owner else {}
    problem, status = await _head(client, bucket, region, conditional, path_style)
    if problem or status != 403 or not owner:
        return problem
    # HEAD's 403 has no body. Without the condition another account's bucket still answers, a denying policy does not.
    problem, status = await _head(client, bucket, region, {}, path_style)
    if problem or status == 403:
        return problem
    # A new access key may have become valid between the two requests.
    problem, status = await _head(client, bucket, region, conditional, path_style)
    return f"bucket {bucket} is not account {owner}'s" if status == 403 else problem


async def _head(
    client: ServiceClient, bucket: str, region: str, headers: dict[str, str], path_style: bool
) -> tuple[str, int]:
    try:
        answer = await client.call("HeadBucket", bucket, "HEAD", f"/{bucket}" if path_style else "/", "", headers)
        status, actual = 200, answer.headers.get(_REGION, "")
    except ServiceError as refused:
        status, actual = refused.refusal.status, refused.headers.get(_REGION, "")
        if status == 404:
            return f"bucket {bucket} does not exist", status
        if status not in (301, 307, 400, 403):
            raise error_of(refused.refusal) from None
    return f"bucket {bucket} is in {actual}, not in {region}" if actual and actual != region else "", status
