"""Test the real program deployed into the local cloud emulator, with its runtime running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.components.config.images import STOCK_DIGEST
from dualsync.runtime.settings import Settings, SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from sandbox.demo.serve import export_lines
from sandbox.environment.deploy import DeployError, deploy
from sandbox.environment.deployed import boot_environment, finder_job, worker_job
from sandbox.environment.environment import ESTIMATED_RESOURCES, Stage
from sandbox.environment.processes import ROOT
from sandbox.environment.workers import ProcessFailedError
from tests.integration.sandbox.test_processes import is_running

CN, GLOBAL = SideName.CN, SideName.GLOBAL


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Deploy both stacks, `global` before `cn`, because the order does not matter, and start two workers."""
    with Stage.open("test", settings={"DUALSYNC_RETRY_DELAY_SECONDS": "1"}) as opened:
        opened.make_buckets()
        opened.build_bundles()
        opened.deploy(GLOBAL)
        opened.deploy(CN)
        for side in SideName:
            opened.fleet.start(side)
        opened.fleet.wait_until_running()
        yield opened


def outputs(stage: Stage, stack: str) -> dict[str, Any]:
    state = stage.workspace.stack(stack)
    assert state is not None
    found: dict[str, Any] = state["outputs"]
    return found


def test_one_deployment_of_each_stack_in_either_order_connects_the_guard(stage: Stage) -> None:
    first, second = outputs(stage, "global"), outputs(stage, "cn")
    assert first["peer"]["deployed"] is False
    assert second["peer"]["userIds"] == {"global": first["userIds"]["global"]}
    for side in SideName:
        secrets = stage.cloud.client(side, "secretsmanager")
        secret = json.loads(secrets.get_secret_value(SecretId=outputs(stage, side)[side]["secretName"])["SecretString"])
        peer = outputs(stage, side.peer)[side.peer]
        assert secret["user_id"] == peer["userId"]
        assert secret["access_key_id"] == peer["keyId"]


def test_no_secret_is_among_the_outputs(stage: Stage) -> None:
    for side in SideName:
        value = stage.cloud.client(side, "secretsmanager").get_secret_value(
            SecretId=outputs(stage, side)[side]["secretName"]
        )["SecretString"]
        secret = json.loads(value)["secret_access_key"]
        assert secret not in json.dumps([outputs(stage, s) for s in SideName])


@pytest.mark.parametrize("side", SideName)
def test_instance_and_task_get_all_settings_of_the_runtime(stage: Stage, side: SideName) -> None:
    worker = worker_job(stage.cloud, side, stage.fleet.outputs[side], "i-0123")
    finder = finder_job(stage.cloud, side, stage.fleet.outputs[side])
    assert Settings.from_environment(worker.environment) == Settings.from_environment(finder.environment)
    assert Settings.from_environment(worker.environment).own_user_ids == (stage.fleet.outputs[side]["userId"],)
    assert worker.role_arn != finder.role_arn
    assert worker.role_arn.startswith(f"arn:{ACCOUNTS[side].partition}:iam::{ACCOUNTS[side].account_id}:role/")
    assert not set(worker.credentials.values()) & set(repr(worker).split("'"))


def test_a_boot_script_without_an_environment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"worker\.env"):
        boot_environment("#!/bin/bash\n")
    with pytest.raises(ValueError, match="not a line"):
        boot_environment("cat >/etc/dualsync/worker.env <<'ENVIRONMENT'\nA=b\nENVIRONMENT\n")
    quoted = 'cat >/etc/dualsync/worker.env <<\'ENVIRONMENT\'\nA="x\\"\\$y"\nENVIRONMENT\n'
    assert boot_environment(quoted) == {"A": 'x"$y'}


@pytest.mark.parametrize("side", SideName)
def test_an_object_its_edit_and_its_deletion_are_copied(stage: Stage, side: SideName) -> None:
    here, there = stage.s3(side), stage.s3(side.peer)
    key = f"travels/from {side} + ü.txt"

    def arrived() -> bytes | None:
        try:
            return bytes(there.get_object(Bucket=stage.buckets[side.peer], Key=key)["Body"].read())
        except ClientError:
            return None

    for content in (b"first", b"second"):
        here.put_object(Bucket=stage.buckets[side], Key=key, Body=content, Metadata={"m": "1"})
        assert wait_for(lambda content=content: arrived() == content, 30)  # type: ignore[misc]
    assert there.head_object(Bucket=stage.buckets[side.peer], Key=key)["Metadata"]["m"] == "1"
    here.delete_object(Bucket=stage.buckets[side], Key=key)
    assert wait_for(lambda: arrived() is None, 30)
    assert wait_for(lambda: not any(sum(stage.backlog(s)) for s in SideName), 30)


def test_another_teams_notifications_on_the_bucket_are_kept(stage: Stage) -> None:
    assert stage.foreign_notification_is_there()


def test_a_refused_config_is_reported_in_one_line(stage: Stage) -> None:
    with pytest.raises(DeployError) as caught:
        deploy("cn", stage.workspace, stage.cloud.endpoint, changes={"minCapacity": 30})
    text = str(caught.value)
    assert "\n" not in text
    assert "minCapacity" in text
    assert "30" in text


def test_swapped_profiles_are_refused_before_anything_is_made(stage: Stage) -> None:
    state = stage.workspace.stack("cn")
    assert state is not None
    wrong = {**_side_config(stage, CN), "profile": ACCOUNTS[GLOBAL].profile}
    with pytest.raises(DeployError, match="444455556666"):
        deploy("cn", stage.workspace, stage.cloud.endpoint, changes={"cn": wrong})
    assert stage.workspace.stack("cn") == state


def _side_config(stage: Stage, side: SideName) -> dict[str, Any]:
    account = ACCOUNTS[side]
    return {
        "accountId": account.account_id,
        "region": account.region,
        "bucket": stage.buckets[side],
        "profile": account.profile,
        "endpoint": stage.cloud.endpoint,
        "finderImage": f"{account.account_id}.dkr.ecr.{account.region}.{account.dns_suffix}/python@{STOCK_DIGEST}",
    }


def test_a_finder_that_fails_logs_the_reason(stage: Stage) -> None:
    with pytest.raises(ProcessFailedError, match="DUALSYNC_LOCAL_BUCKET"):
        stage.fleet.find(CN, {"DUALSYNC_LOCAL_BUCKET": ""})


def test_the_pair_file_equals_the_one_that_the_commands_save(stage: Stage, tmp_path: Path) -> None:
    file, again = stage.write_pair(), tmp_path / "again.json"
    command = [sys.executable, "-m", "dualsync.runtime", "--pair", str(file), "stacks", "--save", str(again), "--json"]
    subprocess.run(command, env={**os.environ, **stage.workspace.environment}, check=True, capture_output=True)
    written, saved = json.loads(file.read_text()), json.loads(again.read_text())
    assert written["cn"]["environment"]["DUALSYNC_RETRY_DELAY_SECONDS"] == "1"
    for side in SideName:
        assert saved[side]["profile"] == ACCOUNTS[side].profile
        facts = {name: value for name, value in saved[side].items() if name != "environment"}
        assert facts.items() <= {n: v for n, v in written[side].items() if isinstance(v, str)}.items()
        assert written[side]["environment"].items() <= saved[side]["environment"].items()


def test_the_served_sandbox_is_described_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    command = [sys.executable, "-m", "sandbox", "serve", "--file", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as serving:
        try:
            assert wait_for(lambda: file.exists() or serving.poll() is not None, 120)
            assert serving.poll() is None
            assert wait_for(lambda: bool(file.read_text()), 10)
            described = json.loads(file.read_text())
            children = [int(p) for p in Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()]
            assert len(children) == 3
            program = (
                "import boto3, json, sys; d = json.loads(sys.argv[1]); "
                "s = boto3.Session(profile_name=d['profile']); "
                "print(s.client('sts').get_caller_identity()['Account'], "
                "s.client('s3').list_objects_v2(Bucket=d['bucket'])['KeyCount'])"
            )
            for side in described["sides"].values():
                environment = {**os.environ, **described["environment"]}
                run = [sys.executable, "-c", program, json.dumps(side)]
                out = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
                assert out.split() == [side["accountId"], "0"]
            environment = {**os.environ, **described["environment"]}
            asked = [sys.executable, "-m", "dualsync.runtime", "--pair", described["pair"], "status", "--json"]

            def status() -> dict[str, Any]:
                out = subprocess.run(asked, env=environment, capture_output=True, text=True).stdout
                answer: dict[str, Any] = json.loads(out)
                return answer

            def running() -> bool:
                now = status()
                return bool(now["healthy"]) and {d["state"] for d in now["directions"]} == {"RUNNING"}

            assert wait_for(running, 60), status()
            assert _typed("dualsync status --json", described, Path(described["pair"])) in (0, 3)
        finally:
            serving.send_signal(signal.SIGINT)
            output, _ = serving.communicate(timeout=60)
    assert serving.returncode == 0, output
    assert all(name in output for name in ("aws --profile", "boto3", str(file), "dualsync status"))
    assert "starting" not in output
    assert not file.exists()
    assert not Path(described["pair"]).exists()
    assert not Path(described["folder"]).exists()
    assert wait_for(lambda: not any(is_running(child) for child in children), 10)


def _typed(command: str, described: dict[str, Any], pair: Path) -> int:
    """Type the printed exports and a command into a shell that has no other variables; return its exit code."""
    lines = [*export_lines(described["environment"], pair), command]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_", "DUALSYNC"))}
    return subprocess.run(["sh", "-c", "\n".join(lines)], env=clean, capture_output=True, check=False).returncode


def test_progress_bars_have_the_size_of_a_stack(stage: Stage) -> None:
    for side in SideName:
        state = stage.workspace.stack(str(side))
        assert state is not None
        assert abs(len(state["resources"]) - ESTIMATED_RESOURCES) <= ESTIMATED_RESOURCES // 10
