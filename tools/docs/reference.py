"""Reference tables from their sources: config from `Pulumi.yaml`, settings and commands from the code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, SIDE_OPTIONS, STACK_KEYS
from dualsync.components.config.options import Option
from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import EXIT_CODES
from dualsync.runtime.settings import describe

ROOT = Path(__file__).parents[2]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. Line breaks, bars and angle brackets inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(prose(text).replace("|", "\\|").split())


def prose(text: str) -> str:
    """Return a text of the program as Markdown: `<stack>` outside of code is no HTML."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def plain(text: str) -> str:
    """Return a text that is no Markdown as Markdown: asterisks in it are no emphasis."""
    return text.replace("*", "\\*")


def _shown(value: object) -> str:
    return "none" if value in ("", [], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def config_of_pair() -> str:
    """Return the table of keys that both stacks must state alike."""
    return _config(PAIR_OPTIONS.values())


def config_of_stack() -> str:
    """Return the table of keys that are about the stack alone."""
    return _config(STACK_KEYS.values())


def config_of_side() -> str:
    """Return the table of keys that may be at the top or inside a side."""
    return _config(SIDE_OPTIONS.values())


def _config(options: Iterable[Option]) -> str:
    rows = [
        (f"`{o.declared.key}`", o.type, o.declared.unset or _shown(o.default), o.declared.description) for o in options
    ]
    return table(("key", "type", "default", "what it decides"), rows)


def side_facts() -> str:
    """Return the table of keys inside `cn` and `global` only."""
    rows = [
        (f"`{o.declared.key}`", o.declared.unset or _shown(o.default), o.declared.description)
        for o in SIDE_FACTS.values()
    ]
    return table(("key", "default", "what it is"), rows)


def settings() -> str:
    """Return the environment variables of worker and finder."""
    rows = [(f"`{name}`", "required" if d == "required" else _shown(d), text) for name, d, text in describe()]
    return table(("variable", "default", "what it is"), rows)


def walk(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with its words (`deletions list`), without groups."""
    command = command or get_command(app)
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        yield " ".join(path), command
        return
    for name, sub in subcommands.items():
        yield from walk(sub, (*path, name))


def option_names(command: Any) -> set[str]:
    """Return the options of a command, long and short."""
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}


def common_options() -> str:
    """Return the options that go before the command's name."""
    return _parameters(get_command(app))


def exit_codes() -> str:
    """Return the meaning of the exit codes, as the command line prints it."""
    return EXIT_CODES + "\n"


EXAMPLES = ROOT / "docs" / "examples"
"""What commands print, recorded by `tools.docs.captures`: the command line after a `$`, then its output."""


def examples() -> dict[str, list[tuple[str, str]]]:
    """Return by command its recorded calls, each as (arguments, output)."""
    found: dict[str, list[tuple[str, str]]] = {}
    commands = {words for words, _ in walk()}
    for file in sorted(EXAMPLES.glob("*.txt")):
        line, _, output = file.read_text(encoding="utf-8").partition("\n")
        arguments = line.removeprefix("$ dualsync ")
        first, second = (arguments + " ").split(" ")[:2]
        words = first if first in commands else f"{first} {second}"
        found.setdefault(words, []).append((arguments, output))
    return found


def command_reference() -> str:
    """Return every command's help, with an example of what it prints."""
    parts = []
    recorded = examples()
    for words, command in sorted(walk()):
        usage = [_argument(p) for p in command.params if not p.opts[0].startswith("-")]
        parts.append(f"## {words}\n\n```text\n{' '.join(['dualsync', words, '[options]', *usage])}\n```\n")
        parts.append("\n\n".join(" ".join(prose(p).split()) for p in (command.help or "").split("\n\n")) + "\n")
        parts.append(_parameters(command))
        for arguments, output in recorded.get(words, ()):
            parts.append(f"```shell\ndualsync {arguments}\n```\n\n```{{.text .output}}\n{output}```\n")
    return "\n".join(parts)


def _argument(parameter: Any) -> str:
    """Return an argument's name in the brackets of the usage line: `<required>` or `[optional]`."""
    return f"<{parameter.name}>" if parameter.required else f"[{parameter.name}]"


def _parameters(command: Any) -> str:
    rows = []
    for p in command.params:
        if getattr(p, "hidden", False) or p.name in ("help", "install_completion", "show_completion"):
            continue
        names = ", ".join(f"`{name}`" for name in p.opts if name.startswith("-")) or f"`{_argument(p)}`"
        given = getattr(p, "envvar", None)
        # The first is the name; the others are those of earlier versions.
        name = given[0] if isinstance(given, list | tuple) else given
        variable = f" Or variable `{name}`." if name else ""
        default = p.default if isinstance(p.default, str | int | float) and not isinstance(p.default, bool) else ""
        rows.append((names, f"`{default}`" if default != "" else "", f"{getattr(p, 'help', '') or ''}{variable}"))
    return table(("option", "default", "what it does"), rows)


def command_table() -> str:
    """Return one row per command: its purpose, and whether it asks first."""
    rows = []
    for words, command in sorted(walk()):
        asks = "yes" if "--yes" in option_names(command) else ""
        first = " ".join((command.help or "").split("\n\n")[0].split())
        anchor = words.replace(" ", "-")
        rows.append((f"[`{words}`](commands.md#{anchor})", first, asks))
    return table(("command", "what it does", "asks first"), rows)
