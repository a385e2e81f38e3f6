"""A project folder for the engine: a copy of the program, as it is at this moment, with stack files of its own.

The engine writes into the stack files that it finds (an encryption salt, at least), and the project's are not ours; and
who edits the program while a demo runs should not find the edit deployed.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dualsync.components.config.stack_config import PROJECT
from sandbox.environment.processes import ROOT
from sandbox.environment.stack_config import overrides
from sandbox.environment.workspace import Workspace

COPIED = ("__main__.py", "Pulumi.yaml", "components", "runtime", "dualsync", "requirements", "policy")


@dataclass(frozen=True)
class Checkout:
    """The folder that `pulumi -C` is given."""

    folder: Path

    @classmethod
    def make(cls, workspace: Workspace) -> Checkout:
        """Copy the program; the interpreter is the one that runs this."""
        folder = workspace.folder / "project"
        folder.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(Path(sys.prefix))
        return cls(folder)

    def configure(
        self, stack: str, endpoint: str, bundles: Path, changes: dict[str, Any], like: str | None = None
    ) -> None:
        """Write a stack's file: the project's of that name (or `like`), where the sandbox is, and `changes`."""
        path = self.stack_file(stack)
        kept = yaml.safe_load(path.read_text()) if path.exists() else {}
        declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
        values = {k if ":" in k else f"{PROJECT}:{k}": v.get("default") for k, v in declared.items()}
        own = yaml.safe_load((ROOT / f"Pulumi.{like or stack}.yaml").read_text())["config"]
        config = {**own}
        for key, value in {**overrides(endpoint, bundles, {**values, **own}), **changes}.items():
            config[f"{PROJECT}:{key}"] = value
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({**kept, "config": config}, sort_keys=True))

    def stack_file(self, stack: str) -> Path:
        """Config of one stack, written by us, and by the engine."""
        return self.folder / f"Pulumi.{stack}.yaml"
