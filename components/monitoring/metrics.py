"""Count the side's own metrics in the log lines of worker and finder.

Filters count lines that are written anyway. Unlike lines in metric format they cost nothing; the metric's price is the
same. There are no dimensions: the namespace is the side's own, and default values need a metric without dimensions.

A metric is billed per hour in which it gets a value (CloudWatch pricing, "Custom metrics"). So a filter reports only
the lines that it matches, and zeroes only where something reads them (`Counted.zeroes`).
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
    """Process that writes a log."""

    WORKER = "worker"
    """The worker."""
    FINDER = "finder"
    """The finder."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One metric that is counted in log lines."""

    name: str
    """Name of the metric."""
    source: Source
    """Process whose log is read."""
    pattern: str
    """Filter pattern of the lines that count."""
    value: str = "1"
    """Value that each line adds: a number, or a field of the line."""
    unit: str = "Count"
    """Unit of the metric."""
    zeroes: bool = False
    """Whether a minute in which only other lines were written counts as 0, which is billed all month."""


def equals(field: Field, *values: str) -> str:
    """Return a filter pattern's term: the field is one of `values`."""
    terms = [f'({field} = "{value}")' for value in values]
    return terms[0] if len(terms) == 1 else f"({' || '.join(terms)})"


def lines(*terms: str) -> str:
    """Return a filter pattern for JSON lines that meet all `terms`."""
    return f"{{ {' && '.join(terms)} }}"


def outcome(*outcomes: Outcome) -> str:
    """Return a pattern for lines with one of these outcomes."""
    return lines(equals(Field.EVENT, Event.OUTCOME), equals(Field.OUTCOME, *outcomes))


def state(*states: State) -> str:
    """Return a pattern for lines in which a worker reports one of these states."""
    return lines(equals(Field.EVENT, Event.STATE), equals(Field.STATE, *states))


def found(value: FinderState, *terms: str) -> str:
    """Return a pattern for lines in which the finder reports this state of its run, and which meet all `terms`."""
    return lines(equals(Field.EVENT, Event.FINDER), equals(Field.STATE, value), *terms)


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
    # Scaling must see at once that receiving begins again, so its metric has zeroes.
    Counted("NotReceiving", Source.WORKER, state(State.CIRCUIT_OPEN, State.PAUSED), zeroes=True),
    Counted("CircuitOpen", Source.WORKER, state(State.CIRCUIT_OPEN)),
    Counted("Paused", Source.WORKER, state(State.PAUSED)),
    Counted("GuardRefused", Source.WORKER, state(State.GUARD_REFUSED)),
    Counted("Fatal", Source.WORKER, lines(equals(Field.EVENT, Event.FATAL))),
    Counted("FinderRuns", Source.FINDER, found(FinderState.FINISHED)),
    Counted("FinderFailed", Source.FINDER, found(FinderState.FAILED)),
    Counted("FinderQueued", Source.FINDER, found(FinderState.FINISHED, f"({Field.QUEUED} > 0)"), Field.QUEUED),
    Counted("HeldDeletions", Source.FINDER, found(FinderState.FINISHED, f"({Field.HELD} > 0)"), Field.HELD),
    Counted("MissedEvents", Source.FINDER, found(FinderState.NO_EVENTS), Field.WITHOUT_EVENT),
    # Also deletions that an operator's `dualsync reconcile` holds, whose lines are in no log; until they are decided.
    Counted("HeldDeletions", Source.WORKER, lines(equals(Field.EVENT, Event.STATE), f"({Field.HELD} > 0)"), Field.HELD),
)
"""All metrics; the first three are the guide's. One that is counted in both logs is one metric."""


def register(context: SideContext, log_groups: Mapping[Source, pulumi.Input[str]], parent: pulumi.Resource) -> None:
    """Create the metric filters."""
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
                default_value="0" if metric.zeroes else None,
            ),
            opts=context.options(parent),
        )
