"""A side's outcomes in CloudWatch Logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.errors import DualSyncError

MAX_PAGES = 20
"""Most pages of log that one question reads."""


class CloudWatchHistory:
    """`dualsync.runtime.operations.context.History` over boto3."""

    def __init__(self, client: Callable[[str], Any], log_group: str, *, threads: Threads) -> None:
        self._client = client
        self._group = log_group
        self._threads = threads

    async def decisions(self, key: str, since: float, limit: int = 20) -> Sequence[Mapping[str, Any]] | None:
        found = await self._lines(line_pattern(key), since, None, None)
        return None if found is None else [line for line in found if line.get("key") == key][-limit:]

    async def outcomes(
        self, outcomes: Sequence[str], since: float, until: float, limit: int
    ) -> Sequence[Mapping[str, Any]] | None:
        terms = " || ".join(f'($.outcome = "{outcome}")' for outcome in outcomes)
        found = await self._lines(f'{{ ($.event = "outcome") && ({terms}) }}', since, until, limit)
        return None if found is None else [line for line in found if line.get("outcome") in outcomes][:limit]

    async def _lines(
        self, filter_pattern: str, since: float, until: float | None, limit: int | None
    ) -> list[Mapping[str, Any]] | None:
        if not self._group:
            return None
        found: list[Mapping[str, Any]] = []
        position: dict[str, Any] = {} if until is None else {"endTime": int(until * 1000)}
        try:
            for _ in range(MAX_PAGES):
                answer = await self._threads.call_service(
                    "logs",
                    self._group,
                    self._client("logs").filter_log_events,
                    logGroupName=self._group,
                    startTime=int(since * 1000),
                    filterPattern=filter_pattern,
                    **position,
                )
                found += [line for event in answer["events"] if (line := _line(event["message"])) is not None]
                if "nextToken" not in answer or (limit is not None and len(found) >= limit):
                    break
                position["nextToken"] = answer["nextToken"]
        except DualSyncError:
            return None
        return found


def line_pattern(key: str) -> str:
    """Return a filter pattern for the key's lines; quotes and backslashes match any character."""
    text = "".join("*" if character in '"\\*' or not character.isprintable() else character for character in key)
    return f'{{ $.key = "{text}" }}'


def _line(text: str) -> Mapping[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and line.get("event") == "outcome" else None
