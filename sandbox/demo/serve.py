"""`make sandbox`: the deployment left running, with what a person or a program needs to use it."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from rich.console import Console

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.environment import Stage
from sandbox.environment.processes import ROOT

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": "30"}
DESCRIPTION = ROOT / ".sandbox" / "sandbox.json"
"""Where the description for programs is written while a sandbox runs."""

PAIR = "pair.json"
"""Beside it: where the operator's commands find this pair."""

CHECK_SECONDS = 1.0


def describe(stage: Stage, pair: Path) -> dict[str, Any]:
    """How to reach everything, as data."""
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


def explain(console: Console, stage: Stage, file: Path, pair: Path) -> None:
    """The same for people."""
    here, there = (ACCOUNTS[side] for side in SideName)
    a, b = (stage.buckets[side] for side in SideName)
    exports = " ".join(f"{k}={shlex.quote(v)}" for k, v in stage.workspace.environment.items())
    console.print()
    console.print("[bold]The sandbox is running.[/] Put a file on one side and watch it arrive on the other:")
    lines = [
        "",
        f"  export {exports}",
        f"  aws --profile {here.profile} s3 cp README.md s3://{a}/hello.md",
        f"  aws --profile {there.profile} s3 ls s3://{b}/",
        "",
        "With boto3, the same exports, then:",
        "",
        f'  boto3.Session(profile_name="{there.profile}").client("s3").list_objects_v2(Bucket="{b}")',
        "",
        "With the operator's commands, the same exports, then (`status` first; nearly all the others work, too):",
        "",
        f"  {_short(Path(sys.executable).parent / 'dualsync')} --pair {_short(pair)} status",
        f"  {_short(Path(sys.executable).parent / 'dualsync')} --pair {_short(pair)} explain hello.md",
        "",
        f"Endpoint      {stage.cloud.endpoint} (all services of both accounts)",
        f"Worker logs   {stage.workspace.folder}/logs/worker-*.log",
        f"For programs  {file}",
        "",
        "Ctrl-C ends all of it.",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _short(path: Path) -> str:
    """As it is typed in the project's folder, or in full elsewhere."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def serve(port: int, file: Path = DESCRIPTION) -> int:
    """Deploy, describe, wait for Ctrl-C; the exit code. A worker that ends is started again, as a group would."""
    console = Console(highlight=False)
    with console.status("starting"), Stage.open("serve", port, SETTINGS) as stage:
        console.print(f"stand-in cloud at {stage.cloud.endpoint}")
        stage.make_buckets()
        stage.build_bundles()
        for side in SideName:
            stage.deploy(side)
            console.print(f"stack {side} deployed")
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
                console.print(f"worker {side} ended; another takes its place")
                stage.fleet.mourn(side)
                stage.fleet.start(side)
    finally:
        file.unlink(missing_ok=True)
        pair.unlink(missing_ok=True)
    console.print("ending")
