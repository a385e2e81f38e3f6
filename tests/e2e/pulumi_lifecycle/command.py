"""Runs `pulumi` on a local file backend without the user's login, plugins and credentials."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.environment.checkout import Checkout
from sandbox.environment.workspace import Workspace

NAME = "pulumi"
PASSPHRASE = "the sandbox's passphrase"
MISSING = """The real engine is not on PATH: `pulumi` and its host for Python programs, `pulumi-language-python`.
Get both in one archive, in the version that .pulumi.version names:
  curl -fsSL https://get.pulumi.com | sh -s -- --version "$(cat .pulumi.version)"
  export PATH="$HOME/.pulumi/bin:$PATH"
or from https://github.com/pulumi/pulumi/releases. No account and no provider plugin is needed."""
"""What to do without the engine."""
_QUIET = frozenset({"same", "read", "read-discard", "refresh", "delete-replaced", "create-replacement"})


class EngineError(Exception):
    """The command ended with an unexpected exit code; the text holds its output."""


class EndedError(EngineError):
    """A deployment that was to be killed ended by itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"pulumi up ended with code {code} before it was to be killed")
        self.code = code
        """Its exit code."""


def is_available() -> bool:
    """Return whether the engine and its Python host are on PATH."""
    return bool(shutil.which(NAME) and shutil.which("pulumi-language-python"))


@dataclass(frozen=True)
class Done:
    """The output of a command. `changes` counts resources by operation (create, update, same …)."""

    code: int
    text: str
    errors: str
    changes: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[tuple[str, str], ...] = ()
    """Operation and URN of every changed resource; a replacement is one step."""

    def touched(self, *operations: str) -> list[str]:
        """Return the sorted logical names of the resources with one of these operations."""
        return sorted(
            urn.rsplit("::", 1)[1]
            for operation, urn in self.steps
            if operation in operations and "pulumi:providers:" not in urn and not _is_component(urn)
        )

    @property
    def changed(self) -> dict[str, int]:
        """Return the counts without unchanged resources."""
        return {k: v for k, v in self.changes.items() if k != "same" and v}


def _kill_session(leader: int) -> None:
    """Kill every process of a session: the engine gives its plugins process groups of their own."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            # It ended meanwhile.
            continue


def _is_component(urn: str) -> bool:
    kind = urn.split("::")[2].rpartition("$")[2]
    return kind.startswith(("dualsync:", "pulumi:")) and kind != "dualsync:index:BucketSubscription"


def _sure(options: tuple[str, ...]) -> tuple[str, ...]:
    return () if "--preview-only" in options else ("--yes", "--skip-preview")


@dataclass(frozen=True)
class Command:
    """Run the engine for the stacks of one checkout."""

    workspace: Workspace
    checkout: Checkout
    attached: Mapping[str, str]
    """Environment variables that name the providers to attach."""

    passphrase: str = PASSPHRASE
    """Passphrase of the stacks' secrets."""

    state: str = "state"
    """Folder of the backend, inside the workspace."""

    def run(self, *arguments: str, wanted: Iterable[int] = (0,), text: str | None = None) -> Done:
        """Run it and return its output. Raises `EngineError` when its exit code is not one of `wanted`."""
        done = subprocess.run(
            [NAME, "-C", str(self.checkout.folder), "--non-interactive", "--color", "never", *arguments],
            env=self.environment(),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in wanted:
            raise EngineError(f"pulumi {' '.join(arguments)}: code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def init(self, stack: str) -> None:
        """Create a stack without resources."""
        self.run("stack", "init", stack)

    def preview(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        """Preview `up`."""
        return self._operate("preview", stack, *more, wanted=wanted)

    def up(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        """Deploy."""
        return self._operate("up", stack, "--yes", "--skip-preview", *more, wanted=wanted)

    def refresh(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        """Update the state to manual changes."""
        return self._operate("refresh", stack, *_sure(more), *more, wanted=wanted)

    def destroy(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        """Delete everything of a stack."""
        return self._operate("destroy", stack, *_sure(more), *more, wanted=wanted)

    def kill_up(self, stack: str, reached: Callable[[], bool]) -> None:
        """Start a deployment and kill it, with all its processes, once `reached` returns true.

        Raises `EndedError` when the deployment ends before.
        """
        folder = str(self.checkout.folder)
        process = subprocess.Popen(
            [NAME, "-C", folder, "--non-interactive", "up", "--stack", stack, "--yes", "--skip-preview"],
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not reached():
                if process.poll() is not None:
                    raise EndedError(process.returncode)
                time.sleep(0.05)
        finally:
            _kill_session(process.pid)
            process.wait()

    def outputs(self, stack: str, *, secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs, secret ones masked unless `secrets` is set."""
        more = ("--show-secrets",) if secrets else ()
        outputs: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--stack", stack, *more).text)
        return outputs

    def export(self, stack: str, *, secrets: bool = False) -> dict[str, Any]:
        """Return the stack's state, with secrets encrypted unless `secrets` is set."""
        more = ("--show-secrets",) if secrets else ()
        state: dict[str, Any] = json.loads(self.run("stack", "export", "--stack", stack, *more).text)
        return state

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources of the stack's state."""
        resources: list[dict[str, Any]] = self.export(stack)["deployment"].get("resources", [])
        return resources

    def environment(self) -> dict[str, str]:
        """Return the complete environment of the engine."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_", "DUALSYNC_"))}
        return {
            **clean,
            **self.workspace.environment,
            **self.attached,
            "PULUMI_HOME": str(self._folder("home")),
            "PULUMI_BACKEND_URL": f"file://{self._folder(self.state)}",
            "PULUMI_CONFIG_PASSPHRASE": self.passphrase,
            "PULUMI_DEBUG_COMMANDS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        }

    def _folder(self, name: str) -> Path:
        folder = self.workspace.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _operate(self, operation: str, stack: str, *arguments: str, wanted: Iterable[int]) -> Done:
        log = self.workspace.folder / f"events-{stack}.jsonl"
        log.unlink(missing_ok=True)
        done = self.run(
            operation, "--stack", stack, "--event-log", str(log), "--suppress-progress", *arguments, wanted=wanted
        )
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        changes: dict[str, int] = {}
        steps: list[tuple[str, str]] = []
        for event in events:
            if "summaryEvent" in event:
                changes = event["summaryEvent"].get("resourceChanges") or {}
            metadata = (event.get("resOutputsEvent") or event.get("resourcePreEvent") or {}).get("metadata") or {}
            step = (metadata.get("op", "same"), metadata.get("urn", ""))
            if step[0] not in _QUIET and step not in steps:
                steps.append(step)
        return Done(done.code, done.text, done.errors, changes, tuple(steps))
