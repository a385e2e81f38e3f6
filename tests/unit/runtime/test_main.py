"""Test `python -m dualsync.runtime` before it connects to a cloud: its settings and their errors."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dualsync.runtime.__main__ import main
from dualsync.runtime.settings import describe
from tests.support.builders import settings
from tests.support.subprocesses import ROOT, python, run_here


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


def in_shell(words: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `dualsync` with these words as a shell does."""
    command = f"exec {shlex.quote(sys.executable)} -m dualsync.runtime {words} {redirection}"
    return run_here("bash", "-c", command, **environment)


def as_console(main: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script `dualsync` with a body in place of `main`."""
    code = f"import sys, runtime.__main__ as m\ndef body():\n {main}\n return 0\nm.main = body\nm.console()"
    return python(code, **environment)


@pytest.mark.parametrize("words", ["--version", "settings", "explain ''"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(words: str, closed: str) -> None:
    done = in_shell(words, closed)
    assert done.returncode == (2 if words == "explain ''" else 0)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "settings", "--help"])
def test_a_reader_that_has_gone_is_no_error(words: str, buffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dualsync.runtime", words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": buffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "settings"])
def test_a_full_disk_is_reported_in_one_line(words: str, buffered: str) -> None:
    done = in_shell(words, "> /dev/full", PYTHONUNBUFFERED=buffered)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_an_interrupt_while_the_commands_are_imported_shows_no_traceback() -> None:
    done = as_console("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "")


def test_characters_that_the_terminal_does_not_have_are_escaped() -> None:
    done = as_console("sys.stdout.write('\u2192 \xe9\\n')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "\\u2192 \\xe9\n")
