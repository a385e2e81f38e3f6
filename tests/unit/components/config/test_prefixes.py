"""Test odd prefixes in every document of a deployment that contains the prefix."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import botocore.session
import pytest

from dualsync.components.bucket_access.notifications import Subscription
from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.prefixes import filter_value, policy_patterns, prefix_of_filter
from dualsync.components.identity import user_policy
from dualsync.components.workers import userdata
from dualsync.runtime.settings import Settings, SideName
from tests.support.prefixes import PREFIXES, REFUSED
from tests.unit.components.parts import World, deploy, pair
from tests.unit.components.recorder import config_of
from tests.unit.components.recorder import deploy as deploy_program
from tools.iam_roles.documents import _smoke
from tools.iam_roles.scopes import Scopes

SAFE = re.compile(r"(?:[A-Za-z0-9/!\-_.*'()+]|%[0-9A-F]{2})*")
"""Characters of a filter: those that S3 lists as safe, `+` for a blank, and percent-encoded bytes."""

UNITS: dict[str, Callable[[str], list[Any]]] = {
    "characters": lambda text: list(text),
    "UTF-16": lambda text: [text.encode("utf-16-be")[i : i + 2] for i in range(0, len(text.encode("utf-16-be")), 2)],
    "UTF-8": lambda text: [bytes([byte]) for byte in text.encode()],
}
"""Units that IAM's `?` may match."""


def alphabet() -> re.Pattern[str]:
    """Return IAM's own pattern for policy documents."""
    model = botocore.session.get_session().get_service_model("iam")
    return re.compile(model.shape_for("policyDocumentType").metadata["pattern"])


def matches(pattern: str, key: str, unit: str) -> bool:
    """Return whether a resource pattern matches, as IAM documents `*`, `?`, and the literals `${*}`, `${?}`, `${$}`."""
    tokens = re.findall(r"\$\{[*?$]\}|\$\{[^}]*\}|.", pattern, re.DOTALL)
    expression: list[Any] = []
    for token in tokens:
        if token in ("*", "?"):
            expression.append((token,))
        else:
            assert not re.fullmatch(r"\$\{[^*?$].*\}", token), f"{pattern} holds a policy variable"
            expression.extend(UNITS[unit](token[2] if token.startswith("${") else token))

    def fits(pattern: list[Any], text: list[Any]) -> bool:
        reached = {0}
        for token in pattern:
            if token == ("*",):
                reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
            else:
                reached = {i + 1 for i in reached if i < len(text) and (token == ("?",) or text[i] == token)}
        return len(text) in reached

    return fits(expression, UNITS[unit](key))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_config_accepts_the_prefix(prefix: str) -> None:
    side = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn", "prefix": prefix}
    other = {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global"}
    assert stack_config.pair_of({"manages": ["cn"], "cn": side, "global": other}).cn.prefix == prefix


@pytest.mark.parametrize("prefix", REFUSED, ids=[f"{n}-{r}" for n, r in enumerate(REFUSED.values())])
def test_config_refuses_the_prefix_in_one_line(prefix: str) -> None:
    side = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn", "prefix": prefix}
    other = {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global"}
    with pytest.raises(ConfigError, match=REFUSED[prefix]) as caught:
        stack_config.pair_of({"manages": ["cn"], "cn": side, "global": other})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_filters_are_url_encoded_and_decode_to_the_prefix(prefix: str) -> None:
    value = filter_value(prefix)
    assert SAFE.fullmatch(value)
    assert unquote_plus(value) == prefix == prefix_of_filter(value)
    entry = Subscription(bucket="b", owner="1", id="i", queue_arn="q", events=(), prefix=prefix).entry()
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    assert rules == ([{"Name": "prefix", "Value": value}] if prefix else [])


@pytest.mark.parametrize(
    ("prefix", "value"),
    [
        ("year=2024/", "year%3D2024/"),
        ("my data/", "my+data/"),
        ("a+b/", "a%2Bb/"),
        ("R&D/", "R%26D/"),
        ("~x/", "%7Ex/"),
        ("数据/", "%E6%95%B0%E6%8D%AE/"),
    ],
)
def test_filters_equal_the_examples_of_the_user_guide(prefix: str, value: str) -> None:
    assert filter_value(prefix) == value


@pytest.mark.parametrize("prefix", PREFIXES)
def test_policy_patterns_match_the_prefix_literally(prefix: str) -> None:
    patterns = [f"{pattern}*" for pattern in policy_patterns(prefix)]
    exact = all(ord(c) < 256 for c in prefix)
    assert exact == (len(patterns) == 1 and "?" not in patterns[0].replace("${?}", ""))
    for unit in UNITS:
        assert any(matches(pattern, prefix + "some/key", unit) for pattern in patterns), unit
        if prefix and exact:
            shorter, other = prefix[:-1], prefix[:-1] + ("y" if prefix[-1] == "x" else "x")
            assert not any(matches(p, k, unit) for p in patterns for k in (shorter, other, "x" + prefix))


@pytest.mark.parametrize(
    ("prefix", "granted"), [("a?/", "ab/k"), ("${aws:username}/", "dth-dual-user/k"), ("$a/", "a/k")]
)
def test_policies_grant_nothing_on_similar_prefixes(prefix: str, granted: str) -> None:
    assert not any(matches(f"{p}*", granted, unit) for p in policy_patterns(prefix) for unit in UNITS)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_policy_document_has_only_characters_that_iam_allows(prefix: str) -> None:
    found: list[Any] = []
    model = pair(prefix=prefix, prefix_list_file="liste/数据.txt")
    deploy(lambda context: found.append(user_policy(context)), World(), model, SideName.CN)
    found.append({"Statement": _smoke(Scopes(model, SideName.CN))})
    for document in found:
        # As Go's encoder writes it, which the provider normalises policies with: without \\u escapes.
        text = json.dumps(document, ensure_ascii=False)
        assert alphabet().fullmatch(text)
        (resources,) = (
            [s["Resource"]] if isinstance(s["Resource"], str) else s["Resource"]
            for s in document["Statement"]
            if s["Sid"] == "Objects"
        )
        key = f"arn:aws-cn:s3:::dth-dual-dev-cn-north-1/{prefix}dualsync-smoke/k"
        assert all(any(matches(r, key, unit) for r in resources) for unit in UNITS)


ODDEST = "a b+${aws:username}?=&数据😀'\"\\$HOME`id`@REGION@%i/"


def test_a_deployment_with_the_oddest_prefix_uses_it_everywhere(bundles: Path) -> None:
    side = json.loads(config_of("cn")["dualsync:cn"]) | {"prefix": ODDEST, "prefixListFile": "数据/list*?"}
    found = deploy_program("cn", bundles, {"cn": side})
    documents = 0
    for resource in found.aws:
        for value in resource.inputs.values():
            if isinstance(value, str) and '"Statement"' in value:
                documents += 1
                assert alphabet().fullmatch(json.dumps(json.loads(value), ensure_ascii=False))
    assert documents >= 13
    subscription = found.one("dualsync:index:BucketSubscription")
    assert subscription.inputs["prefix"] == ODDEST
    (container,) = json.loads(found.one("aws:ecs/taskDefinition:TaskDefinition").inputs["containerDefinitions"])
    environment = {e["name"]: e["value"] for e in container["environment"]}
    assert Settings.from_environment(environment).local_prefix == ODDEST
    script = base64.b64decode(found.one("aws:ec2/launchTemplate:LaunchTemplate").inputs["userData"]).decode()
    assert userdata.environment_file({"DUALSYNC_LOCAL_PREFIX": ODDEST}) in script
    assert found.outputs["cn"]["prefix"] == ODDEST
    (warning,) = [w for w in found.warnings if "U+00FF" in w]
    assert warning.startswith("cn.prefix=")
