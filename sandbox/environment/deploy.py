"""Deploys a stack of the real program into the local cloud emulator without the Pulumi CLI.

`python -m sandbox.environment.deploy STACK FOLDER ENDPOINT [CHANGES]` does so in a separate process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dualsync.components.bundle.builder import Builder
from dualsync.components.config.side_options import Architecture
from sandbox.environment.processes import ROOT, tied_to_parent
from sandbox.environment.stack_config import config_of
from sandbox.environment.workspace import Workspace

PROJECT = "dualsync"
ORGANIZATION = "organization"


class DeployError(Exception):
    """The program or a resource handler failed; the text is its error in one line."""


def build_bundles(workspace: Workspace) -> Path:
    """Pack the runtime without its dependencies, which are installed on this machine, and return the folder."""
    folder = workspace.folder / "bundles"
    builder = Builder(runtime=ROOT / "runtime", lock=None, cache=folder / "cache")
    for architecture in Architecture:
        (folder / f"{architecture}.tar").write_bytes(builder.build(architecture).path.read_bytes())
    return folder


def run_program(
    stack: str, workspace: Workspace, config: dict[str, str], progress: Callable[[str, str], None]
) -> dict[str, Any]:
    """Run `__main__.py` as `stack`, write the state, return the outputs. Raises what the program raises."""
    import pulumi
    from pulumi.runtime import mocks
    from pulumi.runtime.settings import set_root_resource
    from pulumi.runtime.stack import run_in_stack

    from sandbox.provider.mock_monitor import Monitor, Sandboxed

    sandboxed = Sandboxed(workspace, progress)
    monitor = Monitor(sandboxed)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    logger = logging.getLogger("sandbox.program")
    mocks.set_mocks(sandboxed, PROJECT, stack, False, logger, monitor, ORGANIZATION)
    pulumi.runtime.set_all_config(config)
    set_root_resource(None)  # type: ignore[arg-type]

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    try:
        loop.run_until_complete(run_in_stack(program))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
    state = {
        "outputs": monitor.outputs,
        "secretOutputNames": monitor.secret_names,
        "resources": sandboxed.resources,
    }
    workspace.write_stack(stack, state)
    return monitor.outputs


def deploy(
    stack: str,
    workspace: Workspace,
    endpoint: str,
    progress: Callable[[str, str], None] = lambda kind, name: None,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Deploy in a process without other credentials than the sandbox's, and return the outputs.

    Args:
        stack: Name of the stack.
        workspace: Folder of the sandbox.
        endpoint: Address of the local cloud emulator.
        progress: Called with type and name of each resource that was created.
        changes: Config keys that override the stack's.

    Raises:
        DeployError: The program or a resource handler refused.
    """
    command = [sys.executable, "-m", "sandbox.environment.deploy", stack, str(workspace.folder), endpoint]
    process = subprocess.Popen(
        tied_to_parent([*command, json.dumps(changes or {})]),
        cwd=ROOT,
        env=_clean_environment() | workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        made = json.loads(line)
        progress(made["type"], made["name"])
    _, errors = process.communicate()
    workspace.log(f"deploy-{stack}").write_text(errors)
    if process.returncode:
        raise DeployError(f"stack {stack}: {_last_line(errors)}; details: {workspace.log(f'deploy-{stack}')}")
    state = workspace.stack(stack)
    assert state is not None
    outputs: dict[str, Any] = state["outputs"]
    return outputs


def _clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_", "DUALSYNC_"))}


def _last_line(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    return re.sub(r"^[\w.]+: ", "", lines[-1]) if lines else "the process ended without an error message"


def main(arguments: list[str]) -> int:
    """Deploy one stack; print one JSON line per resource to standard output and errors to standard error."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.environment.deploy", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("folder", type=Path)
    parser.add_argument("endpoint")
    parser.add_argument("changes", nargs="?", default="{}", help="config on top of the stack's, as JSON")
    given = parser.parse_args(arguments)
    workspace = Workspace(given.folder)
    config = config_of(given.stack, given.endpoint, workspace.folder / "bundles", json.loads(given.changes))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")

    def report(kind: str, name: str) -> None:
        sys.stdout.write(json.dumps({"type": kind, "name": name}) + "\n")
        sys.stdout.flush()

    run_program(given.stack, workspace, config, report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
