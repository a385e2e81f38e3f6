"""Test state without Pulumi Cloud: the bucket and KMS key in one partition also hold the other partition's stack."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import GLOBAL
from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.stage import EngineStage

PAGE = (ROOT / "docs" / "pipelines.md").read_text()


def documented_backend() -> str:
    """Return the state's address as docs/pipelines.md gives it."""
    found = re.search(r"^export PULUMI_BACKEND_URL='([^']+)'$", PAGE, re.MULTILINE)
    assert found
    return found[1]


def documented_init(stack: str) -> list[str]:
    """Return the arguments of the page's command that creates a stack."""
    found = re.search(rf"^pulumi (stack init {stack} .*)$", PAGE, re.MULTILINE)
    assert found
    return shlex.split(found[1])


def at_the_emulators_profile(address: str) -> str:
    """Return a documented address with the local cloud's profile instead of the documented one."""
    return address.replace("dualsync-global", GLOBAL.profile)


@pytest.mark.parametrize("stack", ["cn", "global"])
def test_every_documented_address_names_its_profile(stack: str) -> None:
    """A pipeline has named profiles only: without one, the KMS client finds no credentials."""
    for address in (documented_backend(), documented_init(stack)[-1]):
        assert re.search(r"[?&]profile=dualsync-global(&|$)", address), address


@dataclass
class State:
    """The state's bucket and key in global's account, and an engine without another backend or a passphrase."""

    stage: EngineStage
    bucket: str = "my-state"
    alias: str = "alias/my-state"

    @property
    def at_the_emulator(self) -> str:
        return f"&endpoint={self.stage.stage.cloud.endpoint}"

    def run(self, *arguments: str) -> str:
        environment = self.stage.pulumi.environment()
        del environment["PULUMI_CONFIG_PASSPHRASE"]
        environment["PULUMI_BACKEND_URL"] = (
            at_the_emulators_profile(documented_backend()) + f"{self.at_the_emulator}&s3ForcePathStyle=true"
        )
        done = subprocess.run(
            [
                "pulumi",
                "-C",
                str(self.stage.pulumi.checkout.folder),
                "--non-interactive",
                "--color",
                "never",
                *arguments,
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def client(self, service: str) -> Any:
        return self.stage.stage.cloud.client(SideName.GLOBAL, service)


@pytest.fixture
def state() -> Iterator[State]:
    with EngineStage.open("state") as stage:
        made = State(stage)
        made.client("s3").create_bucket(
            Bucket=made.bucket, CreateBucketConfiguration={"LocationConstraint": GLOBAL.region}
        )
        key = made.client("kms").create_key()["KeyMetadata"]["KeyId"]
        made.client("kms").create_alias(AliasName=made.alias, TargetKeyId=key)
        yield made


@pytest.mark.engine(long=True)
def test_one_bucket_and_one_key_in_one_partition_serve_a_stack_in_the_other(state: State) -> None:
    state.stage.configure("cn")
    *command, address = documented_init("cn")
    state.run(*command, at_the_emulators_profile(address) + state.at_the_emulator)
    state.run("up", "--stack", "cn", "--yes", "--skip-preview", "--suppress-progress", "--policy-pack", "policy")
    # The stack's file names the key and holds a data key that only this key decrypts.
    file = yaml.safe_load(state.stage.pulumi.checkout.stack_file("cn").read_text())
    assert file["secretsprovider"].startswith(f"awskms://{state.alias}?")
    assert file["encryptedkey"]
    objects = state.client("s3").list_objects_v2(Bucket=state.bucket)["Contents"]
    assert ".pulumi/stacks/dualsync/cn.json" in {o["Key"] for o in objects}
    keys = {k.encode() for k in state.stage.current_keys()}
    assert keys
    for one in objects:
        text = state.client("s3").get_object(Bucket=state.bucket, Key=one["Key"])["Body"].read()
        assert not [k for k in keys if k in text], one["Key"]
    assert set(json.loads(state.run("stack", "output", "--stack", "cn", "--json", "userIds"))) == {"cn"}
    state.run("preview", "--stack", "cn", "--expect-no-changes", "--suppress-progress")
