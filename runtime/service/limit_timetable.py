"""A limit that changes with the time of day: `08:00 20M, 19:00 off`. Pure: the caller passes the time.

The ledger's control record holds it in a member of its own, with a format number. A version that does not know the
format uses the record's fixed limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FORMAT = 1
"""Format of the record's member."""
MAX_RATE = 10**15
"""Bytes or requests per second. More than a petabyte per second is a slip of the hand, or no record of ours."""
MAX_ENTRIES = 48
"""Most changes per day."""
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class LimitChange:
    """From a minute of the day on, this limit holds."""

    minute: int
    """Minutes since midnight."""
    bytes_per_second: int
    """Most bytes of content per second; 0 for no limit."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """Changes of a day, by time. The last one holds until the first one of the next day."""

    changes: Sequence[LimitChange]
    """At least one, in the order of the day."""
    zone: str = "UTC"
    """IANA name of the time zone, such as Asia/Shanghai."""

    def limit_at(self, now: float) -> int:
        """Return the bytes per second that hold at `now`, seconds since the epoch; 0 for no limit."""
        local = datetime.fromtimestamp(now, UTC).astimezone(find_time_zone(self.zone) or UTC)
        minute = local.hour * 60 + local.minute
        past = [change for change in self.changes if change.minute <= minute]
        return (past or list(self.changes))[-1].bytes_per_second

    def data(self) -> dict[str, object]:
        """Return it as the ledger keeps it."""
        return {
            "format": FORMAT,
            "zone": self.zone,
            "changes": [[change.minute, change.bytes_per_second] for change in self.changes],
        }

    @classmethod
    def from_data(cls, data: object) -> Timetable | None:
        """Return the timetable of a record's member; None for none, for another format and for a malformed one."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            return None
        zone, rows = data.get("zone"), data.get("changes")
        if type(zone) is not str or not isinstance(rows, list) or not 0 < len(rows) <= MAX_ENTRIES:
            return None
        changes: list[LimitChange] = []
        for row in rows:
            if not isinstance(row, list) or len(row) != 2 or any(type(value) is not int for value in row):
                return None
            minute, limit = row
            if not 0 <= minute < 24 * 60 or not 0 <= limit <= MAX_RATE or (changes and minute <= changes[-1].minute):
                return None
            changes.append(LimitChange(minute, limit))
        return cls(tuple(changes), zone)


def find_time_zone(name: str) -> tzinfo | None:
    """Return a time zone by its IANA name; None where this machine does not have it."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def parse_minute(text: str) -> int | None:
    """Return the minute of the day that `08:00` names; None for any other text."""
    found = _CLOCK.fullmatch(text)
    return None if found is None else int(found[1]) * 60 + int(found[2])
