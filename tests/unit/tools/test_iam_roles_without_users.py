"""Test the operators' roles for a pair without users: no right on users, and signing keys named by alias."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from dualsync.components.config import stack_config
from dualsync.components.config.model import PairModel
from dualsync.runtime.settings import SideName
from tests.unit.components.recorder import ISSUERS, by_role, config_of
from tools.iam_roles.actions import CHANGING, READING, actions
from tools.iam_roles.boundary import boundary
from tools.iam_roles.documents import roles
from tools.iam_roles.evaluator import Request, decide
from tools.iam_roles.recording import Call, Phase, Recorder

CN = SideName.CN
IAM = "arn:aws-cn:iam::111122223333:"
BOUNDARY = {"iam:PermissionsBoundary": f"{IAM}policy/dth-dual-cn-boundary"}
KEYS = "arn:aws-cn:kms:cn-north-1:111122223333:key/"


@pytest.fixture(scope="module")
def pair() -> PairModel:
    image = {"finderImage": config_of("cn")["dualsync:finderImage"]}
    config = by_role()
    return stack_config.pair_of({**config, "manages": ["cn", "global"], "cn": config["cn"] | image})


def deployment(pair: PairModel) -> Mapping[str, Any]:
    """Return the documents with the additional calls of such a pair."""
    recorder = Recorder(frozenset())
    for operation in ("CreateRole", "PutRolePolicy", "CreateOpenIDConnectProvider", "DeleteOpenIDConnectProvider"):
        recorder.calls[Phase.CHANGE].add(Call("cn", "iam", operation, stack="cn"))
    recorder.calls[Phase.REFRESH].add(Call("cn", "iam", "GetOpenIDConnectProvider", stack="cn"))
    recorder.calls[Phase.PREVIEW].add(Call("cn", "kms", "GetPublicKey", stack="cn"))
    return roles(recorder, pair, CN)


def granted(documents: Iterable[Mapping[str, Any]]) -> set[str]:
    return {a for d in documents for s in d["Statement"] if s["Effect"] == "Allow" for a in s["Action"]}


def test_the_deploy_role_may_create_provider_and_role_but_no_user(pair: PairModel) -> None:
    documents = deployment(pair)["deploy"]
    provider = f"{IAM}oidc-provider/{ISSUERS['global'].removeprefix('https://')}"
    create = "iam:CreateOpenIDConnectProvider"
    assert decide(documents, Request(create, provider, {})).allowed
    assert decide(documents, Request("iam:CreateRole", f"{IAM}role/dth-dual-cn-peer", BOUNDARY)).allowed
    assert not decide(documents, Request("iam:CreateRole", f"{IAM}role/dth-dual-cn-peer", {})).allowed
    for other in ("token.actions.githubusercontent.com", ISSUERS["cn"].removeprefix("https://"), "x"):
        assert not decide(documents, Request(create, f"{IAM}oidc-provider/{other}", {})).allowed
    assert not {a for a in granted(documents) if "User" in a.partition(":")[2] and a != "iam:ListGroupsForUser"}
    assert not {"iam:CreateAccessKey", "iam:CreatePolicy"} & granted(documents)


def test_a_pair_of_users_gets_no_right_on_providers(pair: PairModel) -> None:
    image = {"finderImage": config_of("cn")["dualsync:finderImage"]}
    sides = {side: json.loads(config_of("cn")[f"dualsync:{side}"]) for side in ("cn", "global")}
    users = stack_config.pair_of({**sides, "manages": ["cn", "global"], "cn": sides["cn"] | image})
    found = roles(Recorder(frozenset()), users, CN)["deploy"]
    assert not {a for a in granted(found) if "OpenIDConnect" in a}
    assert not {"kms:Sign", "kms:GenerateMac"} & granted([boundary(users, CN)])


def test_the_preview_reads_the_public_key_of_the_pairs_keys_only(pair: PairModel) -> None:
    documents = deployment(pair)["preview"]
    tagged = {"aws:ResourceTag/dualsync:pair": "dth-dual", "aws:ResourceTag/dualsync:side": "cn"}
    assert decide(documents, Request("kms:GetPublicKey", f"{KEYS}1", tagged)).allowed
    assert not decide(documents, Request("kms:GetPublicKey", f"{KEYS}1", {})).allowed


def test_the_boundary_names_the_keys_by_alias(pair: PairModel) -> None:
    """A tag is not enough, because the deploy role may tag any key at its creation."""
    document = [boundary(pair, CN)]
    for action, part, condition in (
        ("kms:Sign", "token-key", {"kms:SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}),
        ("kms:GenerateMac", "message-key", {"kms:MacAlgorithm": "HMAC_SHA_256"}),
    ):
        alias = {"kms:ResourceAliases": (f"alias/dth-dual-cn-{part}",)}
        assert decide(document, Request(action, f"{KEYS}1", {**condition, **alias})).allowed
        tagged = {"aws:ResourceTag/dualsync:pair": "dth-dual"}
        assert not decide(document, Request(action, f"{KEYS}1", {**condition, **tagged})).allowed
        other = {"kms:ResourceAliases": ("alias/another-team",)}
        assert not decide(document, Request(action, f"{KEYS}1", {**condition, **other})).allowed


def test_the_additional_calls_are_actions_that_exist() -> None:
    assert {a for a in actions("iam", CHANGING["iam"]) if "OpenIDConnect" in a}
    assert not {a for a in actions("iam", READING["iam"]) if "OpenIDConnect" in a}
