"""Test stacks in states and modes that the lifecycle does not cover."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dualsync.runtime.settings import SideName
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine(long=True)


def _handed_over(engine: EngineStage, holder: SideName) -> dict[str, str]:
    manager = engine.stage.cloud.client(holder, "secretsmanager")
    (secret,) = manager.list_secrets()["SecretList"]
    content: dict[str, str] = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
    return content


def test_hand_over_through_the_peers_stack(engine: EngineStage) -> None:
    """Deploy without access to the other account: the key is a secret output of the peer's stack, in two passes."""
    before = engine.inventory()
    for stack in ("cn", "global"):
        engine.create(stack, handOver="stack-reference")
    engine.up("cn")
    outputs = engine.pulumi.outputs("cn")
    assert outputs["handOver"] == "[secret]"
    assert engine.inventory()[SideName.GLOBAL] == before[SideName.GLOBAL], "cn's stack touched the peer's account"
    in_clear = json.loads(engine.pulumi.outputs("cn", secrets=True)["handOver"])
    engine.keys.add(in_clear["secret_access_key"])

    engine.up("global")
    engine.up("cn")
    assert _handed_over(engine, SideName.GLOBAL) == in_clear
    assert _handed_over(engine, SideName.CN)["user_id"] == engine.pulumi.outputs("global")["userIds"]["global"]
    for stack in ("cn", "global"):
        assert engine.up(stack).changed == {}
    assert engine.leaks() == []

    for stack in ("cn", "global"):
        engine.destroy(stack)
    assert engine.inventory() == before


def test_a_hand_over_under_another_passphrase_is_refused_with_the_remedy(engine: EngineStage) -> None:
    engine.create("cn", handOver="stack-reference")
    engine.up("cn")
    own = engine.pulumi
    engine.pulumi = dataclasses.replace(own, passphrase="another operator's")
    engine.create("global", handOver="stack-reference")
    done = engine.preview("global", wanted=(1, 255))
    assert "peerStack" in done.text
    assert "change-secrets-provider" in done.text
    assert "Traceback" not in done.text


def test_a_stack_is_unchanged_while_its_peer_is_missing_destroyed_or_removed(engine: EngineStage) -> None:
    engine.create("cn")
    engine.up("cn")
    assert engine.pulumi.outputs("cn")["peer"] == {
        "stack": "organization/dualsync/global",
        "deployed": False,
        "userIds": {},
    }
    engine.create("global")
    assert engine.up("cn").changed == {}, "a peer that is only initialised changes nothing"
    engine.up("global")
    engine.up("cn")
    assert engine.pulumi.outputs("cn")["peer"]["deployed"] is True
    engine.destroy("global")
    assert engine.up("cn").changed == {}, "a peer that is destroyed changes nothing"
    assert engine.pulumi.outputs("cn")["peer"]["deployed"] is False
    engine.pulumi.run("stack", "rm", "global", "--yes", "--preserve-config")
    assert engine.up("cn").changed == {}, "a peer that is removed changes nothing"


def test_one_stack_may_manage_both_sides(engine: EngineStage) -> None:
    before = engine.inventory()
    engine.create("both", like="cn", manages=["cn", "global"], peerStack="")
    engine.up("both")
    assert set(engine.pulumi.outputs("both")["userIds"]) == {"cn", "global"}
    assert engine.up("both").changed == {}
    assert engine.refresh("both").changed == {}
    assert engine.leaks() == []
    engine.destroy("both")
    assert engine.inventory() == before


def test_credentials_of_the_other_account_are_refused_before_a_write(engine: EngineStage) -> None:
    before = engine.inventory()
    engine.create("cn")
    config = engine.changes["cn"]
    ours = {"accountId": "111122223333", "region": "cn-north-1", "partition": "aws-cn", "prefix": ""}
    swapped = {
        **ours,
        "bucket": engine.stage.buckets[SideName.CN],
        "profile": "dualsync-sandbox-global",
        "endpoint": engine.stage.cloud.endpoint,
    }
    engine.configure("cn", **{**config, "cn": swapped})
    done = engine.up("cn", wanted=(1, 255))
    assert "444455556666" in done.text
    assert engine.inventory() == before


def test_a_key_in_clear_text_is_found_by_the_search_for_leaks(engine: EngineStage) -> None:
    engine.keys.add("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    assert engine.leaks() == []
    (engine.stage.workspace.folder / "plan.json").write_text('{"key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}')
    assert engine.leaks() == ["plan.json"]
