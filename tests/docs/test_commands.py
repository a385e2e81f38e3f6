"""Test that the commands in the documentation exist, with the options shown."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dualsync.components.config import declared as declared_keys
from dualsync.components.config.model import SIDE_FACTS
from dualsync.runtime.__main__ import ROLES
from dualsync.runtime.commands.app import app
from tests.docs.pages import ROOT, name, operator_lines, parts, shown, sources, words
from tools.docs.reference import option_names, walk

COMMANDS = dict(walk())
GLOBAL: Any = get_command(app)


def resolve(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that these arguments call, and those after its name. Raises AssertionError."""
    command, rest = GLOBAL, list(arguments)
    while getattr(command, "commands", None):
        while rest and rest[0].startswith("-"):
            option = rest.pop(0)
            assert option in option_names(command) | {"--help", "-h", "--install-completion"}, f"no option {option}"
            if option in ("--help", "-h", "--install-completion"):
                return command, rest
            if not next(p for p in command.params if option in p.opts).is_flag:
                rest.pop(0)
        if not rest or not re.fullmatch(r"[a-z-]+", rest[0]):
            return command, rest
        assert rest[0] in command.commands, f"no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


@pytest.mark.parametrize(
    ("page", "arguments"), operator_lines(), ids=lambda v: v if isinstance(v, str) else " ".join(v)
)
def test_every_operators_command_shown_exists(page: str, arguments: list[str]) -> None:
    if arguments and arguments[0] in ROLES:
        return
    command, rest = resolve([a for a in arguments if a not in ("COMMAND", "[options]")])
    known = option_names(command) | {"--help", "-h"}
    assert {a.split("=")[0] for a in rest if a.startswith("-")} <= known, page


def test_commands_are_found_in_the_documentation() -> None:
    assert len(operator_lines()) > 60
    with pytest.raises(AssertionError, match="no command 'sing'"):
        resolve(["sing"])
    with pytest.raises(AssertionError, match="no option --loud"):
        resolve(["--loud", "status"])


def test_the_operations_page_names_every_command_that_changes_something() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    changing = text[text.index("## What each command changes") : text.index("## Pause a direction")]
    acts = {command for command, c in COMMANDS.items() if "--yes" in option_names(c)}
    for command in acts:
        assert f"`{command}" in changing, command


@pytest.mark.parametrize("page", sources(), ids=name)
def test_every_make_target_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [part for line in shown(page.read_text()) for part in parts(line)]
    wanted = {words(line)[1] for line in lines if line.startswith("make ") and len(words(line)) > 1}
    assert wanted <= targets


def test_make_help_prints_every_target_and_all_are_phony() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):(.*)$", text, re.MULTILINE)
    documented = [target for target, rest in targets if "##" in rest]
    assert documented == [target for target, _ in targets]
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(documented)
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^  make ([a-z-]+) +\S", done.stdout, re.MULTILINE) == documented


@pytest.mark.parametrize("page", sources(), ids=name)
def test_every_module_shown_can_be_run(page: Path) -> None:
    for line in shown(page.read_text()):
        found = re.match(r"(?:\.venv/bin/)?python3? -m ([\w.]+)", line)
        if found and found[1] != "http.server":
            module = importlib.util.find_spec(found[1])
            assert module is not None, found[1]
            assert not module.submodule_search_locations or importlib.util.find_spec(f"{found[1]}.__main__"), found[1]


@pytest.mark.parametrize("page", sources(), ids=name)
def test_every_file_of_the_virtual_environment_shown_is_there(page: Path) -> None:
    """What `make venv` does not bring can't be called: Python, and the project's own scripts."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert '"-e", str(ROOT)' in (ROOT / "tools" / "environment.py").read_text()
    for line in shown(page.read_text()):
        for command in re.findall(r"(?:^|\s)\.venv/bin/([\w-]+)", line):
            assert command in {"python", *scripts}, command


def test_readmes_configuration_exists_with_these_defaults() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    text = (ROOT / "README.md").read_text()
    table = text[text.index("### Configuration") : text.index("## Verify the deployment")]
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", table, re.MULTILINE)
    assert len(rows) > 8
    for keys, defaults in rows:
        names = re.findall(r"`(\w+)`", keys)
        assert set(names) <= set(declared_keys.all_keys())
        values = [v.strip().strip("`") for v in defaults.split(",")]
        if len(values) == len(names) and not defaults.startswith(("the ", "none")):
            assert values == [_text(declared[key]["default"]) for key in names]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_migration_names_all_parameters_and_only_keys_that_exist() -> None:
    text = (ROOT / "docs" / "migration.md").read_text()
    table = text[text.index("## The parameters") : text.index("## What behaves")]
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in re.findall(r"^\|.*\|$", table, re.MULTILINE)][2:]
    assert len(rows) == len({plugin for plugin, _, _ in rows}) == 29
    known = {*declared_keys.all_keys(), *SIDE_FACTS}
    for _, here, remark in rows:
        assert here == "–" or here.strip("`") in known
        assert {key for key in re.findall(r"`(\w+)`", remark) if key not in ("cn", "global")} <= known
