"""Test malformed bodies: each is a retryable error of the request, and none is read as an absent item."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import PreconditionFailedError, UnavailableError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import CONFLICT
from tests.support.scripted_server import ReceivedRequest, answer, scripted
from tests.support.wire import DATE, bucket

ROW = (
    "<Contents><Key>p/k</Key><LastModified>2026-11-27T00:00:00.000Z</LastModified><ETag>e</ETag><Size>1</Size>"
    "</Contents>"
)
CUT = {
    "ListParts": "<ListPartsResult>{}<IsTruncated>{}</IsTruncated></ListPartsResult>",
    "ListMultipartUploads": "<ListMultipartUploadsResult>{}<IsTruncated>{}</IsTruncated></ListMultipartUploadsResult>",
    "ListObjectsV2": "<ListBucketResult>{}<IsTruncated>{}</IsTruncated></ListBucketResult>",
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "null",
        '{"Item":null}',
        '{"Item":7}',
        '{"Item":[]}',
        '{"Item":{}}',
        '{"Item":{"ObjectKey":{"S":"another"},"Revision":{"N":"1"}}}',
    ],
)
async def test_malformed_item_is_a_retryable_error(body: str) -> None:
    """DynamoDB answers `{}` for a key that it does not have, and only that."""
    async with scripted(answer(200, body.encode())) as script:
        ledger = DynamoLedger(script.caller("dynamodb"), "t")
        if body == "{}":
            assert await ledger.get("k") is None
            assert await ledger.get_record(CONFLICT, "1") is None
            return
        with pytest.raises(UnavailableError, match="dynamodb GetItem"):
            await ledger.get("k")
        with pytest.raises(UnavailableError, match="dynamodb GetItem"):
            await ledger.get_record(CONFLICT, "1")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"Responses":null}',
        '{"Responses":{"t":null}}',
        '{"Responses":{"t":[null]}}',
        '{"Responses":{"t":[{"ObjectKey":{"S":"another"},"Revision":{"N":"1"}}]}}',
        '{"Responses":{},"UnprocessedKeys":7}',
    ],
)
async def test_malformed_batch_is_a_retryable_error(body: str) -> None:
    async with scripted(answer(200, body.encode())) as script:
        with pytest.raises(UnavailableError, match="dynamodb BatchGetItem"):
            await DynamoLedger(script.caller("dynamodb"), "t").get_many(["k", "j"])


async def test_batch_without_unprocessed_keys_is_complete() -> None:
    async with scripted(answer(200, b'{"Responses":{"t":[]},"UnprocessedKeys":null}')) as script:
        assert await DynamoLedger(script.caller("dynamodb"), "t").get_many(["k"]) == {}


@pytest.mark.parametrize("body", ["{}", '{"Items":null}', '{"Items":[{}]}', '{"Items":[],"LastEvaluatedKey":{"a":1}}'])
async def test_malformed_list_of_records_is_a_retryable_error(body: str) -> None:
    async with scripted(answer(200, body.encode())) as script:
        records = DynamoLedger(script.caller("dynamodb"), "t").records(CONFLICT)
        with pytest.raises(UnavailableError, match="dynamodb Query"):
            assert [record async for record in records] == []


async def test_refused_condition_without_an_item_is_raised() -> None:
    for body in (b"<html>", b'{"Item":null}', b"{}"):
        refused = answer(400, body, x_amzn_errortype="ConditionalCheckFailedException")
        async with scripted(refused) as script:
            with pytest.raises((PreconditionFailedError, UnavailableError)):
                await DynamoLedger(script.caller("dynamodb"), "t").put(LedgerEntry("k"), 0)


@pytest.mark.parametrize(
    ("call", "row"),
    [
        ("ListParts", "<Part><ETag>e</ETag><Size>1</Size></Part>"),
        ("ListParts", "<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>big</Size></Part>"),
        ("ListMultipartUploads", "<Upload><Key>p/k</Key><UploadId>u</UploadId></Upload>"),
        ("ListMultipartUploads", "<Upload><Key>p/k</Key><UploadId>u</UploadId><Initiated>now</Initiated></Upload>"),
    ],
)
async def test_row_without_a_required_element_is_a_retryable_error(call: str, row: str) -> None:
    async with scripted(answer(200, CUT[call].format(row, "false").encode())) as script:
        b = bucket(script)
        with pytest.raises(UnavailableError, match=f"s3 {call}: the answer is malformed"):
            await (b.list_parts("k", "u") if call == "ListParts" else b.list_uploads())


@pytest.mark.parametrize(
    ("call", "rest"),
    [
        ("ListParts", "<NextPartNumberMarker>1</NextPartNumberMarker>"),
        ("ListMultipartUploads", "<NextKeyMarker>p/k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"),
        ("ListObjectsV2", f"{ROW}<NextContinuationToken>t</NextContinuationToken>"),
    ],
)
async def test_repeated_page_ends_the_listing(call: str, rest: str) -> None:
    """botocore's paginators raise "The same next token was received twice"; without that the listing would not end."""
    async with scripted(answer(200, CUT[call].format(rest, "true").encode())) as script:
        b = bucket(script)

        async def all_pages() -> None:
            if call == "ListObjectsV2":
                assert [len(page) async for page in b.list()] == []
            else:
                await (b.list_parts("k", "u") if call == "ListParts" else b.list_uploads())

        with pytest.raises(UnavailableError, match=f"{call}.*same page again"):
            await all_pages()
        assert len(script.requests) <= 3


async def test_answer_with_another_range_is_a_retryable_error() -> None:
    async with scripted(answer(206, b"hello", ETag='"e"', Content_Range="bytes 0-4/10")) as script:
        assert await bucket(script).read_range("k", 0, 5, "e") == b"hello"
        with pytest.raises(UnavailableError, match="bytes 0-4/10 came for 5 to 10"):
            await bucket(script).read_range("k", 5, 10, "e")


@pytest.mark.parametrize(
    "listed", [b"", b"<Tagging><TagSet><Tag><Key>a</Key>", b"<Tagging>\xff<Tag><Key>\xff</Key><Value/></Tag></Tagging>"]
)
async def test_object_with_unreadable_tags_is_not_copied(listed: bytes) -> None:
    def serve(request: ReceivedRequest) -> bytes:
        return answer(200, listed if "tagging" in request.path else b"x", **DATE, x_amz_tagging_count="1")

    async with scripted(serve) as script:
        with pytest.raises(UnavailableError, match="GetObjectTagging"):
            await bucket(script, Options(tags=True)).read("k")
