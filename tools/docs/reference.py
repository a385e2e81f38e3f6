"""Reference tables from their sources: config from `Pulumi.yaml`, settings and commands from the code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from dualsync.components.config import stack_config
from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import EXIT_CODES
from dualsync.runtime.settings import describe

ROOT = Path(__file__).parents[2]

SIDE_FACTS = {
    "accountId": ("required", "Account number, 12 digits, in quotes."),
    "region": ("required", "Region of the bucket. It determines the partition."),
    "bucket": ("required", "An existing bucket. It is adopted: never created, changed or deleted."),
    "prefix": ("none", "Only keys under this prefix are synchronised."),
    "prefixListFile": (
        "none",
        "Whole key of a text file in the bucket with one prefix per line, each relative to `prefix`. Only keys under"
        " one of them are synchronised. [Both sides' files must be equal](#only-some-folders-of-a-bucket).",
    ),
    "partition": ("the region's", "`aws`, `aws-cn` …; must be the region's."),
    "profile": ("the shell's", "AWS profile that the deployment uses for the account."),
    "roleArn": ("none", "Role to assume. It must be in the same account and partition."),
    "externalId": ("none", "External id for that role."),
    "endpoint": ("AWS's", "Service address to use instead of AWS's. For local cloud emulators and development only."),
    "userName": ("`dth-dual-user`, or with pair and side", "Name of the dedicated user."),
    "secretName": ("`dth-credentials-<peer's region>`, or with pair and side", "Secret with the peer's key."),
    "formerUserIds": ("none", "Ids of earlier dedicated users whose events may still be queued."),
    "lifecycleExpires": (
        "as the bucket's rules are",
        "`true`: lifecycle rules expire objects of this bucket, so the finder does not treat a missing object as a"
        " deletion. The default is `true` if this stack can't read the rules. It matters only with"
        " `onLifecycleExpiry: ignore`.",
    ),
    "permissionsBoundary": (
        "none",
        "ARN of the policy that every user and role of this side carries as its permissions boundary."
        " The [deploy role](pipelines.md#permissions-boundary) requires it.",
    ),
    "eventsTopicArn": ("none", "SNS topic that receives the bucket's events, if the bucket has another consumer."),
}
"""Keys inside `cn` and `global`: default and description. A test compares them with `stack_config.SIDE_FACTS`."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. Line breaks and bars inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _shown(value: object) -> str:
    return "none" if value in ("", [], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def declared() -> dict[str, Any]:
    """Return the declared keys of `Pulumi.yaml`."""
    document = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    return {key: value for key, value in document["config"].items() if ":" not in key}


def config_of_pair() -> str:
    """Return the keys that must be equal in both stacks."""
    return _config(stack_config.PAIR_OPTIONS)


def config_of_stack() -> str:
    """Return the keys of a stack."""
    return _config(key for key in stack_config.STACK_KEYS if key not in ("cn", "global"))


def config_of_side() -> str:
    """Return the keys that go at the top or inside a side."""
    return _config(stack_config.SIDE_OPTIONS)


def _config(keys: Iterable[str]) -> str:
    known = declared()
    rows = [(f"`{k}`", known[k]["type"], _shown(known[k]["default"]), known[k]["description"]) for k in keys]
    return table(("key", "type", "default", "what it decides"), rows)


def side_facts() -> str:
    """Return the keys that go inside `cn` and `global` only."""
    return table(("key", "default", "what it is"), [(f"`{k}`", d, text) for k, (d, text) in SIDE_FACTS.items()])


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


def command_reference() -> str:
    """Return every command's help."""
    parts = []
    for words, command in sorted(walk()):
        usage = [_argument(p) for p in command.params if not p.opts[0].startswith("-")]
        parts.append(f"## {words}\n\n```text\n{' '.join(['dualsync', words, '[options]', *usage])}\n```\n")
        parts.append("\n\n".join(" ".join(p.split()) for p in (command.help or "").split("\n\n")) + "\n")
        parts.append(_parameters(command))
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
        variable = f" Or variable `{p.envvar}`." if getattr(p, "envvar", None) else ""
        default = p.default if isinstance(p.default, str | int | float) and not isinstance(p.default, bool) else ""
        rows.append((names, f"`{default}`" if default != "" else "", f"{getattr(p, 'help', '') or ''}{variable}"))
    return table(("option", "default", ""), rows)


def command_table() -> str:
    """Return one row per command: its purpose, and whether it asks first."""
    rows = []
    for words, command in sorted(walk()):
        asks = "yes" if "--yes" in option_names(command) else ""
        first = " ".join((command.help or "").split("\n\n")[0].split())
        anchor = words.replace(" ", "-")
        rows.append((f"[`{words}`](commands.md#{anchor})", first, asks))
    return table(("command", "what it does", "asks first"), rows)
