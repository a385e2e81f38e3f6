"""Test the peer's stack (absent, initialised, deployed, contradictory) and hand-overs without its provider."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

from dualsync.components.peer_stack import SHARED_RULES
from dualsync.runtime.settings import variable
from tests.unit.components.recorder import (
    ISSUERS,
    KEY_SECRET,
    Call,
    Deployment,
    by_role,
    config_of,
    deploy,
    in_clear,
)

READ = "pulumi:pulumi:readStackOutputs"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
HANDED = json.dumps({"access_key_id": "AKIAPEER", "secret_access_key": KEY_SECRET + "peer", "user_id": "AIDAPEER"})
FACTS = {"bucket": "dth-dual-dev-us-west-2", "region": "us-west-2", "prefix": "", "accountId": "444455556666"}
DEPLOYED = {"pair": "dth-dual", "manages": ["global"], "userIds": {"global": "AIDAPEER"}, "global": FACTS}


def answering(outputs: dict[str, Any], secret: list[str] | None = None) -> Call:
    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        if token != READ:
            return None
        assert args["name"] == "organization/dualsync/global"
        return {"name": args["name"], "outputs": outputs, "secretOutputNames": secret or []}

    return call


def test_a_side_is_deployed_when_the_peers_stack_does_not_exist(cn: Deployment) -> None:
    assert cn.outputs["peer"] == {"stack": "organization/dualsync/global", "deployed": False, "userIds": {}}


def test_a_peer_stack_without_outputs_is_not_deployed(bundles: Path) -> None:
    assert deploy("cn", bundles, call=answering({})).outputs["peer"]["deployed"] is False


def test_a_deployed_peer_shows_in_the_outputs_and_changes_no_resource(cn: Deployment, bundles: Path) -> None:
    """Otherwise the second stack's deployment would replace the first one's instances."""
    later = deploy("cn", bundles, call=answering(DEPLOYED))
    assert later.outputs["peer"] == {
        "stack": "organization/dualsync/global",
        "deployed": True,
        "userIds": {"global": "AIDAPEER"},
    }
    assert {r.urn: r.raw for r in later.resources} == {r.urn: r.raw for r in cn.resources}


def test_any_other_failure_to_read_the_peers_stack_is_an_error(bundles: Path) -> None:
    def call(token: str, args: dict[str, Any]) -> Any:
        return ({}, [("name", "access denied to the backend")]) if token == READ else None

    with pytest.raises(Exception, match="access denied to the backend"):
        deploy("cn", bundles, call=call)


def test_no_peer_stack_is_read_when_none_is_named(both: Deployment) -> None:
    assert READ not in [c[0] for c in both.calls]
    assert "peer" not in both.outputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pair": "photos"},
            "pair='dth-dual': stack organization/dualsync/global has pair 'photos', and a deployed pair"
            " can't be renamed; set pair to 'photos' again",
        ),
        ({"manages": ["cn", "global"]}, "manages=['cn']: stack organization/dualsync/global manages cn too; let one"),
        (
            {"global": FACTS | {"bucket": "another"}},
            "global.bucket='dth-dual-dev-us-west-2': stack organization/dualsync/global deployed 'another'; give both",
        ),
    ],
)
def test_a_contradiction_to_the_peers_stack_is_refused(bundles: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the engine's RunError, whose text is the point
        deploy("cn", bundles, call=answering(DEPLOYED | change))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": ["dth-dual"]}, "its output pair is not a text (its type is list)"),
        ({"direction": "sideways"}, "its output direction is not one of both, "),
        ({"direction": ["both"]}, "its output direction is not one of both, "),
        ({"manages": "global"}, "its output manages is not a list of sides (its type is str)"),
        ({"manages": ["eu"]}, "its output manages is not a list of sides (its type is list)"),
        ({"manages": [{"global": 1}]}, "its output manages is not a list of sides (its type is list)"),
        ({"manages": 1}, "its output manages is not a list of sides (its type is float)"),
        ({"userIds": "AIDAPEER"}, "its output userIds is not a mapping (its type is str)"),
        ({"global": "arn"}, "its output global is not a mapping (its type is str)"),
        ({"global": {**FACTS, "bucket": 7}}, "its output global.bucket is not a text (its type is float)"),
        ({"global": {**FACTS, "peerIdentity": {}}}, "its output global.peerIdentity is not a text (its type is dict)"),
        ({"global": {**FACTS, "options": "acl"}}, "its output global.options is not a mapping of texts"),
        ({"global": {**FACTS, "peerOptions": {"acl": 1}}}, "its output global.peerOptions is not a mapping of texts"),
    ],
)
def test_outputs_of_another_program_are_refused_by_name(bundles: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=re.escape(message)) as found:
        deploy("cn", bundles, call=answering(DEPLOYED | change))
    assert "give the name of the stack that deploys the pair's other side" in str(found.value)


@pytest.mark.parametrize("name", ["pair", "direction", "manages", "userIds", "global"])
def test_a_secret_output_in_the_place_of_a_fact_is_refused_and_not_shown(bundles: Path, name: str) -> None:
    with pytest.raises(Exception, match=rf"output {name} is not .* \(its type is secret\)") as found:
        deploy("cn", bundles, call=answering(DEPLOYED | {name: "hunter2"}, secret=[name]))
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            {},
            {"secretName": "another"},
            "global.secretName='dth-credentials-cn-north-1': stack {} deployed 'another'; ",
        ),
        (
            by_role(),
            {"peerIdentity": "role", "environment": {"DUALSYNC_TOKEN_ISSUER": "https://id.example.com/other"}},
            f"global.issuer='{ISSUERS['global']}': stack {{}} deployed 'https://id.example.com/other'; ",
        ),
    ],
)
def test_a_hand_over_that_would_not_arrive_is_refused(
    bundles: Path, ours: dict[str, Any], theirs: dict[str, Any], message: str
) -> None:
    """The peer's workers would wait for the secret, or their tokens be refused, without an alarm."""
    remedy = "give both stacks the same in Pulumi.yaml; where that is the case, deploy stack {} first"
    text = (message + remedy).format(*["organization/dualsync/global"] * 2)
    with pytest.raises(pulumi.RunError, match=f"^{re.escape(text)}$"):
        deploy("cn", bundles, ours, call=answering(DEPLOYED | {"global": FACTS | theirs}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"secretName": "dth-credentials-cn-north-1"}),
        ({}, {"secretName": ""}),
        ({"handOver": "config"}, {"secretName": "another"}),
        (by_role(), {"peerIdentity": "role", "environment": {"DUALSYNC_TOKEN_ISSUER": ISSUERS["global"]}}),
    ],
)
def test_a_hand_over_that_arrives_is_accepted(bundles: Path, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """With handOver=config the peer's stack writes the secret itself, whatever its name is here."""
    assert deploy("cn", bundles, ours, call=answering(DEPLOYED | {"global": FACTS | theirs})).aws


def peer_with(side: str, **changed: str) -> dict[str, Any]:
    """Return the outputs of a peer whose own options, or those that it assumes of this side, are changed."""
    options = {
        "acl": "bucket-owner-full-control",
        "includeTags": "false",
        "kmsKey": "",
        "kmsKeyArn": "",
        "deployers": "",
    }
    facts = FACTS | {"options": dict(options), "peerOptions": dict(options)}
    facts[side] = {**options, **changed}
    return DEPLOYED | {"global": facts}


def test_a_worker_option_beyond_the_peers_deployed_policy_is_refused(bundles: Path) -> None:
    message = (
        "includeTags='true': stack organization/dualsync/global allows this side's worker false; give it under cn in"
        " Pulumi.yaml, which both stacks read, and deploy stack organization/dualsync/global first"
    )
    with pytest.raises(Exception, match=f"^{re.escape(message)}$"):
        deploy("cn", bundles, {"includeTags": True}, answering(peer_with("options")))
    assert deploy("cn", bundles, {"includeTags": True}, answering(peer_with("peerOptions", includeTags="true"))).aws
    assert deploy("cn", bundles, {"acl": ""}, answering(peer_with("options"))).aws, "less than allowed"


def test_a_policy_narrower_than_the_peers_deployed_worker_needs_is_refused(bundles: Path) -> None:
    with pytest.raises(Exception, match=r"^global.acl='bucket-owner-full-control': stack .* gives its worker private,"):
        deploy("cn", bundles, {}, answering(peer_with("options", acl="private")))
    peer = json.loads(config_of("cn")["dualsync:global"]) | {"acl": "bucket-owner-read"}
    later = deploy("cn", bundles, {"global": peer}, answering(peer_with("options", acl="private")))
    (warning,) = later.warnings
    assert warning.startswith(
        "global.acl='bucket-owner-read': the worker of stack organization/dualsync/global still has"
    )


def test_options_of_the_secrets_account_are_compared(bundles: Path) -> None:
    (warning,) = deploy("cn", bundles, {}, answering(peer_with("options", kmsKeyArn="arn:k"))).warnings
    assert warning.startswith("global.kmsKeyArn='': stack organization/dualsync/global deployed 'arn:k'; give it under")


def test_a_hand_over_by_stack_reference_stores_the_peers_key_in_the_own_stack(bundles: Path) -> None:
    given = DEPLOYED | {"handOver": HANDED}
    deployment = deploy("cn", bundles, {"handOver": "stack-reference"}, answering(given, ["handOver"]))
    version = deployment.one(VERSION)
    assert version.inputs["secretString"] == HANDED
    assert deployment.provider_of(version).inputs["region"] == "cn-north-1"
    assert not [r for r in deployment.resources if r.name.startswith("dth-dual-global")]
    assert json.loads(deployment.outputs["handOver"])["user_id"] == "AIDA111122223333USER"
    everything = [deployment.raw_outputs, *(r.raw for r in deployment.resources)]
    assert not [t for raw in everything for t in in_clear(raw) if KEY_SECRET in t]


def test_the_secret_gets_no_version_before_the_peers_key_arrives(bundles: Path) -> None:
    assert not deploy("cn", bundles, {"handOver": "stack-reference"}).of(VERSION)
    assert not deploy("cn", bundles, {"handOver": "config"}).of(VERSION)


@pytest.mark.parametrize("arrived", [{}, "", "[secret]", '{"access_key_id": "x"}'])
def test_a_key_that_cannot_be_decrypted_is_refused(bundles: Path, arrived: Any) -> None:
    with pytest.raises(Exception, match="can't be decrypted here; give both stacks one secrets provider"):
        deploy("cn", bundles, {"handOver": "stack-reference"}, answering(DEPLOYED | {"handOver": arrived}))


def test_a_hand_over_by_config_stores_the_given_key(bundles: Path) -> None:
    deployment = deploy("cn", bundles, {"handOver": "config", "peerCredential": HANDED})
    assert deployment.one(VERSION).inputs["secretString"] == HANDED
    with pytest.raises(Exception, match="peerCredential: is not a hand-over; set it with --secret") as caught:
        deploy("cn", bundles, {"handOver": "config", "peerCredential": "some-secret-text"})
    assert "some-secret-text" not in str(caught.value)


def test_stacks_with_different_identity_kinds_are_refused(bundles: Path) -> None:
    """A stack of an earlier version has no such output; its peer is a user."""
    for ours, theirs in (({}, "role"), (by_role(), "user"), (by_role(), None)):
        facts = FACTS | ({"peerIdentity": theirs} if theirs else {})
        with pytest.raises(pulumi.RunError) as refused:
            deploy("cn", bundles, ours, call=answering({**DEPLOYED, "global": facts}))
        own = ours.get("peerIdentity", "user")
        text = f"peerIdentity='{own}': stack organization/dualsync/global deployed {theirs or 'user'}; give both stacks"
        assert str(refused.value).startswith(text)
    same = deploy("cn", bundles, by_role(), call=answering({**DEPLOYED, "global": FACTS | {"peerIdentity": "role"}}))
    assert same.outputs["peer"]["deployed"]


ROLE = json.dumps({"role_arn": "arn:aws:iam::444455556666:role/dth-dual-global-peer", "user_id": "AROAPEER"})


@pytest.mark.parametrize(
    ("changes", "credential", "problem"),
    [
        ({}, ROLE, "peerCredential: hands over a role, and peerIdentity is user; give both stacks the same"),
        (by_role(), HANDED, "peerCredential: hands over a user, and peerIdentity is role; give both stacks the same"),
        (by_role(), '{"role_arn": ""}', "peerCredential: is not a hand-over; set it with --secret"),
    ],
)
def test_a_hand_over_of_the_other_kind_is_refused(
    bundles: Path, changes: dict[str, Any], credential: str, problem: str
) -> None:
    given = {**changes, "handOver": "config", "peerStack": "", "peerCredential": credential}
    with pytest.raises(pulumi.RunError, match=re.escape(problem)):
        deploy("cn", bundles, given)


def test_a_role_is_handed_over_by_config(bundles: Path) -> None:
    given = {**by_role(), "handOver": "config", "peerStack": "", "peerCredential": ROLE}
    deployment = deploy("cn", bundles, given)
    version = deployment.one(VERSION)
    assert version.inputs["secretString"] == ROLE
    assert deployment.provider_of(version).inputs["region"] == "cn-north-1"
    assert set(json.loads(deployment.outputs["handOver"])) == {"role_arn", "user_id", "bucket", "region"}


@pytest.mark.parametrize(
    ("config", "theirs", "warning"),
    [
        ({}, {"DUALSYNC_CONFLICT_POLICY": "prefer-cn"}, "conflictPolicy='newest': stack {} deployed 'prefer-cn'"),
        ({"keepLoser": True}, {"DUALSYNC_KEEP_LOSER": "false"}, "keepLoser='true': stack {} deployed 'false'"),
        ({}, {"DUALSYNC_FIRST_CONTACT": "size"}, "firstContact='checksum': stack {} deployed 'size'"),
        (
            {"onLifecycleExpiry": "propagate"},
            {"DUALSYNC_ON_LIFECYCLE_EXPIRY": "ignore"},
            "onLifecycleExpiry='propagate': stack {} deployed 'ignore'",
        ),
        ({}, {"DUALSYNC_CONFLICT_POLICY": "newest", "DUALSYNC_LOCAL_PREFIX": "other/"}, None),
        ({"keepLoser": True}, {}, None),
    ],
)
def test_rules_that_differ_between_the_stacks_are_a_warning(
    bundles: Path, config: dict[str, Any], theirs: dict[str, str], warning: str | None
) -> None:
    deployed = deploy("cn", bundles, config, answering(DEPLOYED | {"global": FACTS | {"environment": theirs}}))
    found = [text for text in deployed.warnings if "decide differently" in text]
    assert [text.partition(", so ")[0] for text in found] == (
        [] if warning is None else [warning.format("organization/dualsync/global")]
    )


def test_a_deployed_stack_has_the_rules_that_are_compared(cn: Deployment) -> None:
    assert {variable(setting) for setting in SHARED_RULES.values()} <= set(cn.outputs["cn"]["environment"])
