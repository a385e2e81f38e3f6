"""Write the config section of `Pulumi.yaml` from the keys that the model declares."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, STACK_KEYS
from dualsync.components.config.options import Option, options_of
from dualsync.components.config.side_options import GROUPS

PAGE = Path(__file__).resolve().parents[2] / "Pulumi.yaml"

BEGIN = "  # Below this line: written by `python -m tools.docs.generate` from components/config.\n"

SHOWN_FACTS = ("accountId", "region", "bucket", "profile")
"""Keys of a side that the file shows by the guide's example; the others are listed in a comment."""

TITLES = {
    "network": "Network.",
    "fleet": "Workers.",
    "finder": "Finder.",
    "watch": "Logs and alarms.",
    "replicas": "Replicas, as this side's worker writes them into the peer's bucket.",
    "security": "Access and encryption.",
}
"""Heading of each group."""


def render(text: str) -> str:
    """Return the file's text with its generated part up to date."""
    head, _, _ = text.partition(BEGIN)
    return head + BEGIN + "\n".join(_sections()) + "\n"


def facts_comment() -> str:
    """Return the comment that lists the keys inside a side."""
    lines = []
    for key, option in SIDE_FACTS.items():
        if key in SHOWN_FACTS:
            continue
        unset = option.declared.unset.replace("`", "") if option.declared.unset else "none"
        text = f"{option.declared.description.replace('`', '')} ({_named(option)}; default: {unset})"
        first = f"  #   {key:<16} "
        lines += textwrap.wrap(text, 119, initial_indent=first, subsequent_indent="  #   " + " " * 17)
    return "\n".join(lines)


def _named(option: Option) -> str:
    return {"string": "text", "array": "list of texts"}.get(option.type, option.type)


def _sections() -> Iterable[str]:
    yield _section(
        "The sides. In a stack's file an object replaces the one above as a whole. Keys of a side besides those shown:",
        [],
        facts_comment(),
    )
    yield _section(
        "The pair. Both stacks must state these alike, apart from keyVersion and protect.", PAIR_OPTIONS.values()
    )
    yield _section("The stack.", STACK_KEYS.values())
    for name, group in GROUPS.items():
        yield _section(TITLES[name], options_of(group, name))


def _section(title: str, options: Iterable[Option], comment: str = "") -> str:
    lines = ["", *textwrap.wrap(title, 119, initial_indent="  # ", subsequent_indent="  # ")]
    if comment:
        lines.append(comment)
    for option in options:
        lines += _declaration(option) if option.has_default else _undeclared(option)
    return "\n".join(lines)


def _declaration(option: Option, default: str = "") -> list[str]:
    lines = [f"  {option.declared.key}:", f"    type: {option.type}"]
    lines += _description(option.declared.description)
    if option.type == "array":
        lines += ["    items:", "      type: string"]
    return [*lines, f"    default: {default or _default(option.default)}"]


def _undeclared(option: Option) -> list[str]:
    """Return the comment for a key without a default: the engine requires a value of each declared key without one."""
    why = "  # No default: the engine would require this key if it were declared. To give it for both stacks:"
    return [why, *(f"  # {line[2:]}" for line in _declaration(option, f"<{option.type}>"))]


def _description(text: str) -> list[str]:
    quoted = json.dumps(text, ensure_ascii=False)
    if len(quoted) < 100:
        return [f"    description: {quoted if ': ' in text or text.startswith(('[', '`')) else text}"]
    return ["    description: >-", *textwrap.wrap(text, 119, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def _default(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
