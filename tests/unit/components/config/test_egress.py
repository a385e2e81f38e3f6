"""How worker and finder reach AWS: what is refused, what they get, and that the runtime reads it as it is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config import egress, stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import SideModel
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.app.wiring import remote_options
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.http.proxy import Proxy, proxy_for
from dualsync.runtime.settings import SideName

CN = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn"}
GLOBAL = {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global"}
PROXY = "http://proxy.example.com:3128"
PEER = FixedCredentials(Credential("AKIAPEER", "secret"))


def pair(
    options: dict[str, Any], *, manages: str = "global", region: str = "us-west-2", peer: str = "cn-north-1"
) -> Any:
    """The pair of a stack that manages one side, with `options` for it."""
    own, other = (GLOBAL, "cn") if manages == "global" else (CN, "global")
    sides = {manages: own | {"region": region}, other: (CN if manages == "global" else GLOBAL) | {"region": peer}}
    return stack_config.pair_of({"manages": [manages], **sides, **options})


def side(**options: Any) -> SideModel:
    found: SideModel = pair(options).global_
    return found


@pytest.fixture
def _only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No profile and no variables but a test's own."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "ALL_PROXY", "all_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


NOT_A_PROXY = "not the address of an HTTP proxy; use http://host:port, or https://host:port for a proxy with TLS"
NOT_AN_ENTRY = (
    "not an entry of NO_PROXY; use a name, .suffix, address or network (10.0.0.0/8) per entry; a port may follow a name"
)
REFUSED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"httpsProxy": url}, f"httpsProxy={url!r}: {NOT_A_PROXY}")
        for url in (
            *(
                "proxy:3128",
                "socks5://proxy:1080",
                "http://proxy",
                "http://:3128",
                "http://proxy:0",
                "http://proxy:65536",
            ),
            *(
                "http://proxy:3128/path",
                "http://proxy:3128?x",
                "http://pro xy:3128",
                "http://proxy:3128\n",
                "http://-:1",
            ),
            "http://prox'y:3128",
        )
    ),
    *(
        (
            {"httpsProxy": url},
            "httpsProxy: has a user or a password, which all who may describe the launch template could read;"
            " use http://host:port, and let the proxy admit the addresses of the subnets",
        )
        for url in ("http://user:hush@proxy:3128", "user:hush@proxy:3128", "http://us@er:hush/@proxy")
    ),
    *(
        ({"httpsProxy": PROXY, "noProxy": [entry]}, f"noProxy={entry!r}: {NOT_AN_ENTRY}")
        for entry in (
            *("*", "", "a b", "a,b", "http://a", "a/b", "10.0.0", "10.0.0.0/33", "300.1.1.1", "a:", "a:0", "a:65536"),
            *(
                "a:b",
                "-a",
                "a..b",
                "*a",
                "**.a",
                ".",
                "[::1",
                "[a]",
                "[10.0.0.1]:1",
                "fd00::/200",
                "fe80::1%eth0",
                "a'b",
            ),
        )
    ),
    (
        {"noProxy": [".example.com"]},
        "noProxy=['.example.com']: has no use without httpsProxy; give both, or neither",
    ),
    (
        {"httpsProxy": PROXY, "noProxy": ["a.example", "a.example"]},
        "noProxy='a.example': is given twice; give it once",
    ),
    (
        {"fipsEndpoints": True, "dualStackEndpoints": True},
        "dualStackEndpoints=True: fipsEndpoints is true too, and few services have an endpoint that is"
        " both; set one of the two",
    ),
    *(
        (
            {"global": GLOBAL | {"endpoint": "http://localhost:1", key: True}},
            f"global.{key}=True: has no use with global.endpoint, which replaces AWS's endpoints; remove either",
        )
        for key in ("fipsEndpoints", "dualStackEndpoints")
    ),
    ({"fipsEndpoints": "yes"}, "fipsEndpoints='yes': is not true or false; give true or false"),
    ({"httpsProxy": 3128}, "httpsProxy=3128: is not text; put it in quotes"),
    ({"httpsProxy": PROXY, "noProxy": "a,b"}, "noProxy='a,b': is not a list of texts; give a list, each in quotes"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pair(options)
    assert str(caught.value) == words.replace("\n", " ")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1"])
def test_fips_endpoints_are_refused_in_china(region: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pair({"fipsEndpoints": True}, manages="cn", region=region, peer="us-west-2")
    assert str(caught.value) == (
        "fipsEndpoints=True: China regions have no FIPS endpoints; remove it, or give it inside the other side"
    )


@pytest.mark.parametrize(
    ("region", "missing"), [("eu-central-1", "s3, sqs, dynamodb"), ("ca-central-1", "sts, ecs, monitoring")]
)
def test_fips_endpoints_are_refused_where_a_service_has_none(region: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"{region} has no FIPS endpoint of {missing}"):
        pair({"fipsEndpoints": True}, region=region)


@pytest.mark.parametrize(
    "region", ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-west-1", "us-gov-east-1"]
)
def test_fips_endpoints_are_taken_where_every_service_has_one(region: str) -> None:
    assert egress.variables(pair({"fipsEndpoints": True}, region=region).global_) == {"AWS_USE_FIPS_ENDPOINT": "true"}


def test_nothing_is_set_where_nothing_is_given() -> None:
    model = pair({})
    assert egress.variables(model.global_) == {}
    assert egress.port(model.global_) is None
    settings = settings_of(model, SideName.GLOBAL)
    assert (settings.remote_endpoint, settings.remote_sts_endpoint) == ("", "")


def test_a_proxy_never_gets_requests_for_metadata() -> None:
    assert egress.variables(side(httpsProxy=f"{PROXY}/")) == {
        "HTTPS_PROXY": PROXY,
        "NO_PROXY": "169.254.169.254,169.254.170.2",
    }
    assert egress.variables(side(httpsProxy=PROXY, noProxy=["*.example.com", "169.254.169.254", "10.0.0.0/8"])) == {
        "HTTPS_PROXY": PROXY,
        "NO_PROXY": "169.254.169.254,169.254.170.2,.example.com,10.0.0.0/8",
    }


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (PROXY, Proxy("proxy.example.com", 3128, False)),
        ("https://10.0.0.7:8443/", Proxy("10.0.0.7", 8443, True)),
        ("http://p:65535", Proxy("p", 65535, False)),
    ],
)
@pytest.mark.usefixtures("_only")
def test_the_runtime_takes_the_proxy(url: str, found: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    model = side(httpsProxy=url)
    for name, value in egress.variables(model).items():
        monkeypatch.setenv(name, value)
    assert proxy_for("s3.us-west-2.amazonaws.com") == found
    assert egress.port(model) == found.port
    assert proxy_for("169.254.169.254") is None
    assert proxy_for("169.254.170.2") is None


@pytest.mark.parametrize(
    ("entry", "direct", "port"),
    [
        ("s3.example", "s3.example", 443),
        (".s3.example", "b.s3.example", 443),
        ("*.s3.example", "b.s3.example", 443),
        ("S3.Example", "s3.example", 443),
        ("s3.example:8443", "s3.example", 8443),
        ("10.0.0.7", "10.0.0.7", 443),
        ("10.0.0.7:8443", "10.0.0.7", 8443),
        ("10.0.0.7/8", "10.200.0.1", 443),
        ("fd00::/8", "fd12::1", 443),
        ("::1", "::1", 443),
        ("[::1]:8443", "::1", 8443),
    ],
)
@pytest.mark.usefixtures("_only")
def test_the_runtime_takes_every_form_of_an_entry(
    entry: str, direct: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in egress.variables(side(httpsProxy=PROXY, noProxy=[entry])).items():
        monkeypatch.setenv(name, value)
    assert proxy_for(direct, port) is None
    assert proxy_for("elsewhere.example", port) is not None


def hosts(model: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The hosts that the worker of side global calls in its own account, and in the peer's."""
    for name, value in egress.variables(model.global_).items():
        monkeypatch.setenv(name, value)
    settings = settings_of(model, SideName.GLOBAL)
    own, peer = Network(settings.local_region), Network(settings.remote_region, PEER)
    services = ("sqs", "dynamodb", "secretsmanager", "sts", "kms")
    return (
        [
            own.bucket_client("b")[0].pool.endpoint.host,
            *(own.client(service).pool.endpoint.host for service in services),
        ],
        [
            peer.bucket_client("b", settings.remote_endpoint)[0].pool.endpoint.host,
            peer.client("sts", settings.remote_sts_endpoint).pool.endpoint.host,
        ],
    )


@pytest.mark.usefixtures("_only")
def test_a_side_with_fips_reaches_a_peer_without(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pair({"fipsEndpoints": True})
    own, peer = hosts(model, monkeypatch)
    names = ("sqs", "dynamodb", "secretsmanager", "sts", "kms")
    assert own == ["b.s3-fips.us-west-2.amazonaws.com", *(f"{name}-fips.us-west-2.amazonaws.com" for name in names)]
    assert peer == ["s3.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"]
    assert remote_options(settings_of(model, SideName.GLOBAL)).restores, "the peer is S3 all the same"


@pytest.mark.usefixtures("_only")
def test_a_peer_with_fips_endpoints_is_reached_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, peer = hosts(pair({"fipsEndpoints": True}, peer="us-east-1"), monkeypatch)
    assert peer == ["b.s3-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"]


@pytest.mark.usefixtures("_only")
def test_dual_stack_endpoints_where_the_sdk_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own, peer = hosts(pair({"dualStackEndpoints": True}), monkeypatch)
    assert own == [
        *("b.s3.dualstack.us-west-2.amazonaws.com", "sqs.us-west-2.api.aws", "dynamodb.us-west-2.amazonaws.com"),
        *("secretsmanager.us-west-2.api.aws", "sts.us-west-2.amazonaws.com", "kms.us-west-2.amazonaws.com"),
    ]
    assert peer == ["b.s3.dualstack.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"]


def test_the_peers_own_address_wins() -> None:
    model = pair({"fipsEndpoints": True, "cn": CN | {"endpoint": "http://localhost:1"}})
    settings = settings_of(model, SideName.GLOBAL)
    assert (settings.remote_endpoint, settings.remote_sts_endpoint) == ("http://localhost:1",) * 2


def test_variables_of_services_are_the_sdks_names() -> None:
    assert set(egress.variables(side(dualStackEndpoints=True))) == {
        "AWS_USE_DUALSTACK_ENDPOINT",
        *(f"AWS_ENDPOINT_URL_{name}" for name in ("AUTO_SCALING", "CLOUDWATCH", "DYNAMODB", "ECS", "KMS", "STS")),
    }
