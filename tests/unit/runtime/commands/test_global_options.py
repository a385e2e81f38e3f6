"""Test global options before and after a command, environment variables, versions and early validation."""

from __future__ import annotations

import asyncio
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dualsync.runtime.commands.app import app, global_options_first, option_without_value
from dualsync.runtime.commands.session import Session
from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.records import FINDER_RUN, WORKER, Record
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.stacks import PairLocation, PairNotFoundError, find_pair
from dualsync.runtime.settings import VERSION, Settings, SideName
from tests.support.lost_ledger import lose_ledger
from tests.support.operator_harness import Operator, settings

CN, GLOBAL = SideName.CN, SideName.GLOBAL
ROOT = Path(__file__).resolve().parents[4]


def where(*arguments: str, **environment: str) -> tuple[PairLocation, str]:
    """Return how a call finds the pair, and what it prints on stderr."""
    seen: list[PairLocation] = []

    async def open_context(given: PairLocation) -> OperatorContext:
        seen.append(given)
        return Operator().context()

    result = CliRunner().invoke(app, list(arguments), obj=Session(open_context=open_context), env=environment)
    assert seen, result.stderr
    return seen[0], result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pair", "p.json", "--profile-cn", "ann", "status"),
        ("status", "--pair", "p.json", "--profile-cn", "ann"),
        ("status", "--profile-cn=ann", "--pair=p.json"),
        ("dlq", "list", "--pair", "p.json", "cn", "--profile-cn", "ann"),
    ],
)
def test_global_options_are_accepted_before_and_after_the_command(arguments: tuple[str, ...]) -> None:
    found, _ = where(*arguments)
    assert found.file == Path("p.json")
    assert found.profiles == {CN: "ann"}


def test_arguments_after_two_dashes_are_no_options() -> None:
    assert global_options_first(["explain", "--", "--pair", "x"]) == ["explain", "--", "--pair", "x"]


@pytest.mark.parametrize("arguments", [("status", "--pair"), ("pause", "cn", "--yes", "--profile-cn"), ("--stack-cn",)])
def test_global_option_without_its_value_is_named(arguments: tuple[str, ...]) -> None:
    answer = Operator().call(*arguments)
    assert answer.code == 2
    assert f"Option '{arguments[-1]}' requires an argument." in answer.err


def test_option_that_is_being_completed_is_no_error() -> None:
    assert option_without_value(["explain", "--", "--pair"]) == ""
    assert option_without_value(["--pair", "--pair"]) == ""
    words = {"_DUALSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "dualsync status --pair ", "COMP_CWORD": "3"}
    assert CliRunner().invoke(app, [], env=words, prog_name="dualsync").exit_code == 0


def test_environment_variables_set_global_options() -> None:
    found, err = where("status", DUALSYNC_PAIR="p.json", DUALSYNC_PROFILE_GLOBAL="bob", DUALSYNC_STACK_CN="prod-cn")
    assert (found.file, found.profiles, found.stack_names) == (Path("p.json"), {GLOBAL: "bob"}, {CN: "prod-cn"})
    assert "deprecated" not in err


def test_variables_of_version_0_1_are_read_with_a_deprecation_note() -> None:
    found, err = where("status", DUALSYNCCTL_PAIR="p.json")
    assert found.file == Path("p.json")
    assert "note: DUALSYNCCTL_PAIR is deprecated: set DUALSYNC_PAIR instead" in err


def test_pair_name_of_a_worker_is_not_read_as_a_file() -> None:
    """On a worker, DUALSYNC_PAIR is the pair's name."""
    assert where("status", DUALSYNC_PAIR="dth-dual", DUALSYNC_SIDE="cn")[0].file is None


def test_operator_variables_are_accepted_by_the_settings() -> None:
    environment = settings(CN).to_environment() | {"DUALSYNC_PROFILE_CN": "ann", "DUALSYNC_PROJECT": "."}
    assert Settings.from_environment(environment) == settings(CN)


def test_version_option_needs_no_pair() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"dualsync {VERSION}\n")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_different_versions_are_reported() -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    assert operator.call("version").code == 0
    now = int(operator.time.now)
    for record in (
        Record(WORKER, "new", now, data={"state": "RUNNING", "version": "9.9.9"}),
        Record(WORKER, "gone", now - 9999, data={"state": "RUNNING", "version": "7.7.7"}),
        Record(FINDER_RUN, "last", now, data={"version": "8.8.8"}),
    ):
        asyncio.run(operator.cn.ledger.record(record))
    answer = operator.call("version", "--json")
    assert answer.code == 3
    assert answer.data["sides"]["cn"] == {"workers": {VERSION: 1, "9.9.9": 1}, "finder": "8.8.8"}
    assert "The versions differ" in operator.call("version").out


def test_missing_ledger_leaves_the_version_of_the_other_side() -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    lose_ledger(operator)
    answer = operator.call("version", "--json")
    assert list(answer.data["sides"]) == ["global"]
    assert "the versions of cn can't be read from its ledger: dynamodb" in answer.err


def pair_file(folder: Path, **more: str) -> Path:
    document = {side: {"environment": settings(side).to_environment() | more} for side in SideName}
    file = folder / "pair.json"
    file.write_text(json.dumps(document))
    return file


def test_newer_pair_file_is_read_with_a_note(tmp_path: Path) -> None:
    pair = find_pair(PairLocation(file=pair_file(tmp_path, DUALSYNC_NEW_THING="7")))
    assert pair.stacks[CN].settings == settings(CN)
    assert len(pair.notes) == 2
    assert "cn was deployed by a newer version: DUALSYNC_NEW_THING not known here and ignored" in pair.notes[0]


def test_unknown_choice_of_a_newer_version_is_ignored_with_a_note(tmp_path: Path) -> None:
    pair = find_pair(PairLocation(file=pair_file(tmp_path, DUALSYNC_CONFLICT_POLICY="by-vote")))
    assert pair.stacks[CN].settings == settings(CN)
    assert "DUALSYNC_CONFLICT_POLICY='by-vote' is not known here" in pair.notes[0]


def test_broken_pair_file_names_file_and_side(tmp_path: Path) -> None:
    file = pair_file(tmp_path, DUALSYNC_QUEUE_URL="")
    with pytest.raises(PairNotFoundError, match=r"pair.json: cn: DUALSYNC_QUEUE_URL is empty"):
        find_pair(PairLocation(file=file))


@pytest.mark.parametrize(
    "words",
    [
        ("pause",),
        ("limit", "--bytes", "1M"),
        ("drain", "--then-pause"),
        ("dlq", "redrive", "--all"),
        ("dlq", "drop", "--all"),
        ("reconcile",),
        ("deletions", "approve"),
    ],
)
def test_unknown_direction_is_refused_before_confirmation(words: tuple[str, ...]) -> None:
    answer = Operator().call(*words, "mars")
    assert answer.code == 2
    assert "direction 'mars': use cn" in answer.err
    assert "?" not in answer.err
    assert "--yes" not in answer.err


def test_side_that_does_not_answer_is_a_failure_and_no_wrong_setting() -> None:
    """A script that tries again after exit code 1 waits out a lost network."""
    operator = Operator()

    async def open_context(given: PairLocation) -> OperatorContext:
        context = operator.context(CN, unreachable={GLOBAL: "side global cannot be reached"})
        return replace(context, unavailable=frozenset({GLOBAL}))

    result = CliRunner().invoke(app, ["pause", "--yes"], obj=Session(open_context=open_context))
    assert result.exit_code == 1
    assert result.stderr == "error: UnavailableError: side global cannot be reached\n"


def test_changing_command_is_refused_if_a_side_is_unreachable() -> None:
    operator = Operator()

    async def open_context(given: PairLocation) -> OperatorContext:
        return operator.context(CN, unreachable={GLOBAL: "side global: profile 'x' is signed out: run `aws sso login`"})

    result = CliRunner().invoke(app, ["pause", "--yes"], obj=Session(open_context=open_context))
    assert result.exit_code == 2
    assert "side global: profile 'x' is signed out: run `aws sso login`" in result.stderr
    with pytest.raises(FatalError, match="signed out"):
        asyncio.run(open_context(PairLocation())).both()
