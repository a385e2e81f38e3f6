"""Test that the empty sandbox's printed instructions deploy both stacks when run literally."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.environment.processes import ROOT, tied_to_parent

pytestmark = pytest.mark.engine(long=True)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, Any]]:
    file = tmp_path / "empty.json"
    command = tied_to_parent([sys.executable, "-m", "sandbox", "empty", "--file", str(file)])
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    said = ""
    while "Ctrl-C ends" not in said:
        line = running.stdout.readline()
        assert line, said
        said += line
    found = json.loads(file.read_text())
    assert all(command in said for command in found["commands"])
    yield found
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0
    running.stdout.close()
    assert not Path(found["folder"]).exists()


def test_the_printed_instructions_deploy_both_stacks(empty: dict[str, Any], tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_", "DUALSYNC_"))}
    home = {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    environment = {**clean, **empty["environment"], **empty["instead"], **home}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=empty["folder"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for command in empty["commands"]:
        words = command.split()
        run(*words, *(["--yes", "--skip-preview", "--non-interactive"] if words[1] == "up" else []))
    for stack in ("cn", "global"):
        assert json.loads(run("pulumi", "stack", "output", "--stack", stack, "--json"))["manages"] == [stack]
