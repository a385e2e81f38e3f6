"""This side's own metrics: what is counted in the log lines of worker and finder.

Filters over log lines that are there anyway, rather than metric-format lines: a filter costs nothing, the metric the
same either way. No dimensions: the namespace is the side's own, which is also what makes the zeroes possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.components.monitoring.log_fields import Event, Field, FinderState, Outcome, State


class Source(StrEnum):
    """Whose log."""

    WORKER = "worker"
    FINDER = "finder"


@dataclass(frozen=True, slots=True)
class Counted:
    """One metric: lines of `source` that match `pattern` add `value` (a number, or a field). Counts have zeroes."""

    name: str
    source: Source
    pattern: str
    value: str = "1"
    unit: str = "Count"

    @property
    def default(self) -> str | None:
        """What a minute with other lines reports. Not for durations: their zeroes would be lies."""
        return None if self.unit == "Seconds" else "0"


def equals(field: Field, *values: str) -> str:
    """A filter pattern's term: the field is one of `values`."""
    terms = [f'({field} = "{value}")' for value in values]
    return terms[0] if len(terms) == 1 else f"({' || '.join(terms)})"


def lines(*terms: str) -> str:
    """A filter pattern over JSON lines that meet all `terms`."""
    return f"{{ {' && '.join(terms)} }}"


def outcome(*outcomes: Outcome) -> str:
    """Lines with one of these outcomes."""
    return lines(equals(Field.EVENT, Event.OUTCOME), equals(Field.OUTCOME, *outcomes))


def state(*states: State) -> str:
    """Lines in which a worker says that it is in one of these states."""
    return lines(equals(Field.EVENT, Event.STATE), equals(Field.STATE, *states))


def found(value: FinderState) -> str:
    """Lines in which the finder says this of its run."""
    return lines(equals(Field.EVENT, Event.FINDER), equals(Field.STATE, value))


_MOVED = (Outcome.COPIED, Outcome.PULLED)
_GONE = (Outcome.DELETED, Outcome.REMOVED)
_LOST = (Outcome.FAILED, Outcome.BURIED)
_ALIVE = tuple(s for s in State if s not in (State.GUARD_REFUSED, State.DRAINING, State.STOPPED))

METRICS: tuple[Counted, ...] = (
    Counted("CompletedBytes", Source.WORKER, outcome(*_MOVED), Field.BYTES, "Bytes"),
    Counted("TransferredObjects", Source.WORKER, outcome(*_MOVED)),
    Counted("FailedObjects", Source.WORKER, outcome(*_LOST)),
    Counted("DeletedObjects", Source.WORKER, outcome(*_GONE)),
    Counted("EchoesSuppressed", Source.WORKER, outcome(Outcome.CANCELLED)),
    Counted("Postponed", Source.WORKER, outcome(Outcome.POSTPONED)),
    Counted("Conflicts", Source.WORKER, lines(equals(Field.EVENT, Event.OUTCOME), f"({Field.CONFLICT} IS TRUE)")),
    Counted("PutLag", Source.WORKER, outcome(Outcome.COPIED), Field.LAG_SECONDS, "Seconds"),
    Counted("DeleteLag", Source.WORKER, outcome(Outcome.DELETED), Field.LAG_SECONDS, "Seconds"),
    Counted("HealthyReports", Source.WORKER, state(*_ALIVE)),
    Counted(
        "DeniedSeconds",
        Source.WORKER,
        lines(equals(Field.EVENT, Event.OUTCOME), f"({Field.DENIED_SECONDS} > 0)"),
        Field.DENIED_SECONDS,
        "Seconds",
    ),
    Counted("WaitingForPeer", Source.WORKER, state(State.WAITING_FOR_PEER)),
    Counted("CircuitOpen", Source.WORKER, state(State.CIRCUIT_OPEN)),
    Counted("Paused", Source.WORKER, state(State.PAUSED)),
    Counted("GuardRefused", Source.WORKER, state(State.GUARD_REFUSED)),
    Counted("Fatal", Source.WORKER, lines(equals(Field.EVENT, Event.FATAL))),
    Counted("FinderRuns", Source.FINDER, found(FinderState.FINISHED)),
    Counted("FinderFailed", Source.FINDER, found(FinderState.FAILED)),
    Counted("FinderQueued", Source.FINDER, found(FinderState.FINISHED), Field.QUEUED),
    Counted("HeldDeletions", Source.FINDER, found(FinderState.FINISHED), Field.HELD),
    # Also those that an operator's `dualsync reconcile` holds, whose lines are in no log; until somebody decides.
    Counted("HeldDeletions", Source.WORKER, lines(equals(Field.EVENT, Event.STATE), f"({Field.HELD} > 0)"), Field.HELD),
)
"""All of them; the first three are the guide's. One that is counted in both logs is one metric."""


def register(context: SideContext, log_groups: Mapping[Source, pulumi.Input[str]], parent: pulumi.Resource) -> None:
    """The metric filters."""
    named: set[str] = set()
    for metric in METRICS:
        again = f"-{metric.source}" if metric.name in named else ""
        named.add(metric.name)
        name = context.names.of(f"count-{metric.name}{again}")
        aws.cloudwatch.LogMetricFilter(
            name,
            name=name,
            log_group_name=log_groups[metric.source],
            pattern=metric.pattern,
            metric_transformation=aws.cloudwatch.LogMetricFilterMetricTransformationArgs(
                name=metric.name,
                namespace=context.names.metrics,
                value=metric.value if metric.value == "1" else str(metric.value),
                unit=metric.unit,
                default_value=metric.default,
            ),
            opts=context.options(parent),
        )
