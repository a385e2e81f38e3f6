"""Format numbers and times for readers."""

from __future__ import annotations

from datetime import UTC, datetime

from dualsync.runtime.service.limit_timetable import Timetable

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`; a dash for None."""
    if seconds is None:
        return "–"
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def size(count: float) -> str:
    """Bytes with a binary unit."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def rate(count: float) -> str:
    """Bytes a second as they are given to `limit`: `1M` is a million, `1Mi` is 1,048,576."""
    step, units = (1024, _UNITS) if count % 1024 == 0 else (1000, ("B", "kB", "MB", "GB", "TB", "PB"))
    unit = units[0]
    for unit in units:
        if count < step or unit == units[-1]:
            break
        count /= step
    return f"{count:g} {unit}/s" if count == round(count, 3) else f"{count:.1f} {unit}/s"


def timetable_text(timetable: Timetable) -> str:
    """Return a day's limits in the form that `limit` takes: `08:00 20 MB/s, 19:00 off (Asia/Shanghai)`."""
    changes = ", ".join(
        f"{c.minute // 60:02}:{c.minute % 60:02} {rate(c.bytes_per_second) if c.bytes_per_second else 'off'}"
        for c in timetable.changes
    )
    return f"{changes} ({timetable.zone})"


def count_text(count: int, word: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {word}{'s' if count != 1 else ''}"


def local_time(seconds: float) -> str:
    """Local time to the second, with its offset from UTC (`Z` for none); a dash for 0.

    A time that no calendar has, as a spoiled record may hold it, is shown as a number.
    """
    if not seconds:
        return "–"
    try:
        local = datetime.fromtimestamp(seconds, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s after 1970"
    offset = local.strftime("%z")
    return local.strftime("%Y-%m-%d %H:%M:%S") + ("Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}")


def short_local_time(seconds: float) -> str:
    """Local month, day, hour and minute, for a column of a list; a dash for 0."""
    return local_time(seconds)[5:16] if seconds else local_time(seconds)


def number(count: int) -> str:
    """Thousands apart."""
    return f"{count:,}".replace(",", " ")
