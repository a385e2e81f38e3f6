"""Test a deployed pair without long-lived keys: it syncs, and wrong tokens are refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.aws.credentials import Credential, FixedCredentials, NoCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.kms import KmsKeys
from dualsync.runtime.aws.web_identity import Claims, RoleCredentials, sign_token
from dualsync.runtime.errors import CredentialRejectedError
from dualsync.runtime.settings import Settings, SideName, token_audience, token_subject
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from sandbox.environment.deploy import DeployError, deploy
from sandbox.environment.deployed import finder_job, worker_job
from sandbox.environment.environment import Stage
from sandbox.environment.stack_config import config_of

CN, GLOBAL = SideName.CN, SideName.GLOBAL
ISSUERS = {side: f"https://id.example.com/dth-dual/{side}" for side in SideName}


def role_config(stage: Stage) -> dict[str, Any]:
    """Return the config of a pair whose sides use roles for each other."""
    config = config_of("cn", stage.cloud.endpoint, stage.workspace.folder / "bundles")
    sides = {side: json.loads(config[f"dualsync:{side}"]) | {"issuer": ISSUERS[side]} for side in SideName}
    return {"peerIdentity": "role", **{str(side): value for side, value in sides.items()}}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage.open("roles", settings={"DUALSYNC_RETRY_DELAY_SECONDS": "1"}) as opened:
        opened.make_buckets()
        opened.build_bundles()
        for side in (GLOBAL, CN):
            opened.deploy(side, config=role_config(opened))
        for side in SideName:
            opened.fleet.start(side)
        opened.fleet.wait_until_running()
        yield opened


def handed_over(stage: Stage, side: SideName) -> dict[str, str]:
    """Return the content of the secret in this side's account."""
    client = stage.cloud.client(side, "secretsmanager")
    text = client.get_secret_value(SecretId=stage.fleet.outputs[side]["secretName"])["SecretString"]
    found: dict[str, str] = json.loads(text)
    return found


def test_the_hand_over_has_no_long_lived_key(stage: Stage) -> None:
    for side in SideName:
        peer = stage.fleet.outputs[side.peer]
        assert handed_over(stage, side) == {
            "role_arn": peer["roleArn"],
            "user_id": peer["userId"],
            "bucket": stage.buckets[side.peer],
            "region": ACCOUNTS[side.peer].region,
        }
        assert peer["userId"].startswith("AROA")
        assert (peer["keyId"], peer["userName"]) == ("", "")
        names = {user["UserName"] for user in stage.cloud.client(side, "iam").list_users()["Users"]}
        assert not {name for name in names if name.startswith("dth-dual")}


@pytest.mark.parametrize("side", SideName)
def test_an_object_its_edit_and_its_deletion_are_copied_once(stage: Stage, side: SideName) -> None:
    here, there = stage.s3(side), stage.s3(side.peer)
    key = f"travels/from {side} + ü.txt"

    def shown(client: Any, bucket: str) -> tuple[bytes, str] | None:
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        return bytes(answer["Body"].read()), str(answer["LastModified"])

    def arrived() -> tuple[bytes, str] | None:
        return shown(there, stage.buckets[side.peer])

    for content in (b"first", b"second"):
        here.put_object(Bucket=stage.buckets[side], Key=key, Body=content)
        before = shown(here, stage.buckets[side])
        assert wait_for(lambda content=content: (arrived() or (b"",))[0] == content, 30)  # type: ignore[misc]
        assert wait_for(lambda: not any(sum(stage.backlog(s)) for s in SideName), 30)
        # The replica's event names the role's session. It is an echo: nothing is copied back.
        assert shown(here, stage.buckets[side]) == before
    here.delete_object(Bucket=stage.buckets[side], Key=key)
    assert wait_for(lambda: arrived() is None, 30)
    assert wait_for(lambda: not any(sum(stage.backlog(s)) for s in SideName), 30)
    lines = stage.workspace.folder.rglob("*worker*")
    text = "\n".join(path.read_text(errors="replace") for path in lines if path.is_file())
    assert "Repeated transfer job!" in text


def test_the_finder_uses_the_same_role(stage: Stage) -> None:
    stage.find_both({})
    for side in SideName:
        worker = worker_job(stage.cloud, side, stage.fleet.outputs[side], "i-0123")
        finder = finder_job(stage.cloud, side, stage.fleet.outputs[side])
        assert Settings.from_environment(worker.environment) == Settings.from_environment(finder.environment)
        assert Settings.from_environment(worker.environment).own_user_ids == (stage.fleet.outputs[side]["userId"],)


Sign = Callable[[bytes], Awaitable[bytes]]


class Forger:
    """Attempts to get a session with forged tokens, with this side's issuer and with other keys."""

    def __init__(self, stage: Stage, side: SideName) -> None:
        account = ACCOUNTS[side]
        operator = FixedCredentials(Credential(account.access_key_id, account.secret_access_key))
        kms = Network(account.region, operator).client("kms", stage.cloud.endpoint)
        environment = stage.fleet.outputs[side]["environment"]
        self.keys = KmsKeys(kms, environment["DUALSYNC_TOKEN_KEY"], environment["DUALSYNC_MESSAGE_KEY"])
        other = stage.cloud.client(side, "kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
        self.others = KmsKeys(kms, other["KeyMetadata"]["Arn"], "")
        self.sts = Network(ACCOUNTS[side.peer].region, NoCredentials()).client("sts", stage.cloud.endpoint)
        self.role_arn = stage.fleet.outputs[side.peer]["roleArn"]
        self.right = Claims(
            issuer=ISSUERS[side],
            key_id=environment["DUALSYNC_TOKEN_KEY"].rpartition("/")[2],
            subject=token_subject("dth-dual", side),
            audience=token_audience("dth-dual", side.peer),
        )

    async def try_token(self, claims: Claims, sign: Sign, now: float, alter: Callable[[str], str] = str) -> Credential:
        async def make() -> str:
            return alter(await sign_token(claims, sign, now))

        try:
            return await RoleCredentials(self.sts, self.role_arn, "session", make).get()
        finally:
            self.sts.close()


WRONG: dict[str, Callable[[Claims], Claims]] = {
    "another audience": lambda c: replace(c, audience="sts.amazonaws.com"),
    "the own side as audience": lambda c: replace(c, audience=c.subject),
    "another subject": lambda c: replace(c, subject="another-pair-cn"),
    "the peer as subject": lambda c: replace(c, subject=c.audience),
    "an unknown key": lambda c: replace(c, key_id="11111111-2222-3333-4444-555555555555"),
    "an unknown issuer": lambda c: replace(c, issuer="https://id.example.com/another"),
    "the peer's issuer": lambda c: replace(c, issuer=ISSUERS[CN] if c.issuer == ISSUERS[GLOBAL] else ISSUERS[GLOBAL]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("side", SideName)
def test_a_token_with_other_claims_is_refused(stage: Stage, side: SideName, wrong: Callable[[Claims], Claims]) -> None:
    async def run() -> None:
        forger = Forger(stage, side)
        with pytest.raises(CredentialRejectedError, match=r"InvalidIdentityToken|AccessDenied"):
            await forger.try_token(wrong(forger.right), forger.keys.sign, time.time())

    asyncio.run(run())


def test_only_a_fresh_token_of_the_right_key_is_accepted(stage: Stage) -> None:
    async def run() -> None:
        now = time.time()
        found = await (good := Forger(stage, CN)).try_token(good.right, good.keys.sign, now)
        assert found.token
        forged = Forger(stage, CN)
        with pytest.raises(CredentialRejectedError, match="InvalidIdentityToken"):
            await forged.try_token(forged.right, forged.others.sign, now)
        late = Forger(stage, CN)
        with pytest.raises(CredentialRejectedError, match="ExpiredToken"):
            await late.try_token(late.right, late.keys.sign, now - 3600)
        unsigned = Forger(stage, CN)
        with pytest.raises(CredentialRejectedError, match="InvalidIdentityToken"):
            await unsigned.try_token(
                unsigned.right, unsigned.keys.sign, now, lambda text: text.rpartition(".")[0] + "."
            )

    asyncio.run(run())


def test_two_stacks_with_different_identities_are_refused_in_one_line(stage: Stage) -> None:
    with pytest.raises(DeployError) as caught:
        deploy("cn", stage.workspace, stage.cloud.endpoint)
    text = str(caught.value)
    assert "peerIdentity='user': stack organization/dualsync/global deployed role; give both stacks the same" in text
    assert "\n" not in text
