"""Save Logs Insights queries for frequent questions, in the console under the side's name."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.components.monitoring.log_fields import ECHO_LINE


@dataclass(frozen=True, slots=True)
class Query:
    """A saved query."""

    title: str
    """Name of the query."""
    text: str
    """The query."""
    worker: bool = True
    """Whether it reads the workers' log."""
    finder: bool = False
    """Whether it reads the finder's log."""


QUERIES: tuple[Query, ...] = (
    Query(
        "Failures",
        "fields @timestamp, event, outcome, state, key, reason, message\n"
        "| filter level in ['WARNING', 'ERROR', 'CRITICAL']\n| sort @timestamp desc\n| limit 200",
        finder=True,
    ),
    Query(
        "History of a key",
        "fields @timestamp, direction, outcome, cause, bytes, lag_seconds, reason, correlation\n"
        "| filter key = 'PUT/THE/KEY/HERE'\n| sort @timestamp desc\n| limit 200",
    ),
    Query(
        "Way of an event",
        "fields @timestamp, key, outcome, attempt, lag_seconds, reason\n"
        "| filter correlation = 'PUT/ITS/CORRELATION/HERE'\n| sort @timestamp asc\n| limit 200",
    ),
    Query(
        "Conflicts",
        "fields @timestamp, key, outcome, reason, correlation\n| filter conflict = 1\n"
        "| sort @timestamp desc\n| limit 200",
    ),
    Query(
        "Echoes suppressed",
        f"fields @timestamp, key, correlation\n| filter message = '{ECHO_LINE}'\n| sort @timestamp desc\n| limit 200",
    ),
    Query(
        "Slowest changes",
        "fields @timestamp, key, outcome, lag_seconds, bytes\n| filter ispresent(lag_seconds)\n"
        "| sort lag_seconds desc\n| limit 100",
    ),
    Query(
        "Lag by five minutes",
        "filter ispresent(lag_seconds)\n| stats count() as changes, pct(lag_seconds, 50) as median, "
        "pct(lag_seconds, 99) as p99, max(lag_seconds) as longest by bin(5m), outcome",
    ),
    Query(
        "Outcomes and their reasons",
        "filter event = 'outcome'\n| stats count() as times by outcome, reason\n| sort times desc",
    ),
    Query(
        "Workers' states",
        "fields @timestamp, state, reason, @logStream\n| filter event = 'state' or event = 'fatal'\n"
        "| sort @timestamp desc\n| limit 200",
    ),
    Query(
        "Finder's runs",
        "fields @timestamp, state, here, there, queued, archived, held, reason\n| filter event = 'finder'\n"
        "| sort @timestamp desc\n| limit 100",
        worker=False,
        finder=True,
    ),
)
"""All saved queries."""


def register(
    context: SideContext, worker_log: pulumi.Input[str], finder_log: pulumi.Input[str], parent: pulumi.Resource
) -> None:
    """Create the query definitions, in a folder with the side's prefix."""
    for query in QUERIES:
        groups = ([worker_log] if query.worker else []) + ([finder_log] if query.finder else [])
        name = f"{context.names.prefix}/{query.title}"
        aws.cloudwatch.QueryDefinition(
            name, name=name, query_string=query.text, log_group_names=groups, opts=context.options(parent)
        )
