"""Test the failure drill with small numbers: faults, status, alarms, remedies, equal sides."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import Session
from tests.e2e.drill import shell
from tests.e2e.drill.__main__ import main
from tests.e2e.drill.case import Case, Sizes, play_case
from tests.e2e.drill.case_report import CaseReport, Check, show
from tests.e2e.drill.environment import DeadlineError, Drill
from tests.e2e.drill.run import CASES
from tests.e2e.drill.shell import CommandResult

SMALL = Sizes(objects=3, deletions=40, conflicts=4, letters=8)


def in_process(arguments: Sequence[str], environment: Mapping[str, str]) -> CommandResult:
    """Run the command line in this process instead of one of its own, which takes a second to start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("AWS_", "DUALSYNC", "PULUMI_"))]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        result = CliRunner().invoke(app, list(arguments), obj=Session(), prog_name="dualsync")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize("name", ["deletions-live", "dead-letters"])
def test_a_case_with_small_numbers_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "dualsync", in_process)
    report = play_case(CASES[name], SMALL)
    assert report.good, [report.failure, *(f"{c.text}: {c.detail}" for c in report.checks if not c.good)]
    out = io.StringIO()
    show(Console(file=out, width=400), report)
    assert f"{CASES[name].title} ({name}" in out.getvalue()
    assert "dualsync status → exit 3" in out.getvalue()
    assert "verify --grace 0 → exit 0" in out.getvalue()


def test_all_numbers_are_scaled_and_keep_a_minimum() -> None:
    assert Sizes().scaled(1) == Sizes()
    assert Sizes().scaled(0.1) == Sizes(deletions=1000, conflicts=20, letters=30)
    assert Sizes().scaled(0.001) == Sizes(deletions=20, conflicts=20, letters=20)


@pytest.mark.parametrize("scale", ["0", "-1", "11"])
def test_an_invalid_scale_is_refused(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scale", scale]) == 2
    assert "use a number above 0" in capsys.readouterr().err


def test_the_drill_has_a_case_for_each_listed_fault() -> None:
    assert list(CASES) == [
        "revoked",
        "peer-down",
        "proxy",
        "stalled-peer",
        "throttled-table",
        "poison",
        "dead-letters",
        "forged-message",
        "stolen-key",
        "deletions-lost",
        "deletions-live",
        "conflicts",
        "dying-worker",
    ]


def test_a_case_that_misses_a_deadline_fails_with_the_reason() -> None:
    def late(drill: Drill, sizes: Sizes) -> None:
        raise DeadlineError("not within 3 s: the other side is equal")

    report = play_case(Case("late", "Late", late), SMALL)
    assert not report.good
    assert "the other side is equal" in report.failure


@pytest.mark.parametrize("checks", [[], [Check("a", True), Check("b", False, "why")]])
def test_a_case_without_checks_or_with_a_failed_one_fails(checks: list[Check]) -> None:
    assert not CaseReport("name", "title", checks=checks).good


def test_an_unknown_case_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "flood"]) == 2
    assert "--case flood: unknown case; use one of revoked, peer-down" in capsys.readouterr().err
