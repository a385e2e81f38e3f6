"""Find the pair: two stacks' outputs, from Pulumi or from a file that holds them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualsync.runtime.errors import FatalError
from dualsync.runtime.settings import PREFIX, SettingError, Settings, SideName


class PairNotFoundError(FatalError):
    """The stacks can't be found. The text names the places that were searched, and what to give instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One side as its stack describes it: the settings of its workers, and the names of its other parts."""

    side: SideName
    """The side."""
    settings: Settings
    """The settings of its workers."""
    services: Mapping[str, str] = field(default_factory=dict)
    """`AWS_ENDPOINT_URL` and the like, where the side is not at AWS."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """The stack's other outputs that are text."""
    profile: str = ""
    """The operator's AWS profile; empty for the shell's credentials."""

    def fact(self, name: str) -> str:
        """Return an output of the stack, empty if it has none of that name."""
        return self.facts.get(name, "")


@dataclass(frozen=True, slots=True)
class Pair:
    """The stacks that were found."""

    name: str
    """The pair's name."""
    stacks: Mapping[SideName, Stack]
    """By side; a side that is not deployed is absent."""
    notes: Sequence[str] = ()
    """What the operator should know about the outputs, such as settings of a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLocation:
    """How to find the pair."""

    file: Path | None = None
    """A file with both stacks' outputs. It is used instead of Pulumi."""
    project: Path = Path()
    """The Pulumi program's folder."""
    stack_names: Mapping[SideName, str] = field(default_factory=dict)
    """The sides' stacks; default: named as the side."""
    profiles: Mapping[SideName, str] = field(default_factory=dict)
    """The operator's AWS profiles."""


def find_pair(where: PairLocation) -> Pair:
    """Find the pair. Raises `PairNotFoundError`."""
    if where.file is not None:
        return parse_outputs([_read(where.file)], where.profiles, str(where.file))
    names = [where.stack_names.get(side, str(side)) for side in SideName]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: _ask_pulumi(where.project, name), dict.fromkeys(names)))
    documents = [document for document, _ in answers if document is not None]
    if not documents:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in answers))
        raise PairNotFoundError(
            f"no stack's outputs can be read: {reasons}; {_remedy(reasons)}, or give --pair FILE (made by"
            " `dualsync stacks --save FILE`)"
        )
    return parse_outputs(documents, where.profiles, f"Pulumi ({', '.join(dict.fromkeys(names))})")


def _remedy(reasons: str) -> str:
    return "install pulumi" if NO_PULUMI in reasons else "run it in the project's folder, or give --project"


NO_PULUMI = "pulumi is not installed here"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise PairNotFoundError(f"--pair {path}: {why}; make it with `dualsync stacks --save {path}`") from None
    if not isinstance(document, dict):
        raise PairNotFoundError(f"--pair {path}: not a JSON object; make it with `dualsync stacks --save {path}`")
    return document


def _ask_pulumi(project: Path, stack: str) -> tuple[Mapping[str, Any] | None, str]:
    command = ["pulumi", "stack", "output", "--json", "--non-interactive", "--stack", stack, "--cwd", str(project)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    except FileNotFoundError:
        return None, NO_PULUMI
    except subprocess.TimeoutExpired:
        return None, f"stack {stack}: pulumi does not answer"
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return None, f"stack {stack}: {lines[0].removeprefix('error: ') if lines else 'pulumi failed'}"
    document = json.loads(done.stdout or "{}")
    return (document, "") if any(side in document for side in SideName) else (None, f"stack {stack} is empty")


def parse_outputs(documents: Sequence[Mapping[str, Any]], profiles: Mapping[SideName, str], source: str) -> Pair:
    """Merge the outputs of one or two stacks. Raises `PairNotFoundError` for what is no output of this program."""
    stacks: dict[SideName, Stack] = {}
    notes: list[str] = []
    for document in documents:
        for side in SideName:
            facts = document.get(side)
            if isinstance(facts, dict) and facts:
                stacks[side] = _stack(side, facts, profiles.get(side, ""), source, notes)
    if not stacks:
        raise PairNotFoundError(f"{source}: neither cn nor global is in it; deploy a stack first (`pulumi up`)")
    names = {stack.settings.pair for stack in stacks.values()}
    if len(names) > 1:
        raise PairNotFoundError(
            f"{source}: the sides belong to different pairs ({', '.join(sorted(names))}): give the right stacks"
        )
    return Pair(names.pop(), stacks, notes)


def _stack(side: SideName, facts: Mapping[str, Any], profile: str, source: str, notes: list[str]) -> Stack:
    environment = facts.get("environment")
    if not isinstance(environment, dict):
        raise PairNotFoundError(
            f"{source}: {side} has no output `environment`: update the stack with this version (`pulumi up`)"
        )
    variables = {str(name): str(value) for name, value in environment.items()}
    known = set(Settings.variables())
    newer = sorted(n for n in variables if n.startswith(PREFIX) and n not in known)
    if newer:
        notes.append(
            f"{source}: {side} was deployed by a newer version: {', '.join(newer)} not known here and ignored;"
            " update dualsync"
        )
    given = {n: v for n, v in variables.items() if n in known}
    for name, value in Settings.unknown_choices(given).items():
        del given[name]
        notes.append(
            f"{source}: {side}: {name}={value!r} is not known here, so the default is assumed; update dualsync, as a"
            " newer version may have deployed it"
        )
    try:
        settings = Settings.from_environment(given)
    except SettingError as e:
        update = "update dualsync, as a newer version deployed it" if newer else f"run `pulumi up` of {side} again"
        raise PairNotFoundError(f"{source}: {side}: {e}; {update}") from None
    if settings.side is not side:
        raise PairNotFoundError(f"{source}: the entry {side} describes side {settings.side}: swap the two stacks")
    return Stack(
        side=side,
        settings=settings,
        services={n: v for n, v in variables.items() if not n.startswith(PREFIX)},
        facts={str(n): v for n, v in facts.items() if isinstance(v, str)},
        profile=profile or str(facts.get("profile") or ""),
    )


def pair_document(pair: Pair) -> dict[str, Any]:
    """Return the pair as the file that `Where.file` reads. It holds no secret."""
    return {
        str(side): {
            **stack.facts,
            **({"profile": stack.profile} if stack.profile else {}),
            "environment": {**stack.settings.to_environment(), **stack.services},
        }
        for side, stack in pair.stacks.items()
    }
