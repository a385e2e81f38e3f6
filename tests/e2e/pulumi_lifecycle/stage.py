"""A local cloud emulator with the engine: stacks that `pulumi` deploys, and a search for secrets in clear."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.environment.checkout import Checkout
from sandbox.environment.environment import Stage
from sandbox.environment.stack_config import config_of
from sandbox.provider.attached import Attached
from tests.e2e.pulumi_lifecycle.command import Command, Done
from tests.e2e.pulumi_lifecycle.inventory import inventory


@dataclass
class EngineStage:
    """A sandbox without stacks, the provider and the engine. Its exit ends all processes."""

    stage: Stage
    attached: Attached
    pulumi: Command
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set, repr=False)
    """Every secret access key that was handed over so far."""

    printed: list[str] = field(default_factory=list, repr=False)
    """Output of every command of the engine."""

    @classmethod
    def open(
        cls,
        name: str,
        settings: Mapping[str, str] | None = None,
        environment: Callable[[Path], Mapping[str, str]] = lambda folder: {},
    ) -> EngineStage:
        """Start the emulator with the user's two buckets and bundles, and the provider to attach.

        Args:
            name: Name of the sandbox's folder.
            settings: Settings of the runtime that differ from the deployed ones.
            environment: Returns further variables of engine, program, plugin and provider for a folder of their own.
        """
        stage = Stage.open(name, settings=settings)
        try:
            stage.make_buckets()
            stage.build_bundles()
            more = environment(stage.workspace.folder)
            attached = Attached.start(stage.workspace, more)
        except BaseException:
            stage.close()
            raise
        return cls(
            stage, attached, Command(stage.workspace, Checkout.make(stage.workspace), attached.variables | dict(more))
        )

    def configure(self, stack: str, *, like: str | None = None, **changes: Any) -> None:
        """Write a stack's config: the project's, the sandbox's, and all changes so far."""
        self.changes[stack] = {**self.changes.get(stack, {}), **changes}
        bundles = self.stage.workspace.folder / "bundles"
        self.pulumi.checkout.configure(stack, self.stage.cloud.endpoint, bundles, self.changes[stack], like)

    def side(self, side: SideName, **changes: Any) -> dict[str, Any]:
        """Return a side's config in the sandbox, with changes of its keys."""
        config = config_of(str(side), self.stage.cloud.endpoint, self.stage.workspace.folder / "bundles")
        found: dict[str, Any] = json.loads(config[f"dualsync:{side}"])
        return found | changes

    def create(self, stack: str, *, like: str | None = None, **changes: Any) -> None:
        """Create a stack with its config, without resources."""
        self.configure(stack, like=like, **changes)
        self.pulumi.init(stack)

    def preview(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        return self._record(self.pulumi.preview(stack, *more, wanted=wanted))

    def up(self, stack: str, *more: str, wanted: Iterable[int] = (0,), **changes: Any) -> Done:
        """Deploy after `changes` of the config; workers then start from the new deployment."""
        if changes:
            self.configure(stack, **changes)
        done = self._record(self.pulumi.up(stack, *more, wanted=wanted))
        self.keys |= self.current_keys()
        if done.code == 0:
            outputs = self.pulumi.outputs(stack)
            ours = {SideName(side): outputs[side] for side in outputs["manages"]}
            self.stage.fleet.outputs = {**self.stage.fleet.outputs, **ours}
        return done

    def refresh(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        return self._record(self.pulumi.refresh(stack, *more, wanted=wanted))

    def destroy(self, stack: str, *more: str, wanted: Iterable[int] = (0,)) -> Done:
        return self._record(self.pulumi.destroy(stack, *more, wanted=wanted))

    def adopt(self, stack: str, token: str, name: str, id: str) -> Done:
        """Import an existing resource under a name; its parent and provider are in the state."""
        resources = self.pulumi.resources(stack)
        provider = next(r["urn"] for r in resources if r["urn"].endswith(f"$pulumi:providers:aws::dth-dual-{stack}"))
        parent = next(r["urn"] for r in resources if r["type"] == "dualsync:index:Identity")
        path = self.stage.workspace.folder / "import.json"
        entry = {"type": token, "name": name, "id": id, "parent": "parent", "provider": "provider"}
        path.write_text(json.dumps({"nameTable": {"parent": parent, "provider": provider}, "resources": [entry]}))
        # The import protects nothing, because the program decides which resources are protected.
        more = ("--yes", "--skip-preview", "--generate-code=false", "--protect=false", "--suppress-progress")
        return self._record(self.pulumi.run("import", "--stack", stack, "--file", str(path), *more))

    def current_keys(self) -> set[str]:
        """Return the secret access keys in the hand-over secrets of both accounts. The hand-over of a role has none."""
        found = set()
        for side in SideName:
            manager = self.stage.cloud.client(side, "secretsmanager")
            for secret in manager.list_secrets()["SecretList"]:
                if manager.describe_secret(SecretId=secret["ARN"]).get("VersionIdsToStages"):
                    text = manager.get_secret_value(SecretId=secret["ARN"])["SecretString"]
                    found |= {json.loads(text).get("secret_access_key", "")} - {""}
        return found

    def leaks(self) -> list[str]:
        """Return where a secret key is in clear or Base64: files of the sandbox, or the output of the engine."""
        spellings = [s for key in self.keys for s in (key.encode(), base64.b64encode(key.encode()).rstrip(b"=")[:-1])]
        folder = self.stage.workspace.folder
        found = [
            str(path.relative_to(folder))
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and any(s in path.read_bytes() for s in spellings)
        ]
        text = "\n".join(self.printed).encode()
        return found + ["output of the engine" for s in spellings if s in text]

    def inventory(self) -> dict[SideName, set[str]]:
        """Return the resources of both accounts."""
        return {side: inventory(self.stage.cloud, side) for side in SideName}

    def plan_file(self, stack: str) -> Path:
        """Return the file for `preview --save-plan`."""
        return self.stage.workspace.folder / f"plan-{stack}.json"

    def _record(self, done: Done) -> Done:
        self.printed += [done.text, done.errors]
        return done

    def close(self) -> None:
        """End all processes."""
        self.attached.stop()
        self.stage.close()

    def __enter__(self) -> EngineStage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stage.keep = self.stage.keep or isinstance(error, Exception)
        self.close()
