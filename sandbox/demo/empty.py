"""`python -m sandbox empty`: two empty accounts and a project folder whose stacks point at them, for `pulumi up`."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from pathlib import Path
from typing import Any

from rich.console import Console

from dualsync.runtime.settings import SideName
from sandbox.demo.steps import Steps
from sandbox.environment.checkout import Checkout
from sandbox.environment.environment import Stage
from sandbox.environment.processes import ROOT
from sandbox.provider.attached import Attached

DESCRIPTION = ROOT / ".sandbox" / "empty.json"
"""File with the description for programs while the environment runs."""

PASSPHRASE = "sandbox"
"""Passphrase of the state's encryption; it protects nothing but this machine's local cloud emulator."""


def describe(stage: Stage, checkout: Checkout, attached: Attached) -> dict[str, Any]:
    """Describe the environment, the folder and the commands; `instead` replaces the provider's plugin."""
    state = stage.workspace.folder / "state"
    state.mkdir(exist_ok=True)
    stacks = [str(side) for side in SideName]
    return {
        "environment": {
            **stage.workspace.environment,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        },
        "instead": attached.variables,
        "folder": str(checkout.folder),
        "commands": [*(f"pulumi stack init {s}" for s in stacks), *(f"pulumi up --stack {s}" for s in stacks)],
        "endpoint": stage.cloud.endpoint,
    }


def explain(console: Console, found: dict[str, Any]) -> None:
    """Print how to run `pulumi` in the project folder."""
    exports = " ".join(f"{k}={shlex.quote(v)}" for k, v in found["environment"].items())
    instead = " ".join(f"{k}={shlex.quote(v)}" for k, v in found["instead"].items())
    lines = [
        "",
        "Two empty accounts, each with its data bucket. In another shell:",
        "",
        "  unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION",
        f"  export {exports}",
        f"  cd {shlex.quote(found['folder'])}",
        *(f"  {command}" for command in found["commands"]),
        "",
        "Without the plugin of the aws provider, use the sandbox's own provider:",
        "",
        f"  export {instead}",
        "",
        "Ctrl-C ends all of it.",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def serve(port: int, file: Path) -> int:
    """Start, describe, wait for Ctrl-C, and return the exit code. Raises `CloudError`."""
    console = Console(highlight=False)
    steps = Steps(console)
    with steps.run("local cloud emulator"):
        stage = Stage.open("empty", port)
    with stage:
        with steps.run("two buckets, bundles of the runtime, a project folder"):
            stage.make_buckets()
            stage.build_bundles()
            checkout = Checkout.make(stage.workspace)
            for side in SideName:
                checkout.configure(str(side), stage.cloud.endpoint, stage.workspace.folder / "bundles", {})
        with steps.run("the sandbox's own provider"):
            attached = Attached.start(stage.workspace)
        with attached:
            _wait(console, describe(stage, checkout, attached), file)
    return 0


def _wait(console: Console, found: dict[str, Any], file: Path) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(found, indent=1))
    explain(console, found)
    try:
        stop.wait()
    finally:
        file.unlink(missing_ok=True)
    console.print("ending")
