"""Define the cases of the drill, and run one case in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.cloud.handle import CloudError
from sandbox.environment.deploy import DeployError
from sandbox.environment.workers import ProcessFailedError
from tests.e2e.drill.case_report import CaseReport
from tests.e2e.drill.environment import DeadlineError, Drill, timed
from tests.e2e.drill.runbook import PageError

MIN_COUNT = 20
"""Smallest number of deletions, conflicts and dead letters: above the finder's limit of deletions per run."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of objects, keys and messages that a case uses."""

    deletions: int = 10_000
    """Objects that are deleted by mistake."""

    conflicts: int = 200
    """Keys that are written on both sides."""

    letters: int = 300
    """Messages in the full dead-letter queue."""

    objects: int = 20
    """Objects that users write on each side during an outage."""

    def scaled(self, share: float) -> Sizes:
        """Multiply the numbers by `share`, but keep at least `MIN_COUNT` of each."""
        names = ("deletions", "conflicts", "letters")
        given = {name: max(MIN_COUNT, round(getattr(self, name) * share)) for name in names}
        return replace(self, **given)


@dataclass(frozen=True)
class Case:
    """One fault with its remedy."""

    name: str
    """Name on the command line."""

    title: str
    """Heading of the report."""

    play: Callable[[Drill, Sizes], None]
    """Starts the pair in an empty sandbox, injects the fault, checks status and alarms, and applies the remedy."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the runtime (variables) that differ for this case."""

    config: Callable[[Sizes], Mapping[str, Any]] = lambda sizes: {}
    """Config keys that differ: alarm thresholds in proportion to the sizes."""


def play_case(case: Case, sizes: Sizes) -> CaseReport:
    """Run one case in a sandbox of its own and return its report, also after a failure."""
    report, passed = CaseReport(case.name, case.title), timed()
    try:
        with Drill(report, case.settings, case.config(sizes)) as drill:
            try:
                case.play(drill, sizes)
            except Exception:
                drill.note(f"logs: {drill.stage.workspace.folder / 'logs'}")
                raise
    except (
        DeadlineError,
        PageError,
        ProcessFailedError,
        DeployError,
        CloudError,
        ClientError,
        BotoCoreError,
        OSError,
    ) as e:
        report.failure = f"{type(e).__name__}: {e}"
    report.seconds = passed()
    return report
