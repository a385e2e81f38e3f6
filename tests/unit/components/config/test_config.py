"""Test config: the declared keys, and the model, names and settings that are made from the values."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
import yaml

from dualsync.components.config import declared as declared_keys
from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel
from dualsync.components.config.names import Names
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.settings import SideName
from tests.unit.components.config.pairs import CN, GLOBAL, pair
from tests.unit.components.recorder import ROOT, config_of

WITHOUT_DEFAULT = ["keepLoser", "publicIp"]
"""Keys at the top whose absence is a state of its own."""


def project() -> dict[str, Any]:
    declared: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    return declared


def stack_file(stack: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return values


def test_every_key_is_declared_with_type_description_and_default() -> None:
    declared = {k: v for k, v in project()["config"].items() if not k.startswith("pulumi:")}
    assert set(declared) == set(declared_keys.all_keys()) - set(WITHOUT_DEFAULT)
    for key, declaration in declared.items():
        assert declaration["type"] in ("string", "integer", "boolean", "array", "object"), key
        assert declaration["description"].strip(), key
        assert "default" in declaration, key


def test_a_key_whose_absence_has_a_meaning_is_shown_and_not_declared() -> None:
    """The engine requires a value of each declared key without a default (Pulumi, "Project file", `config`)."""
    assert [key for key, option in declared_keys.keys().items() if not option.has_default] == WITHOUT_DEFAULT
    shown = re.sub(r"^  # ", "  ", (ROOT / "Pulumi.yaml").read_text(), flags=re.MULTILINE)
    for key in WITHOUT_DEFAULT:
        block = re.search(rf"^  {key}:\n(?:    .*\n)+", shown, re.MULTILINE)
        assert block, key
        entry = yaml.safe_load(block[0])[key]
        assert entry["type"] == declared_keys.keys()[key].type
        assert entry["description"].strip() == declared_keys.keys()[key].declared.description


@pytest.mark.parametrize(("text", "kept"), [(None, None), ("true", True), ("false", False)])
def test_keep_loser_has_three_states(text: str | None, kept: bool | None) -> None:
    given = {} if text is None else {"keepLoser": text}
    model = pair(stack_config.read(given, given))
    assert model.keep_loser is kept
    assert settings_of(model, SideName.CN).keep_loser is bool(kept)


@pytest.mark.parametrize(("text", "given"), [(None, None), ("true", True), ("false", False)])
def test_public_ip_has_three_states(text: str | None, given: bool | None) -> None:
    values = {} if text is None else {"publicIp": text}
    assert pair(stack_config.read(values, values)).cn.network.public_ip is given


@pytest.mark.parametrize("text", ["", "yes", "1", "null"])
def test_other_texts_for_keep_loser_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^keepLoser='{text}': is not true or false; give true or false$"):
        stack_config.read({"keepLoser": text}, ["keepLoser"])


def test_default_providers_are_disabled_and_the_projects_plugin_exists() -> None:
    assert project()["config"]["pulumi:disable-default-providers"] == {"value": ["aws"]}
    (plugin,) = project()["plugins"]["providers"]
    assert plugin["name"] == "dualsync"
    assert (ROOT / plugin["path"] / "PulumiPlugin.yaml").is_file()


def test_both_stacks_have_the_same_keys() -> None:
    assert list(stack_file("cn")) == list(stack_file("global"))
    assert all(key.removeprefix("dualsync:") in declared_keys.all_keys() for key in stack_file("cn"))


def test_declared_defaults_equal_the_models_defaults() -> None:
    class Given:
        def get(self, key: str) -> str | None:
            return config_of("cn").get(f"dualsync:{key}")

    model = stack_config.pair_of(stack_config.read(Given()))
    bare = pair({"manages": ["cn"]})
    same = {f.name for f in dataclasses.fields(PairModel)} - {"cn", "global_"}
    assert {f: getattr(model, f) for f in same} == {f: getattr(bare, f) for f in same}
    for group in ("network", "fleet", "watch", "replicas"):
        assert getattr(model.cn, group) == getattr(bare.cn, group), group
    assert dataclasses.replace(model.cn.finder, image="") == bare.cn.finder


def test_default_buckets_are_those_of_the_guides_example() -> None:
    declared = project()["config"]
    assert declared["cn"]["default"]["bucket"] == "dth-dual-dev-cn-north-1"
    assert declared["global"]["default"]["bucket"] == "dth-dual-dev-us-west-2"


def test_a_sides_option_overrides_the_top_level_which_applies_to_managed_sides() -> None:
    model = pair({"maxCapacity": 5, "manages": ["cn", "global"], "global": GLOBAL | {"maxCapacity": 7}})
    assert (model.cn.fleet.max_capacity, model.global_.fleet.max_capacity) == (5, 7)
    assert pair({"maxCapacity": 5}).global_.fleet.max_capacity == 20


def test_names_follow_the_guide_only_where_they_cannot_collide() -> None:
    def names(**changes: Any) -> Names:
        return pair(changes).names(SideName.CN)

    assert (names().policy, names().user, names().secret) == (
        "dth-dual-policy",
        "dth-dual-user",
        "dth-credentials-us-west-2",
    )
    assert names(pair="photos").user == "photos-cn-user"
    assert names(pair="photos").secret == "photos-cn-credentials"
    same_account = names(cn=CN | {"region": "us-east-1", "accountId": GLOBAL["accountId"]})
    assert same_account.user == "dth-dual-cn-user"
    assert names(cn=CN | {"userName": "mine", "secretName": "its/key"}).secret == "its/key"


def test_a_pairs_name_that_makes_another_name_too_long_is_refused() -> None:
    longest = pair({"pair": "a" * 33}).names(SideName.GLOBAL)
    assert len(longest.artifacts_bucket) == 63
    message = (
        f"pair='{'a' * 34}': makes {'a' * 34}-global-artifacts-444455556666 of 64 characters, and S3 bucket names have"
        " at most 63; use at most 33 characters"
    )
    with pytest.raises(ConfigError) as e:
        pair({"pair": "a" * 34})
    assert str(e.value) == message


def test_one_bucket_with_two_prefixes_and_one_account() -> None:
    a = GLOBAL | {"prefix": "a/"}
    model = pair({"manages": ["cn", "global"], "cn": a, "global": GLOBAL | {"prefix": "b/"}})
    assert model.names(SideName.CN).secret != model.names(SideName.GLOBAL).secret


def test_settings_are_derived_from_the_model() -> None:
    changes = {
        "conflictPolicy": "prefer-cn",
        "keepLoser": True,
        "workerConcurrency": 8,
        "deletionLimit": 5,
        "finderGraceSeconds": 60,
        "cn": CN | {"formerUserIds": ["AIDAOLDUSEROLDUSER12"]},
    }
    settings = settings_of(pair(changes), SideName.CN, user_id="AIDANEW")
    assert (settings.local_bucket, settings.remote_bucket) == ("bucket-cn", "bucket-global")
    assert (settings.conflict_policy, settings.keep_loser, settings.worker_concurrency) == ("prefer-cn", True, 8)
    assert settings.own_user_ids == ("AIDANEW", "AIDAOLDUSEROLDUSER12")
    assert settings.deletion_limit == 5
    assert settings.finder_grace_seconds == 60


def test_config_of_the_tests_equals_what_the_engine_passes() -> None:
    assert json.loads(config_of("cn")["dualsync:manages"]) == ["cn"]
    assert config_of("cn")["dualsync:pair"] == "dth-dual"
