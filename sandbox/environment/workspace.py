"""The folder of one sandbox: credentials of both accounts, state of the stacks, logs, bundles."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.processes import ROOT


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything a sandbox writes."""

    folder: Path
    """Its path."""

    @classmethod
    def new(cls, name: str) -> Workspace:
        """Create a new folder under `.sandbox/`."""
        base = ROOT / ".sandbox"
        base.mkdir(exist_ok=True)
        made = cls(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base)))
        for part in ("logs", "stacks", "bundles"):
            (made.folder / part).mkdir()
        return made

    @property
    def config_file(self) -> Path:
        """AWS SDK configuration: one profile per account, with its operator's key and the emulator's address."""
        return self.folder / "aws-config"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which the AWS SDK and CLI use only this sandbox."""
        return {
            "AWS_CONFIG_FILE": str(self.config_file),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.folder / "logs" / f"{name}.log"

    def write_profiles(self, endpoint: str) -> None:
        """Write the configuration file for a local cloud emulator at `endpoint`."""
        text = ""
        for account in ACCOUNTS.values():
            text += (
                f"[profile {account.profile}]\n"
                f"region = {account.region}\n"
                f"endpoint_url = {endpoint}\n"
                f"aws_access_key_id = {account.access_key_id}\n"
                f"aws_secret_access_key = {account.secret_access_key}\n"
                "s3 =\n    addressing_style = path\n\n"
            )
        self.config_file.write_text(text)

    def stack(self, name: str) -> dict[str, Any] | None:
        """Read a stack's state; None for one that was never deployed."""
        path = self._stack_file(name)
        state: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return state

    def write_stack(self, name: str, state: dict[str, Any]) -> None:
        """Write a stack's state: outputs and resources."""
        path = self._stack_file(name)
        path.touch(mode=0o600)
        path.write_text(json.dumps(state, indent=1, sort_keys=True, default=str))

    def _stack_file(self, name: str) -> Path:
        return self.folder / "stacks" / f"{name}.json"

    def remove(self) -> None:
        """Delete the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
