"""Test which endpoints the SDK's environment variables select."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.session import Session

from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network, is_aws
from dualsync.runtime.errors import FatalError
from dualsync.runtime.operations.aws.open import client_maker
from dualsync.runtime.operations.stacks import Stack
from dualsync.runtime.settings import SideName
from tests.support.builders import settings

PEER = FixedCredentials(Credential("AKIAPEER", "secret"))


@pytest.fixture(autouse=True)
def _no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name, raising=False)


def hosts(network: Network) -> list[str]:
    return [
        network.bucket_client("b")[0].pool.endpoint.host,
        *(network.client(service).pool.endpoint.host for service in ("sqs", "dynamodb", "sts", "secretsmanager")),
    ]


def test_variables_of_this_side_never_redirect_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, "https://vpce.example")
    assert hosts(Network("us-west-2")) == ["vpce.example"] * 5
    assert hosts(Network("cn-north-1", PEER)) == [
        "b.s3.cn-north-1.amazonaws.com.cn",
        *(f"{name}.cn-north-1.amazonaws.com.cn" for name in ("sqs", "dynamodb", "sts", "secretsmanager")),
    ]


def test_variables_can_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce.example")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert hosts(Network("us-west-2"))[1] == "sqs.us-west-2.amazonaws.com"


def test_fips_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    expected = [
        "b.s3-fips.us-west-2.amazonaws.com",
        *(f"{name}-fips.us-west-2.amazonaws.com" for name in ("sqs", "dynamodb", "sts", "secretsmanager")),
    ]
    assert hosts(Network("us-west-2")) == expected
    assert hosts(Network("us-west-2", PEER)) == expected
    with pytest.raises(FatalError, match=r"AWS_USE_FIPS_ENDPOINT: no such endpoint of s3 in cn-north-1"):
        Network("cn-north-1", PEER).bucket_client("b")


def test_dual_stack_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert hosts(Network("us-west-2"))[:2] == ["b.s3.dualstack.us-west-2.amazonaws.com", "sqs.us-west-2.api.aws"]
    assert hosts(Network("cn-north-1", PEER))[0] == "b.s3.dualstack.cn-north-1.amazonaws.com.cn"
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert hosts(Network("us-gov-west-1"))[0] == "b.s3-fips.dualstack.us-gov-west-1.amazonaws.com"


def test_configured_endpoint_is_used_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    client, path_style = Network("cn-north-1", PEER).bucket_client("b", "https://s3.cn-north-1.amazonaws.com.cn")
    assert (client.pool.endpoint.host, path_style) == ("s3.cn-north-1.amazonaws.com.cn", True)


@pytest.mark.parametrize(
    ("url", "aws"),
    [
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com:443", True),
        ("http://localhost:4566", False),
        ("https://amazonaws.com.example", False),
        ("https://notamazonaws.com", False),
        ("", False),
    ],
)
def test_addresses_of_aws(url: str, aws: bool) -> None:
    assert is_aws(url) is aws


def test_endpoint_variables_of_the_shell_are_ignored_for_sides_with_profiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An operator opens both sides, each with a profile. The profile's own endpoint is the side's."""
    config = tmp_path / "config"
    config.write_text(
        "[profile cn]\nregion=cn-north-1\nservices=here\n[services here]\nsqs =\n  endpoint_url=https://own.example\n"
        "[profile global]\nregion=us-west-2\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.setenv(name, "https://vpce.example")
    regions = {"cn": "cn-north-1", "global": "us-west-2"}
    for profile, sqs in (("cn", "own.example"), ("global", "sqs.us-west-2.amazonaws.com")):
        network = Network(regions[profile], session=Session(profile=profile), variables=False)
        assert "vpce" not in str(hosts(network))
        assert network.client("sqs").pool.endpoint.host == sqs
        stack = Stack(side=SideName(profile), settings=settings(local_region=regions[profile]), profile=profile)
        assert client_maker(stack)("sqs").meta.endpoint_url == f"https://{sqs}"
    shell = Stack(side=SideName.CN, settings=settings())
    assert client_maker(shell)("sqs").meta.endpoint_url == "https://vpce.example"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert client_maker(shell)("sqs").meta.endpoint_url == "https://sqs.cn-north-1.amazonaws.com.cn"
