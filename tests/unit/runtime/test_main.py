"""Test `python -m dualsync.runtime` before it connects to a cloud: its settings and their errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dualsync.runtime.__main__ import main
from dualsync.runtime.settings import describe
from tests.support.builders import settings

ROOT = Path(__file__).resolve().parents[3]


def test_settings_command_lists_all_variables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    for variable, _, help_text in describe():
        assert variable in printed
        assert help_text in printed


@pytest.mark.parametrize("role", ["worker", "finder"])
def test_wrong_setting_is_reported_in_one_line(
    role: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (settings().to_environment() | {"DUALSYNC_SIDE": "left"}).items():
        monkeypatch.setenv(name, value)
    assert main([role]) == 2
    assert capsys.readouterr().err == "DUALSYNC_SIDE='left': use one of cn, global\n"


def test_wrong_setting_is_reported_without_importing_boto3() -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DUALSYNC_")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dualsync.runtime", "worker"],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "DUALSYNC_PAIR is not set" in done.stderr
    assert "boto3" not in done.stderr
