"""Test the option `--no-skips`, with which a skipped test fails the run. Releases use it for the examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.environment.processes import ROOT


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--no-skips",), 1)])
def test_a_run_with_a_skipped_test_fails_only_with_the_option(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    (tmp_path / "test_skipped.py").write_text("import pytest\n\n\ndef test_it():\n    pytest.skip('not here')\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
    ]
    done = subprocess.run([*command, *options, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "not here" in done.stdout
    assert done.returncode == code
