"""Repair a stack's state: `python -m dualsync.components.repair interrupted|lost-peer STACK [--run]`.

It runs `pulumi` in the program's folder, and changes nothing without `--run`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from dualsync.components.repair import checkpoint
from dualsync.components.repair.ids import Finder
from dualsync.components.repair.state import State, adopt, forget, pending_creates, provider_inputs, providers

T = TypeVar("T")

ACCESS_KEY = "aws:iam/accessKey:AccessKey"


class RepairError(Exception):
    """The state can't be repaired; the text is one line with the reason and the remedy."""


class Engine:
    """The `pulumi` command for one stack."""

    def __init__(self, folder: Path, stack: str) -> None:
        self._folder, self._stack = folder, stack

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Run it and return its output. Raises `RepairError` with its last lines when it fails."""
        return self._call(*arguments, "--stack", self._stack, text=text)

    def _call(self, *arguments: str, text: str | None = None) -> str:
        command = ["pulumi", "-C", str(self._folder), "--non-interactive", *arguments]
        try:
            done = subprocess.run(  # noqa: S603
                command, input=text, capture_output=True, encoding="utf-8", check=False
            )
        except FileNotFoundError:
            raise RepairError("pulumi is not on PATH; install it, then repeat the command") from None
        except OSError as e:
            raise RepairError(f"pulumi can't be started: {e.strerror}; correct that, then repeat the command") from None
        except UnicodeDecodeError:
            raise RepairError(f"`pulumi {arguments[0]}` answers with something else than text; update pulumi") from None
        if done.returncode:
            last = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
            words = " ".join(arguments).removesuffix(f" --stack {self._stack}")
            raise RepairError(f"`pulumi {words}` failed: {last}")
        return done.stdout

    def state(self) -> State:
        """Return the stack's state, secrets encrypted."""
        try:
            state: Any = json.loads(self.run("stack", "export"))
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict) or not isinstance(state.get("deployment"), dict):
            raise RepairError(f"`pulumi stack export` shows no state of stack {self._stack}; run it to see why")
        return state

    def checkpoint_file(self) -> Path | None:
        """Return the stack's file, if the backend is local."""
        url = checkpoint.backend_url(self._call("whoami", "--verbose"))
        return checkpoint.checkpoint_file(url, checkpoint.project_name(self._folder), self._stack)

    def replace(self, state: State) -> None:
        """Write the stack's state."""
        self.run("stack", "import", text=json.dumps(state))


def interrupted(engine: Engine, run: bool) -> None:
    """Take over what an interrupted `pulumi up` has created, and clear the rest."""
    if run:
        _with_whole_checkpoint(engine, lambda: engine.run("cancel", "--yes"), run)
    state = _with_whole_checkpoint(engine, engine.state, run)
    pending = pending_creates(state)
    if not pending:
        print("No creation was interrupted. Run `pulumi up`.")
        return
    edited, adopted = adopt(state, Finder(lambda urn: provider_inputs(state, urn)))
    for one in pending:
        print(f"{one.name}: {f'taken over as {adopted[one.name]}' if one.name in adopted else 'created again'}")
    if any(one.type == ACCESS_KEY for one in pending):
        print("A second access key may exist. After `pulumi up`, run `dualsync rotate-key` for its side.")
    if not run:
        print("Nothing was changed. Repeat the command with --run.")
        return
    engine.replace(edited)
    engine.run("refresh", "--yes", "--skip-preview")
    print("The state is repaired. Run `pulumi up`.")


def _with_whole_checkpoint(engine: Engine, act: Callable[[], T], run: bool) -> T:
    """Return what `act` returns; if the last checkpoint was cut, act on the one before. Raises `RepairError`."""
    try:
        return act()
    except RepairError as e:
        file = engine.checkpoint_file() if checkpoint.is_cut(str(e)) else None
        if file is None:
            raise
        if not run:
            raise RepairError(
                f"{file} was cut when the engine was killed; "
                "repeat the command with --run, which restores the checkpoint before"
            ) from e
        done = checkpoint.restore(file)
        if not done:
            raise RepairError(
                f"{file} was cut when the engine was killed, and {file.name}.bak is no whole checkpoint; "
                "copy the newest file of .pulumi/backups over it, then repeat the command"
            ) from e
    print(f"The checkpoint was cut when the engine was killed: {', '.join(done)}.")
    return act()


def lost_peer(engine: Engine, stack: str, run: bool) -> None:
    """Remove the resources of an account that is out of reach from the state, and configure the stack without it."""
    state = engine.state()
    managed = _outputs(state).get("manages") or [stack]
    lost = [urn for urn in providers(state) if not urn.endswith(tuple(f"-{side}" for side in managed))]
    if len(managed) != 1 or not lost:
        raise RepairError(f"stack {stack} has no resources in an account of a side that it does not manage")
    edited, forgotten = forget(state, lambda urn: urn in lost)
    for urn in forgotten:
        print(f"{urn.split('::', 3)[3]}: forgotten; it stays in the lost account")
    if not run:
        print("Nothing was changed. Repeat the command with --run.")
        return
    engine.replace(edited)
    engine.run("config", "set", "dualsync:handOver", "config")
    print("The stack does without the lost account (handOver=config). Run `pulumi up`.")


def _outputs(state: State) -> dict[str, Any]:
    resources = state["deployment"].get("resources") or ()
    found: dict[str, Any] = next((r.get("outputs") or {} for r in resources if r["type"] == "pulumi:pulumi:Stack"), {})
    return found


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dualsync.components.repair", description=__doc__)
    parser.add_argument("command", choices=["interrupted", "lost-peer"])
    parser.add_argument("stack", help="stack, as `pulumi` names it")
    parser.add_argument("--run", action="store_true", help="change the state; without it, only print what would change")
    parser.add_argument("--project", type=Path, default=Path(), help="folder of the program (default: the current one)")
    given = parser.parse_args(arguments)
    engine = Engine(given.project, given.stack)
    try:
        if given.command == "interrupted":
            interrupted(engine, given.run)
        else:
            lost_peer(engine, given.stack, given.run)
    except (RepairError, BotoCoreError, ClientError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: repeat the command, which begins with the state as it is now", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
