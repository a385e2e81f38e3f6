"""Test the resources of a pair whose sides use roles instead of users: no user, no key, exact trust policies."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.federation.issuer import documents, rsa_numbers
from tests.unit.components.conftest import fake_bundles
from tests.unit.components.recorder import (
    EXPONENT,
    ISSUERS,
    MODULUS,
    PUBLIC_KEY,
    Deployment,
    Registered,
    by_role,
    deploy,
    in_clear,
    is_secret,
)

CN, GLOBAL = "111122223333", "444455556666"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
OF_USERS = {
    "aws:iam/user:User",
    "aws:iam/accessKey:AccessKey",
    "aws:iam/policy:Policy",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
}


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deploy("cn", fake_bundles(tmp_path_factory.mktemp("bundles")), by_role())


def kinds(deployment: Deployment) -> dict[str, int]:
    return {kind: len(deployment.of(kind)) for kind in sorted({r.type for r in deployment.resources})}


def policy(resource: Registered, path: str = "policy") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(resource.inputs[path])
    return document


def test_only_the_parts_that_replace_the_key_differ_from_a_pair_of_users(roles: Deployment, cn: Deployment) -> None:
    """All registered resources are compared, not only those named in this module."""
    before, after = kinds(cn), kinds(roles)
    differ = {k: after.get(k, 0) - before.get(k, 0) for k in before | after if after.get(k, 0) != before.get(k, 0)}
    assert differ == {
        **dict.fromkeys(OF_USERS, -1),
        "dualsync:index:Identity": -1,
        "dualsync:index:PeerRole": 1,
        "dualsync:index:Issuer": 1,
        PROVIDER: 1,
        ROLE: 1,
        ROLE_POLICY: 1,
        KEY: 2,
        ALIAS: 2,
    }
    same = {r.name for r in cn.resources if r.type not in OF_USERS} - {"dth-dual-cn-identity"}
    assert same <= {r.name for r in roles.resources}


def test_a_pair_of_users_registers_no_role_issuer_or_signing_key(cn: Deployment) -> None:
    assert not {"dualsync:index:PeerRole", "dualsync:index:Issuer", PROVIDER} & {r.type for r in cn.resources}
    assert not [call for call in cn.calls if "getPublicKey" in call[0]]
    facts = cn.outputs["cn"]
    assert (facts["peerIdentity"], facts["roleArn"], facts["issuer"]) == ("user", "", {})
    assert "kms:Sign" not in json.dumps([r.inputs for r in cn.resources])


def test_the_role_has_exactly_the_users_rights(roles: Deployment, cn: Deployment) -> None:
    own = policy(roles.one(ROLE_POLICY, "dth-dual-cn-peer-policy"))["Statement"]
    users = policy(cn.one("aws:iam/policy:Policy"))["Statement"]
    assert own == [s for s in users if s["Sid"] != "NoSessions"]


def test_the_role_trusts_the_peers_issuer_for_one_audience_and_one_subject(roles: Deployment) -> None:
    provider, role = roles.one(PROVIDER), roles.one(ROLE, "dth-dual-cn-peer")
    assert provider.inputs["url"] == ISSUERS["global"]
    assert provider.inputs["clientIdLists"] == ["dth-dual-cn"]
    assert "thumbprintLists" not in provider.inputs
    issuer = ISSUERS["global"].removeprefix("https://")
    assert policy(role, "assumeRolePolicy")["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws-cn:iam::{CN}:oidc-provider/{issuer}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{issuer}:aud": "dth-dual-cn", f"{issuer}:sub": "dth-dual-global"}},
        }
    ]
    assert role.inputs["maxSessionDuration"] == 3600
    assert roles.provider_of(role).inputs["region"] == roles.provider_of(provider).inputs["region"] == "cn-north-1"


def test_the_role_has_the_boundary_and_is_protected_with_the_pair(bundles: Path) -> None:
    boundary = f"arn:aws-cn:iam::{CN}:policy/dth-dual-cn-boundary"
    changes = by_role()
    changes["cn"] |= {"permissionsBoundary": boundary}
    role = deploy("cn", bundles, {**changes, "protect": True}).one(ROLE, "dth-dual-cn-peer")
    assert role.inputs["permissionsBoundary"] == boundary
    assert role.protect


def test_only_worker_and_finder_may_sign_with_the_keys_and_one_algorithm(roles: Deployment) -> None:
    wanted = [
        {
            "Sid": "SignTokens",
            "Effect": "Allow",
            "Action": ["kms:Sign"],
            "Resource": f"arn:aws-cn:kms:cn-north-1:{CN}:key/dth-dual-cn-token-key",
            "Condition": {"StringEquals": {"kms:SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}},
        },
        {
            "Sid": "SignMessages",
            "Effect": "Allow",
            "Action": ["kms:GenerateMac"],
            "Resource": f"arn:aws-cn:kms:cn-north-1:{CN}:key/dth-dual-cn-message-key",
            "Condition": {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}},
        },
    ]
    holders = {}
    for resource in roles.of(ROLE_POLICY):
        found = [s for s in policy(resource)["Statement"] if "kms:" in json.dumps(s)]
        if found:
            holders[resource.inputs["role"]] = found
    assert holders == {"dth-dual-cn-worker": wanted, "dth-dual-cn-finder-task": wanted}


def test_the_signing_keys_are_in_kms_and_their_policies_grant_no_signing(roles: Deployment) -> None:
    for name, usage in (
        ("dth-dual-cn-token-key", ("SIGN_VERIFY", "RSA_2048")),
        ("dth-dual-cn-message-key", ("GENERATE_VERIFY_MAC", "HMAC_256")),
    ):
        key = roles.one(KEY, name)
        assert (key.inputs["keyUsage"], key.inputs["customerMasterKeySpec"]) == usage
        assert [s["Sid"] for s in policy(key)["Statement"]] == ["Account", "Deployers"]
        assert "kms:Sign" not in json.dumps(policy(key)["Statement"][1])
        assert (key.replacement_trigger, key.delete_before_replace) == (1, False)
        assert roles.one(ALIAS, f"{name}-alias").inputs["name"] == f"alias/{name}"


def test_the_hand_over_names_the_role_and_holds_no_key(roles: Deployment) -> None:
    version = roles.one(VERSION)
    assert roles.provider_of(version).inputs["region"] == "us-west-2"
    assert json.loads(version.inputs["secretString"]) == {
        "role_arn": f"arn:aws-cn:iam::{CN}:role/dth-dual-cn-peer",
        "user_id": f"AROA{CN}DTH-DUAL-CN-PEER",
        "bucket": "dth-dual-dev-cn-north-1",
        "region": "cn-north-1",
    }
    assert is_secret(version.raw["secretString"])


def test_worker_and_finder_settings_have_role_issuer_and_keys(roles: Deployment) -> None:
    (definition,) = roles.of("aws:ecs/taskDefinition:TaskDefinition")
    (container,) = json.loads(definition.inputs["containerDefinitions"])
    environment = {e["name"]: e["value"] for e in container["environment"]}
    assert environment["DUALSYNC_OWN_USER_IDS"] == roles.outputs["userIds"]["cn"] == f"AROA{CN}DTH-DUAL-CN-PEER"
    assert environment["DUALSYNC_TOKEN_ISSUER"] == ISSUERS["cn"]
    assert environment["DUALSYNC_TOKEN_KEY"] == f"arn:aws-cn:kms:cn-north-1:{CN}:key/dth-dual-cn-token-key"
    assert environment["DUALSYNC_MESSAGE_KEY"] == f"arn:aws-cn:kms:cn-north-1:{CN}:key/dth-dual-cn-message-key"


def test_the_outputs_hold_the_documents_to_publish_and_no_secret(roles: Deployment) -> None:
    facts = roles.outputs["cn"]
    assert (facts["peerIdentity"], facts["keyId"], facts["userName"]) == ("role", "", "")
    assert facts["roleArn"] == f"arn:aws-cn:iam::{CN}:role/dth-dual-cn-peer"
    discovery = json.loads(facts["issuer"][f"{ISSUERS['cn']}/.well-known/openid-configuration"])
    assert discovery["issuer"] == ISSUERS["cn"]
    (key,) = json.loads(facts["issuer"][discovery["jwks_uri"]])["keys"]
    assert (key["kty"], key["alg"], key["use"], key["kid"]) == ("RSA", "RS256", "sig", "dth-dual-cn-token-key")
    assert not [text for text in in_clear(roles.raw_outputs) if "secret_access_key" in text]


def test_a_raised_key_version_renews_both_keys(bundles: Path) -> None:
    raised = deploy("cn", bundles, {**by_role(), "keyVersion": 2})
    names = ("dth-dual-cn-token-key", "dth-dual-cn-message-key")
    assert [raised.one(KEY, name).replacement_trigger for name in names] == [2, 2]


def test_a_public_key_is_decoded_from_kms() -> None:
    found = documents("https://id.example.com", "arn:aws:kms:x:1:key/abc", PUBLIC_KEY)
    assert json.loads(found["https://id.example.com/keys.json"])["keys"][0]["kid"] == "abc"
    assert rsa_numbers(base64.b64decode(PUBLIC_KEY)) == (MODULUS, EXPONENT)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x31\x00", b"\x30\x82\x01\x22\x30\x0d", b"\x30\x05abcde"])
def test_another_key_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="the public key"):
        rsa_numbers(der)
