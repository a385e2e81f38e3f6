"""Fixtures: a runner for the pipelines' unmodified scripts, with fakes of the programs that they call."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Called:
    """One call of a fake program."""

    program: str
    arguments: list[str]


@dataclass
class Runner:
    """Runs scripts. `pulumi` and `gh` are fakes that record their calls, and end with a given code and output."""

    folder: Path

    def fake(self, program: str, code: int = 0, output: str = "") -> None:
        path = self.folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "#!/usr/bin/env python3\n"
            "import json, sys\n"
            f"open({str(self.folder / 'calls')!r}, 'a').write(json.dumps([{program!r}, sys.argv[1:]]) + '\\n')\n"
            f"print({output!r})\n"
            f"sys.exit({code})\n"
        )
        path.chmod(0o755)

    def __call__(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        keep = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "TMPDIR")}
        return subprocess.run(
            [str(ROOT / ".ci" / script), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**keep, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", **environment},
        )

    @property
    def calls(self) -> list[Called]:
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Called(*json.loads(line)) for line in lines]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Return a runner in a folder of its own."""
    made = Runner(tmp_path)
    made.fake("pulumi")
    made.fake("gh")
    return made
