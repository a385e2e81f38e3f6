"""Test the progress output of the sandbox's commands, and their failures in one line."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from dualsync.runtime.settings import SideName
from sandbox import __main__ as command_line
from sandbox.cloud.handle import Cloud, CloudError
from sandbox.demo import demo as demo_module
from sandbox.demo import serve as serve_module
from sandbox.demo.demo import Demo, NotSettledError, play
from sandbox.demo.steps import Bar, Steps
from sandbox.environment import environment as environment_module
from sandbox.environment.deploy import DeployError
from sandbox.environment.environment import Stage
from sandbox.environment.workers import Fleet, ProcessFailedError
from sandbox.environment.workspace import Workspace

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
def test_a_bar_ends_at_100_percent_for_any_estimate(counts: list[int]) -> None:
    bar, progress = bar_with(93)
    for count in counts:
        bar(count)
        assert progress.tasks[0].percentage <= 100
    bar.finish()
    assert progress.tasks[0].percentage == 100


def stage_in(folder: Path) -> Stage:
    workspace, cloud = Workspace(folder), Cloud("http://127.0.0.1:1")
    return Stage(workspace, cloud, Fleet(cloud, workspace, {}))


def test_both_stacks_are_deployed_and_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deploy(stack: str, *given: Any) -> dict[str, Any]:
        for name in ("queue", "table"):
            given[2]("kind", name)
        return {stack: {"queueUrl": stack}}

    monkeypatch.setattr(environment_module, "deploy", deploy)
    counts: list[int] = []
    stage = stage_in(tmp_path)
    stage.deploy_both(counts.append)
    assert sorted(counts) == [1, 2, 3, 4]
    assert stage.fleet.outputs == {side: {"queueUrl": str(side)} for side in SideName}


def test_one_stacks_failure_is_reported_after_the_other_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def deploy(stack: str, *_: Any) -> dict[str, Any]:
        ended.append(stack)
        if stack == "cn":
            raise DeployError("stack cn: refused")
        return {stack: {}}

    monkeypatch.setattr(environment_module, "deploy", deploy)
    with pytest.raises(DeployError, match="stack cn: refused"):
        stage_in(tmp_path).deploy_both()
    assert sorted(ended) == ["cn", "global"]


def test_an_unexpected_error_is_one_line_with_the_log_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(objects: int, kill: bool) -> int:
        raise ModuleNotFoundError("No module named 'regex'")

    monkeypatch.setattr(demo_module, "run", broken)
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    assert command_line.main(["demo"]) == 1
    file = tmp_path / ".sandbox" / "error.log"
    assert capsys.readouterr().err == f"failed: ModuleNotFoundError: No module named 'regex'; details: {file}\n"
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--objects", "0"], "--objects 0: out of range; use a number above 0"),
        (["serve", "--port", "99999"], "--port 99999: out of range; use a port"),
        (["empty", "--port", "-1"], "--port -1: out of range; use a port"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_is_deployed(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "_run", lambda given: 0)
    with pytest.raises(SystemExit, match="2"):
        command_line.main(words)
    assert said in capsys.readouterr().err


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
def test_a_failed_demo_is_reported_in_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Demo) -> None:
        raise error

    monkeypatch.setattr(demo_module.Demo, "run", fail)
    out = io.StringIO()
    assert play(Demo(Console(file=out, width=20))) == 1
    assert out.getvalue() == f"failed: {error}\n"


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda e: type(e).__name__)
def test_a_failed_command_is_reported_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(serve_module, "serve", fail)
    assert command_line.main(["serve"]) == 1
    assert capsys.readouterr().err == f"failed: {error}\n"
