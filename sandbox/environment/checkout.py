"""A project folder for the engine: a copy of the program with its own stack files.

The engine writes into the stack files that it finds (at least an encryption salt), so the project's own files are
copied. An edit of the program during a run is not deployed.
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
"""Files and folders that `pulumi up` reads."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the program."""

    folder: Path
    """The folder for `pulumi -C`."""

    @classmethod
    def make(cls, workspace: Workspace) -> Checkout:
        """Copy the program; its interpreter is the current one."""
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
        """Write a stack's file from the project's one of that name (or `like`), the sandbox's keys and `changes`."""
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
        """Return the config file of one stack."""
        return self.folder / f"Pulumi.{stack}.yaml"
