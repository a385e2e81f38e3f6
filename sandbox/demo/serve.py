"""`make sandbox`: deploys both stacks, leaves them running, and describes their use for operators and programs."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.steps import Steps
from sandbox.environment.environment import ESTIMATED_RESOURCES, Stage
from sandbox.environment.processes import ROOT

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": "30"}
"""Settings of the runtime (variables): shorter delays than the deployed ones."""

DESCRIPTION = ROOT / ".sandbox" / "sandbox.json"
"""File with the description for programs while a sandbox runs."""

PAIR = "pair.json"
"""Name of the pair file, which is written beside the description."""

CHECK_SECONDS = 1.0
"""Interval at which ended workers are restarted."""


def describe(stage: Stage, pair: Path) -> dict[str, Any]:
    """Describe the sandbox for programs: endpoint, environment, and per side its account, bucket, queue and ledger."""
    sides = {}
    for side in SideName:
        account, outputs = ACCOUNTS[side], stage.fleet.outputs[side]
        sides[str(side)] = {
            "accountId": account.account_id,
            "partition": account.partition,
            "region": account.region,
            "profile": account.profile,
            "accessKeyId": account.access_key_id,
            "secretAccessKey": account.secret_access_key,
            "bucket": stage.buckets[side],
            "queueUrl": outputs["queueUrl"],
            "deadLetterQueueUrl": outputs["deadLetterQueueUrl"],
            "ledgerTable": outputs["ledgerTable"],
            "userId": outputs["userId"],
            "workerLog": str(stage.workspace.log(f"worker-{side}")),
            "outputs": outputs,
        }
    return {
        "endpoint": stage.cloud.endpoint,
        "environment": stage.workspace.environment,
        "folder": str(stage.workspace.folder),
        "pair": str(pair),
        "sides": sides,
    }


def pair_variable() -> str:
    """Return the environment variable from which the command line reads the pair file."""
    import typer.main

    from dualsync.runtime.commands.app import app

    (option,) = (p for p in typer.main.get_command(app).params if p.name == "pair")
    names = option.envvar
    assert names, "the option --pair has an environment variable"
    return names if isinstance(names, str) else names[0]


def export_lines(environment: Mapping[str, str], pair: Path) -> list[str]:
    """Return the shell commands after which `aws`, boto3 and `dualsync` use this sandbox."""
    variables = {**environment, pair_variable(): str(pair.resolve())}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    commands = Path(sys.executable).parent
    return [*lines, f"export PATH={shlex.quote(str(commands))}:$PATH"]


def explain(console: Console, stage: Stage, file: Path, pair: Path) -> None:
    """Print how to use the sandbox in a shell."""
    here, there = (ACCOUNTS[side] for side in SideName)
    a, b = (stage.buckets[side] for side in SideName)
    console.print()
    console.print("[bold]The sandbox is running.[/] In another shell:")
    lines = [
        "",
        *(f"  {line}" for line in export_lines(stage.workspace.environment, pair)),
        "",
        "Copy a file to one side; it arrives on the other within seconds:",
        "",
        f"  aws --profile {here.profile} s3 cp README.md s3://{a}/hello.md",
        f"  aws --profile {there.profile} s3 ls s3://{b}/",
        "",
        "The same with boto3:",
        "",
        f'  boto3.Session(profile_name="{there.profile}").client("s3").list_objects_v2(Bucket="{b}")',
        "",
        "The operator's commands:",
        "",
        "  dualsync status",
        "  dualsync explain hello.md",
        "",
        f"Endpoint      {stage.cloud.endpoint} (all services of both accounts)",
        f"Worker logs   {stage.workspace.folder}/logs/worker-*.log",
        f"For programs  {file}",
        "",
        "Ctrl-C ends all of it.",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def serve(port: int, file: Path = DESCRIPTION) -> int:
    """Deploy, describe, wait for Ctrl-C, and return the exit code.

    A worker that ends is started again, as its Auto Scaling group does. Raises `DeployError`, `CloudError` and
    `ProcessFailedError`.
    """
    console = Console(highlight=False)
    steps = Steps(console)
    with steps.run("local cloud emulator"):
        stage = Stage.open("serve", port, SETTINGS)
    with stage:
        with steps.run("two buckets, bundles of the runtime"):
            stage.make_buckets()
            stage.build_bundles()
        with steps.run("both stacks deployed", 2 * ESTIMATED_RESOURCES, "resources") as report:
            stage.deploy_both(report)
        with steps.run("workers running"):
            for side in SideName:
                stage.fleet.start(side)
            stage.fleet.wait_until_running()
        _wait(console, stage, file)
    return 0


def _wait(console: Console, stage: Stage, file: Path) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    pair = stage.write_pair(file.with_name(PAIR))
    file.touch(mode=0o600)
    file.write_text(json.dumps(describe(stage, pair), indent=1))
    explain(console, stage, file, pair)
    try:
        while not stop.wait(CHECK_SECONDS):
            for side in stage.fleet.ended():
                console.print(f"worker {side} ended; starting another one")
                stage.fleet.log_exit(side)
                stage.fleet.start(side)
    finally:
        file.unlink(missing_ok=True)
        pair.unlink(missing_ok=True)
    console.print("ending")
