"""Test the check of a bucket's owner and region."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.bucket_owner import OWNER, bucket_problem
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import AccessDeniedError, UnavailableError
from tests.support.scripted_server import answer, error, scripted

RIGHT = {"x_amz_bucket_region": "us-west-2"}
ELSEWHERE = {"x_amz_bucket_region": "eu-west-1"}


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([answer(200, b"", **RIGHT)], ""),
        ([answer(200)], ""),
        ([answer(200, b"", **ELSEWHERE)], "bucket b is in eu-west-1, not in us-west-2"),
        ([answer(301, b"", **ELSEWHERE)], "bucket b is in eu-west-1, not in us-west-2"),
        ([answer(400, b"", **ELSEWHERE)], "bucket b is in eu-west-1, not in us-west-2"),
        ([answer(403, b"", **ELSEWHERE)], "bucket b is in eu-west-1, not in us-west-2"),
        ([answer(404)], "bucket b does not exist"),
        ([answer(403), answer(200, b"", **RIGHT), answer(403)], "bucket b is not account 222222222222's"),
        ([answer(403), answer(200, b"", **RIGHT), answer(200, b"", **RIGHT)], ""),
        ([answer(403, b"", **RIGHT), answer(403, b"", **RIGHT)], ""),
    ],
)
async def test_wrong_region_missing_bucket_and_wrong_owner_are_reported(answers: list[bytes], problem: str) -> None:
    async with scripted(*answers) as script:
        found = await bucket_problem(script.caller(), "b", "us-west-2", "222222222222", path_style=True)
        assert found == problem
        assert [(request.method, request.path) for request in script.requests] == [("HEAD", "/b")] * len(answers)
        owners = [request.headers.get(OWNER, "") for request in script.requests]
        assert owners == ["222222222222", "", "222222222222"][: len(answers)]


@pytest.mark.parametrize(("where", "problem"), [(ELSEWHERE, "bucket b is in eu-west-1, not in us-west-2"), (RIGHT, "")])
async def test_redirect_of_a_new_bucket_reports_its_region(where: dict[str, str], problem: str) -> None:
    async with scripted(answer(307, b"", **where)) as script:
        assert await bucket_problem(script.caller(), "b", "us-west-2", "222222222222", path_style=True) == problem
    async with scripted(answer(307, b"", **where), answer(200, b"", **RIGHT)) as script:
        assert await bucket_problem(script.caller(), "b", "us-west-2", "222222222222", path_style=True) == ""


async def test_owner_is_not_checked_without_an_account() -> None:
    async with scripted(answer(403)) as script:
        assert await bucket_problem(script.caller(), "b", "us-west-2", "", path_style=False) == ""
        assert (len(script.requests), script.requests[0].path) == (1, "/")


async def test_unanswered_check_raises_a_retryable_error() -> None:
    async with scripted(answer(503)) as script:
        with pytest.raises(UnavailableError):
            await bucket_problem(script.caller(), "b", "us-west-2", "222222222222", path_style=True)


async def test_requests_name_the_owner_and_a_refusal_raises() -> None:
    denied = error(403, "AccessDenied")
    async with scripted(denied) as script:
        bucket = S3Bucket(script.caller(), "b", path_style=True, options=Options(owner="222222222222"))
        with pytest.raises(AccessDeniedError):
            await anext(aiter(bucket.list()))
        with pytest.raises(AccessDeniedError):
            await bucket.read("k")
        assert all(request.headers[OWNER] == "222222222222" for request in script.requests)
