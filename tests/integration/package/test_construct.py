"""Test the component's inputs and outputs as a program in another language passes and gets them."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest
from pulumi.errors import InputPropertyError
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.provider.experimental.provider import ConstructRequest
from pulumi.runtime.rpc import UNKNOWN

from dualsync.components.plugin.construct import as_texts, construct, plain, property_value
from dualsync.components.plugin.schema import PAIR, side


def value(given: Any) -> PropertyValue:
    if isinstance(given, dict):
        return PropertyValue({k: value(v) for k, v in given.items()})
    if isinstance(given, list):
        return PropertyValue([value(v) for v in given])
    return PropertyValue(float(given) if isinstance(given, int) and not isinstance(given, bool) else given)


SIDES = {
    "cn": {"accountId": "111122223333", "region": "cn-north-1", "bucket": "a-bucket"},
    "global": {"accountId": "444455556666", "region": "us-west-2", "bucket": "b-bucket"},
    "manages": ["cn"],
}


def constructed(inputs: dict[str, Any], kind: str = PAIR) -> None:
    request = ConstructRequest(kind, "pair", {k: value(v) for k, v in inputs.items()}, pulumi.ResourceOptions())
    asyncio.run(construct(request))


def test_inputs_arrive_in_the_form_of_config() -> None:
    given = {"a": 3, "b": [True, "x"], "c": {"d": 1.5, "e": None}}
    assert plain(value(given)) == given


@pytest.mark.parametrize("unknown", [PropertyValue(UNKNOWN), PropertyValue(Computed())])
def test_an_unknown_input_is_refused_by_name(unknown: PropertyValue) -> None:
    with pytest.raises(InputPropertyError, match="known before the deployment"):
        plain(PropertyValue({"bucket": unknown}))


def test_a_number_given_as_text_is_converted() -> None:
    given = {"accountId": 12345678901, "bucket": 2024, "maxCapacity": 3, "prefix": None}
    assert as_texts(given, side()["properties"]) == {"accountId": "012345678901", "bucket": "2024", "maxCapacity": 3}


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        ({"manages": ["both"]}, "manages", "unknown choice"),
        ({"manages": []}, "manages", r"use \[cn\]"),
        ({"conflictPolicy": "mine"}, "conflictPolicy", "newest, prefer-cn, prefer-global"),
        ({"cn": {**SIDES["cn"], "regoin": "x"}}, "cn.regoin", "use region"),  # type: ignore[dict-item]
        ({"cn": {}}, "cn.accountId", "is missing"),
    ],
)
def test_a_wrong_input_is_reported_by_name_before_anything_is_created(
    change: dict[str, Any], where: str, why: str
) -> None:
    with pytest.raises(InputPropertyError, match=why) as caught:
        constructed({**SIDES, **change})
    assert caught.value.property_path == where


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        ("a text", "peerCredential: is not a hand-over; "),
        ('{"role_arn": "arn:aws:iam::444455556666:role/x", "user_id": "AROAX"}', "hands over a role, and peerIdentity"),
    ],
)
@pytest.mark.parametrize("mode", ["config", "stack-reference"])
def test_a_credential_that_is_no_hand_over_of_the_pairs_kind_is_refused(mode: str, credential: str, why: str) -> None:
    """It would be stored, and the worker would wait for another one."""
    image = f"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/lambda-python@sha256:{64 * '0'}"
    with pytest.raises(InputPropertyError, match=why) as caught:
        constructed({**SIDES, "finderImage": image, "handOver": mode, "peerCredential": credential})
    assert caught.value.property_path == "peerCredential"
    assert credential not in str(caught.value)


def test_an_unknown_component_type_is_refused() -> None:
    with pytest.raises(InputPropertyError, match="is no component of this package"):
        constructed(SIDES, "dualsync:index:Other")


def test_outputs_keep_secrets_and_unknowns() -> None:
    async def given() -> PropertyValue:
        return await property_value(
            {"plain": 3, "secret": pulumi.Output.secret("s"), "list": [pulumi.Output.from_input("x")], "no": False}
        )

    found = asyncio.run(given())
    assert isinstance(found.value, dict) or hasattr(found.value, "items")
    inner: Any = found.value
    assert inner["plain"] == PropertyValue(3.0)
    assert inner["secret"] == PropertyValue("s", is_secret=True)
    assert inner["list"].value[0] == PropertyValue("x")
    assert inner["no"] == PropertyValue(False)
