"""Progress of the sandbox's commands, and their failures in one line."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from sandbox import __main__ as command_line
from sandbox.cloud.handle import CloudError
from sandbox.demo import demo as demo_module
from sandbox.demo import serve as serve_module
from sandbox.demo.demo import Demo, NotSettledError, play
from sandbox.demo.steps import Bar, Steps
from sandbox.environment.deploy import DeployError
from sandbox.environment.workers import ProcessFailedError

ERRORS = [
    DeployError("stack cn: no module named 'x'"),
    CloudError("port 80 is in use"),
    ProcessFailedError("worker-cn ended with code 1"),
    NotSettledError("2 keys differ"),
]


def bar_with(total: int | None) -> tuple[Bar, Progress]:
    progress = Progress(console=Console(file=io.StringIO()))
    return Bar(progress, progress.add_task("step", total=None), total), progress


def test_a_bar_pulses_before_the_first_count() -> None:
    _, progress = bar_with(93)
    assert progress.tasks[0].total is None


@pytest.mark.parametrize("counts", [[], [1, 62], [93], [62, 63, 120]])
def test_a_bar_ends_at_100_percent_whatever_the_estimate_was(counts: list[int]) -> None:
    bar, progress = bar_with(93)
    for count in counts:
        bar(count)
        assert progress.tasks[0].percentage <= 100
    bar.finish()
    assert progress.tasks[0].percentage == 100


def test_a_step_is_one_line_with_its_count() -> None:
    out = io.StringIO()
    steps = Steps(Console(file=out, width=100))
    with steps.run("stack cn deployed", 10, "resources") as bar:
        bar(12)
    assert re.fullmatch(r"  ✓ stack cn deployed, 12 resources \(\d\.\d s\)\n", out.getvalue())
    assert [step.text for step in steps.finished] == ["stack cn deployed, 12 resources"]


def test_a_step_on_a_terminal_shows_a_bar_and_removes_it() -> None:
    out = io.StringIO()
    steps = Steps(Console(file=out, width=100, force_terminal=True))
    with steps.run("workers running"):
        pass
    assert "━" in out.getvalue()
    assert out.getvalue().rstrip().splitlines()[-1].count("━") == 0


def test_a_step_that_fails_is_not_reported_as_done() -> None:
    out = io.StringIO()
    steps = Steps(Console(file=out, width=100))
    with pytest.raises(CloudError), steps.run("local cloud emulator"):
        raise CloudError("port 80 is in use")
    assert out.getvalue() == ""


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_failed_demo_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Demo) -> None:
        raise error

    monkeypatch.setattr(demo_module.Demo, "run", fail)
    out = io.StringIO()
    assert play(Demo(Console(file=out, width=20))) == 1
    assert out.getvalue() == f"failed: {error}\n"


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda e: type(e).__name__)
def test_a_failed_command_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(serve_module, "serve", fail)
    assert command_line.main(["serve"]) == 1
    assert capsys.readouterr().err == f"failed: {error}\n"
