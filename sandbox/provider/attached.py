"""Starts the provider's process, to which an engine attaches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from sandbox.environment.processes import ROOT, tied_to_parent
from sandbox.environment.workspace import Workspace
from sandbox.provider.grpc_provider import NAME
from sandbox.provider.hold import VARIABLE


class ProviderError(Exception):
    """The provider's process did not start; the text holds its last output."""


@dataclass
class Attached:
    """A running provider, which has the sandbox's profiles and no other credentials."""

    port: int
    """Port on loopback."""
    process: subprocess.Popen[str]
    """Its process."""

    @classmethod
    def start(cls, workspace: Workspace, more: Mapping[str, str] | None = None) -> Attached:
        """Start it with `more` environment variables and wait for its port. It ends with this process.

        Raises `ProviderError`.
        """
        log = workspace.log("provider")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
        with log.open("a") as errors:
            process = subprocess.Popen(
                tied_to_parent([sys.executable, "-m", "sandbox.provider.server"]),
                cwd=ROOT,
                env=environment | workspace.environment | {VARIABLE: str(workspace.folder)} | dict(more or {}),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.communicate()
            raise ProviderError(f"the provider ended with code {process.returncode}: {log.read_text()[-2000:]}")
        return cls(json.loads(line)["port"], process)

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables with which an engine attaches to it instead of starting a plugin."""
        return {"PULUMI_DEBUG_PROVIDERS": f"{NAME}:{self.port}"}

    def stop(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
