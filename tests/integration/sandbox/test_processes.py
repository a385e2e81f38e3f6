"""Test that child processes end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.demo.comparison import wait_for
from sandbox.environment.processes import ROOT

PARENT = """
import subprocess, sys, time
from sandbox.environment.processes import tied_to_parent
child = subprocess.Popen(tied_to_parent([sys.executable, "-c", "import time; time.sleep(300)"]), start_new_session=True)
print(child.pid, flush=True)
time.sleep(300)
"""


def is_running(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent ends")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_process_ends_with_its_parent(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert wait_for(lambda: is_running(child), 10, 0.02)
        os.kill(parent.pid, number)
    assert wait_for(lambda: not is_running(child), 10, 0.02)
