"""A case of the drill, and how it is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.cloud.handle import CloudError
from sandbox.environment.deploy import DeployError
from sandbox.environment.workers import ProcessFailed
from tests.e2e.drill.case_report import Told
from tests.e2e.drill.environment import Night, NotInTime, timed

LEAST = 20
"""More than the finder lets go without asking."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    deletions: int = 10_000
    conflicts: int = 200
    letters: int = 300
    objects: int = 20

    def scaled(self, share: float) -> Sizes:
        """So much of it, and enough of each to be seen."""
        given = {name: max(LEAST, round(getattr(self, name) * share)) for name in ("deletions", "conflicts", "letters")}
        return replace(self, **given)


@dataclass(frozen=True)
class Case:
    """`play` gets a sandbox that is open and empty; it begins it, and tells."""

    name: str
    title: str
    play: Callable[[Night, Sizes], None]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the runtime that differ for this case."""

    config: Callable[[Sizes], Mapping[str, Any]] = lambda sizes: {}
    """Config keys that differ: thresholds in proportion to what happens, so that fewer do."""


def played(case: Case, sizes: Sizes) -> Told:
    """Play one case in a sandbox of its own; what it told, also when it failed."""
    told, passed = Told(case.name, case.title), timed()
    try:
        with Night(told, case.settings, case.config(sizes)) as night:
            try:
                case.play(night, sizes)
            except Exception:
                told.happened.append(f"logs: {night.stage.workspace.folder / 'logs'}")
                raise
    except (NotInTime, ProcessFailed, DeployError, CloudError, ClientError, BotoCoreError, OSError) as e:
        told.failure = f"{type(e).__name__}: {e}"
    told.seconds = passed()
    return told
