"""Find the pair: two stacks' outputs, from Pulumi or from a file that holds them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
    unreadable: Mapping[SideName, str] = field(default_factory=dict)
    """Sides whose stack exists, as far as is known, and cannot be read: why, and what to do."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What Pulumi answers about a stack."""

    outputs: Mapping[str, Any] | None = None
    """The stack's outputs; None if there are none of a side."""
    problem: str = ""
    """Why there are none."""
    absent: bool = False
    """Whether there is no such stack, or nothing in it."""


def find_pair(where: PairLocation) -> Pair:
    """Find the pair. Raises `PairNotFoundError`."""
    if where.file is not None:
        return parse_outputs([_read(where.file)], where.profiles, str(where.file))
    names = {side: where.stack_names.get(side, str(side)) for side in SideName}
    stacks = list(dict.fromkeys(names.values()))
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(stacks, pool.map(lambda name: _ask_pulumi(where.project, name), stacks), strict=True))
    documents = [answer.outputs for answer in answers.values() if answer.outputs is not None]
    if not documents:
        reasons = "; ".join(dict.fromkeys(answer.problem for answer in answers.values()))
        raise PairNotFoundError(
            f"no stack's outputs can be read: {reasons}; {_remedy(reasons)}, or give --pair FILE (made by"
            " `dualsync stacks --save FILE`)"
        )
    pair = parse_outputs(documents, where.profiles, f"Pulumi ({', '.join(stacks)})")
    return _with_missing_sides(pair, {side: answers[name] for side, name in names.items()})


def _with_missing_sides(pair: Pair, answers: Mapping[SideName, _Answer]) -> Pair:
    """Return the pair with the reason why a side is not in it: a command for both would reach the other one alone."""
    notes, unreadable = list(pair.notes), {}
    for side, answer in answers.items():
        if side in pair.stacks or answer.outputs is not None:
            continue
        if answer.absent:
            notes.append(f"side {side}: {answer.problem}, so it is not reached; give --stack-{side} NAME of another")
        else:
            unreadable[side] = f"side {side}: {answer.problem}; repair that, or give --pair FILE"
    return replace(pair, notes=notes, unreadable=unreadable)


def _remedy(reasons: str) -> str:
    return "install pulumi" if NO_PULUMI in reasons else "run it in the project's folder, or give --project"


NO_PULUMI = "pulumi is not installed here"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise PairNotFoundError(f"--pair {path}: {why}; make it with `dualsync stacks --save {path}`") from None
    if not isinstance(document, dict):
        raise PairNotFoundError(f"--pair {path}: not a JSON object; make it with `dualsync stacks --save {path}`")
    return document


def _ask_pulumi(project: Path, stack: str) -> _Answer:
    command = ["pulumi", "stack", "output", "--json", "--non-interactive", "--stack", stack, "--cwd", str(project)]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=120
        )
    except FileNotFoundError:
        return _Answer(problem=NO_PULUMI)
    except OSError as e:
        return _Answer(problem=f"pulumi can't be started: {e.strerror}")
    except subprocess.TimeoutExpired:
        return _Answer(problem=f"stack {stack}: pulumi does not answer")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # Warnings, such as of a newer version, may stand first.
        error = next((line for line in lines if line.startswith("error:")), lines[0] if lines else "pulumi failed")
        why = error.removeprefix("error:").strip()
        return _Answer(problem=f"stack {stack}: {why}", absent=why.startswith("no stack named"))
    try:
        document = json.loads(done.stdout or "{}")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return _Answer(problem=f"stack {stack}: pulumi answers with something else than outputs")
    if not any(side in document for side in SideName):
        return _Answer(problem=f"stack {stack} is empty", absent=True)
    return _Answer(outputs=document)


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
        facts={str(n): v for n, v in facts.items() if isinstance(v, str)} | _account(facts),
        profile=profile or str(facts.get("profile") or ""),
    )


def _account(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the account as text: a number, as other programs write it, has lost its leading zeros."""
    account = facts.get("accountId")
    return {"accountId": f"{account:012}"} if type(account) is int else {}


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
