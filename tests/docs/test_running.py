"""Run the operator's commands that the documentation shows, over the fakes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dualsync.runtime.__main__ import ROLES
from dualsync.runtime.commands.app import app
from tests.docs.pages import operator_lines
from tests.docs.test_commands import resolve
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator
from tools.docs.reference import option_names, walk

ELSEWHERE = {"--run", "--save", "--pair", "--install-completion", "--wait", "--serve", "--html"}
"""Options that start other programs, write files, or wait for an operator: their own tests run them."""

NAMES = ("drop", "init", "limit", "redrive", "resolve", "restore")
"""Commands that need arguments. Without any they are only mentioned."""


def runnable() -> list[tuple[str, ...]]:
    """Whole commands, without those that need another cloud, a file, or a conflict of a certain id."""
    found = set()
    for _, arguments in operator_lines():
        if not arguments or arguments[0] in ROLES or {"ID", "COMMAND", "[options]"} & {*arguments}:
            continue
        command, rest = resolve(arguments)
        if (
            getattr(command, "commands", None)
            or ELSEWHERE & {*arguments}
            or command.name in ("doctor", "smoke", "stacks")
        ):
            continue
        needs = [p for p in command.params if p.required and not p.opts[0].startswith("-")]
        bare = not rest and command.name in NAMES
        if bare or len(needs) > len([a for a in rest if not a.startswith("-")]):
            continue
        found.add(tuple(arguments))
    return sorted(found)


@pytest.mark.parametrize("arguments", runnable(), ids=" ".join)
def test_a_documented_command_succeeds(arguments: tuple[str, ...]) -> None:
    operator = Operator(versioning=Versioning.ENABLED)
    yes = ["--yes"] if "--yes" in option_names(resolve([*arguments])[0]) else []
    answer = operator.call(*arguments, *yes)
    assert answer.code in (0, 3), answer.err


def test_enough_commands_are_run() -> None:
    assert len(runnable()) > 20


@pytest.mark.parametrize("command", sorted(words for words, _ in walk()))
def test_every_command_has_help(command: str) -> None:
    answer = CliRunner().invoke(app, [*command.split(), "--help"])
    assert answer.exit_code == 0
    assert "Usage" in answer.output
