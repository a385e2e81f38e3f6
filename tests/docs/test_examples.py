"""Test the recorded examples: one per command, with the program's current labels and options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import FOLDER, ROOT, words
from tests.docs.test_commands import resolve
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator
from tools.docs import reference
from tools.docs.reference import option_names, walk

FILES = sorted(reference.EXAMPLES.glob("*.txt"))

WITHOUT = {"init", "doctor", "report"}
"""Commands without a recorded example: they ask questions, or print what only an account has."""


def call(file: Path) -> list[str]:
    """Return the arguments of the recorded command."""
    return words(file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("$ "))[1:]


def test_every_command_has_an_example() -> None:
    assert {command for command, _ in walk()} - set(reference.examples()) <= WITHOUT


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_recorded_command_exists_with_its_options(file: Path) -> None:
    command, rest = resolve(call(file))
    assert {a for a in rest if a.startswith("-")} <= option_names(command)
    assert not getattr(command, "commands", None)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_an_example_is_complete_and_fits_the_page(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in file.read_text(encoding="utf-8")
    assert str(ROOT) not in file.read_text(encoding="utf-8")


def test_the_status_has_the_rows_that_the_program_prints() -> None:
    """An example goes stale when a row is renamed: the same command over the fakes has the same first column."""
    operator = Operator(versioning=Versioning.ENABLED)
    recorded = (reference.EXAMPLES / "status-healthy.txt").read_text(encoding="utf-8")
    hidden = recorded.partition("zero on both sides:")[2].replace("\n", " ").split(", ")
    known = {*rows(recorded), *(name.strip() for name in hidden)}
    assert len(known) > 10
    assert set(rows(operator.call("status").out)) == known


def rows(status: str) -> list[str]:
    """Return the labels of the rows of a status."""
    table = status[status.index("cn->global   ") :].partition("zero on both sides:")[0]
    return re.findall(r"^(\w[\w' /-]*?)  ", table, re.MULTILINE)


@pytest.mark.parametrize("name", ["status"])
def test_a_picture_of_a_terminal_loads_nothing(name: str) -> None:
    text = (FOLDER / "images" / f"{name}.svg").read_text(encoding="utf-8")
    assert "url(http" not in text
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}
