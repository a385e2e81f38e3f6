"""Check this machine: Pulumi, its `aws` plugin, the program's folder."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dualsync.runtime.operations.setup.doctor import CheckResult, Verdict

PULUMI = (3, 220)
"""The oldest Pulumi that the program supports (pyproject.toml)."""
AWS_PLUGIN = (7, 23)
"""The oldest `aws` plugin that the program supports (pyproject.toml)."""
TIMEOUT_SECONDS = 60

Run = Callable[[Sequence[str]], str | None]
"""Run a command; return its standard output, or None if it fails or is not installed."""


def run_command(command: Sequence[str]) -> str | None:
    """Run a command that only reads."""
    try:
        done = subprocess.run(  # noqa: S603
            list(command), capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def examine_machine(folder: Path, run: Run = run_command) -> Iterator[CheckResult]:
    """Yield what this machine lacks for a `pulumi up`."""
    text = run(["pulumi", "version"])
    if text is None:
        yield CheckResult(
            "here",
            "pulumi",
            Verdict.WRONG,
            "pulumi is not installed, or is not on the PATH",
            "install it (https://www.pulumi.com/docs/install); the commands for operators do not need it",
        )
        return
    version = _version(text)
    if version < PULUMI:
        yield CheckResult(
            "here", "pulumi", Verdict.WRONG, f"pulumi {text.strip()} is too old", f"update it to {_dotted(PULUMI)}"
        )
    else:
        yield CheckResult("here", "pulumi", Verdict.FINE, text.strip())
    yield _plugin(run(["pulumi", "plugin", "ls", "--json"]))
    if (folder / "Pulumi.yaml").exists():
        who = run(["pulumi", "whoami", "--non-interactive", "--cwd", str(folder)])
        if who is None:
            remedy = "`pulumi login`, or `pulumi login s3://BUCKET` for state in a bucket of yours"
            yield CheckResult("here", "state", Verdict.WRONG, "pulumi is not signed in to a backend", remedy)
        else:
            yield CheckResult("here", "state", Verdict.FINE, f"signed in as {who.strip()}")


def _plugin(text: str | None) -> CheckResult:
    # Not wrong: Pulumi installs the plugin of the SDK's version when a preview needs it.
    remedy = "`pulumi preview` fetches it (several hundred MB, once), or `pulumi install` in the program's folder"
    try:
        listed = json.loads(text or "[]")
        found = [
            _version(str(p.get("version"))) for p in listed if p.get("name") == "aws" and p.get("kind") == "resource"
        ]
    except (ValueError, AttributeError):
        found = []
    if not found:
        return CheckResult("here", "plugin", Verdict.WARNING, "the aws plugin is not installed", remedy)
    newest = max(found)
    if newest < AWS_PLUGIN:
        return CheckResult("here", "plugin", Verdict.WARNING, f"the aws plugin {_dotted(newest)} is too old", remedy)
    return CheckResult("here", "plugin", Verdict.FINE, f"aws {_dotted(newest)}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
