"""Where the pair is: two stacks' outputs, from Pulumi or from a file that holds them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualsync.runtime.errors import FatalError
from dualsync.runtime.settings import PREFIX, Settings, SideName


class NoPair(FatalError):
    """The stacks can't be found; the text says where was looked and what to give instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One side as its stack describes it: the settings of its workers, and the names of its other parts."""

    side: SideName
    settings: Settings
    services: Mapping[str, str] = field(default_factory=dict)
    """`AWS_ENDPOINT_URL` and the like, where the side is not at AWS."""
    facts: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""

    def fact(self, name: str) -> str:
        """An output of the stack, empty if it has none of that name."""
        return self.facts.get(name, "")


@dataclass(frozen=True, slots=True)
class Pair:
    """The stacks that were found; a side that is not deployed is absent."""

    name: str
    stacks: Mapping[SideName, Stack]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """How to find the pair. `file` goes before Pulumi; profiles by side."""

    file: Path | None = None
    project: Path = Path()
    stack_names: Mapping[SideName, str] = field(default_factory=dict)
    profiles: Mapping[SideName, str] = field(default_factory=dict)


def find(where: Where) -> Pair:
    """The pair. Raises `NoPair`."""
    if where.file is not None:
        return parse([_read(where.file)], where.profiles, str(where.file))
    names = [where.stack_names.get(side, str(side)) for side in SideName]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: _ask_pulumi(where.project, name), dict.fromkeys(names)))
    documents = [document for document, _ in answers if document is not None]
    if not documents:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in answers))
        raise NoPair(
            f"no stack's outputs can be read ({reasons}): run it in the project's folder or give --project, or a file"
            " made by `dualsync stacks --save FILE` with --pair"
        )
    return parse(documents, where.profiles, f"Pulumi ({', '.join(dict.fromkeys(names))})")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise NoPair(f"--pair {path}: {why}; make it with `dualsync stacks --save {path}`") from None
    if not isinstance(document, dict):
        raise NoPair(f"--pair {path}: not a JSON object; make it with `dualsync stacks --save {path}`")
    return document


def _ask_pulumi(project: Path, stack: str) -> tuple[Mapping[str, Any] | None, str]:
    command = ["pulumi", "stack", "output", "--json", "--non-interactive", "--stack", stack, "--cwd", str(project)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    except FileNotFoundError:
        return None, "pulumi is not installed here"
    except subprocess.TimeoutExpired:
        return None, f"stack {stack}: pulumi does not answer"
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return None, f"stack {stack}: {lines[0].removeprefix('error: ') if lines else 'pulumi failed'}"
    document = json.loads(done.stdout or "{}")
    return (document, "") if any(side in document for side in SideName) else (None, f"stack {stack} is empty")


def parse(documents: Sequence[Mapping[str, Any]], profiles: Mapping[SideName, str], source: str) -> Pair:
    """Outputs of one or two stacks, merged. Raises `NoPair` for what is no output of this program."""
    stacks: dict[SideName, Stack] = {}
    for document in documents:
        for side in SideName:
            facts = document.get(side)
            if isinstance(facts, dict) and facts:
                stacks[side] = _stack(side, facts, profiles.get(side, ""), source)
    if not stacks:
        raise NoPair(f"{source}: neither cn nor global is in it; deploy a stack first (`pulumi up`)")
    names = {stack.settings.pair for stack in stacks.values()}
    if len(names) > 1:
        raise NoPair(
            f"{source}: the sides belong to different pairs ({', '.join(sorted(names))}): give the right stacks"
        )
    return Pair(names.pop(), stacks)


def _stack(side: SideName, facts: Mapping[str, Any], profile: str, source: str) -> Stack:
    environment = facts.get("environment")
    if not isinstance(environment, dict):
        raise NoPair(f"{source}: {side} has no output `environment`: update the stack with this version (`pulumi up`)")
    variables = {str(name): str(value) for name, value in environment.items()}
    settings = Settings.from_environment({n: v for n, v in variables.items() if n.startswith(PREFIX)})
    if settings.side is not side:
        raise NoPair(
            f"{source}: what stands under {side} is of side {settings.side}: give the stacks the other way round"
        )
    return Stack(
        side=side,
        settings=settings,
        services={n: v for n, v in variables.items() if not n.startswith(PREFIX)},
        facts={str(n): v for n, v in facts.items() if isinstance(v, str)},
        profile=profile or str(facts.get("profile") or ""),
    )


def document_of(pair: Pair) -> dict[str, Any]:
    """The pair as the file that `Where.file` reads. Nothing in it is secret."""
    return {
        str(side): {
            **stack.facts,
            **({"profile": stack.profile} if stack.profile else {}),
            "environment": {**stack.settings.to_environment(), **stack.services},
        }
        for side, stack in pair.stacks.items()
    }
