"""Test the emulator's check of signatures and session tokens, and the switch that turns it off."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud, client
from sandbox.cloud.signatures import SWITCH
from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]
CN = ACCOUNTS[SideName.CN]
CALLS = [
    ("s3", "list_buckets", {}, "SignatureDoesNotMatch"),
    ("sts", "get_caller_identity", {}, "SignatureDoesNotMatch"),
    ("sqs", "list_queues", {}, "InvalidSignatureException"),
    ("dynamodb", "list_tables", {}, "InvalidSignatureException"),
    ("ecs", "list_clusters", {}, "InvalidSignatureException"),
    ("scheduler", "list_schedules", {"GroupName": "default"}, "InvalidSignatureException"),
]


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def session(**changes: str) -> boto3.Session:
    given = {"aws_access_key_id": CN.access_key_id, "aws_secret_access_key": CN.secret_access_key}
    return boto3.Session(**{**given, **changes}, region_name=CN.region)  # type: ignore[arg-type]


@pytest.mark.parametrize(("service", "call", "arguments", "code"), CALLS, ids=[c[0] for c in CALLS])
def test_another_secret_is_refused(cloud: Cloud, service: str, call: str, arguments: Any, code: str) -> None:
    getattr(client(session(), service, cloud.endpoint), call)(**arguments)
    wrong = client(session(aws_secret_access_key="wrong"), service, cloud.endpoint)
    assert refused(getattr(wrong, call), **arguments) == code


KEYS = [
    "plain",
    "a//b",
    "/a",
    "a/../b",
    "./a",
    "blank +%25%&=?#;@:!'()*~`^|\\\"<>[]{}$,",
    "ü/文件/🎈",
    "\x01\x7f\u0085",
]


@pytest.mark.parametrize("key", KEYS)
def test_unusual_keys_are_signed_as_by_the_sdk(watched: Make, key: str) -> None:
    w = watched()
    w.s3.put_object(Bucket=w.bucket, Key=key, Body=b"x", Metadata={"m": "a  b"}, Tagging="a=b%20c&d=%2B")
    assert w.s3.get_object(Bucket=w.bucket, Key=key)["Body"].read() == b"x"
    assert w.s3.list_objects_v2(Bucket=w.bucket, Prefix=key, StartAfter="")["KeyCount"] == 1


def test_white_space_in_a_header_counts_as_one_blank(cloud: Cloud, watched: Make) -> None:
    w = watched()
    for value in ("a\tb", "a \t b", "\ta\t"):
        w.s3.put_object(Bucket=w.bucket, Key="tab", Body=b"x", ContentDisposition=value)


def test_a_session_needs_its_token(cloud: Cloud) -> None:
    iam = cloud.client(SideName.CN, "iam")
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
    )
    role = iam.create_role(RoleName="signed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    given = cloud.client(SideName.CN, "sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
    client(session(**keys, aws_session_token=given["SessionToken"]), "s3", cloud.endpoint).list_buckets()
    assert refused(client(session(**keys), "s3", cloud.endpoint).list_buckets) == "InvalidToken"
    other = client(session(**keys, aws_session_token="other"), "sts", cloud.endpoint)
    assert refused(other.get_caller_identity) == "InvalidClientTokenId"


def put(cloud: Cloud, bucket: str, body: bytes, sent: bytes, **changed: str) -> tuple[int, bytes]:
    """Sign a PUT of `body`, then send `sent` with changed headers."""
    request = AWSRequest("PUT", f"{cloud.endpoint}/{bucket}/k", data=body, headers={"x-amz-meta-m": "1"})
    S3SigV4Auth(Credentials(CN.access_key_id, CN.secret_access_key), "s3", CN.region).add_auth(request)
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"))
    try:
        connection.request("PUT", f"/{bucket}/k", body=sent, headers={**dict(request.headers.items()), **changed})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_changed_request_fails_the_signature_check(cloud: Cloud, watched: Make) -> None:
    w = watched()
    assert put(cloud, w.bucket, b"one", b"one")[0] == 200
    status, answer = put(cloud, w.bucket, b"one", b"two")
    assert (status, b"XAmzContentSHA256Mismatch" in answer) == (400, True)
    status, answer = put(cloud, w.bucket, b"one", b"one", **{"x-amz-meta-m": "2"})
    assert (status, b"SignatureDoesNotMatch" in answer) == (403, True)
    status, answer = put(cloud, w.bucket, b"one", b"one", **{"X-Amz-Date": "20200101T000000Z"})
    assert (status, b"RequestTimeTooSkewed" in answer) == (403, True)


def test_presigned_urls_are_checked(cloud: Cloud, watched: Make) -> None:
    w = watched()
    w.s3.put_object(Bucket=w.bucket, Key="a b+c", Body=b"x")
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    signer = session().client("s3", endpoint_url=cloud.endpoint, config=config)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": w.bucket, "Key": "a b+c"})
    assert get(cloud, url) == 200
    assert get(cloud, url.replace("a%20b", "a%20c")) == 403
    old = signer.generate_presigned_url("get_object", Params={"Bucket": w.bucket, "Key": "a b+c"}, ExpiresIn=-1)
    assert get(cloud, old) == 403


def get(cloud: Cloud, url: str) -> int:
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"))
    try:
        connection.request("GET", url.removeprefix(cloud.endpoint))
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_check_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    with Cloud.start() as lenient:
        client(session(aws_secret_access_key="wrong"), "s3", lenient.endpoint).list_buckets()
