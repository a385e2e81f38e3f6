"""Checks that a ledger is about these two buckets.

A ledger proves that both sides held a version. Read beside another bucket or another prefix, it would make every key
look deleted. So the first process records the buckets in the ledger, and every later one compares.
See `docs/decisions/2026-11-23-right-buckets.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dualsync.runtime.model.records import BUCKET_GUARD, Record
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.settings import Settings

RECORD_ID = "buckets"
"""Id of the only record of its kind."""


def describe_buckets(settings: Settings) -> dict[str, object]:
    """Return both buckets as the settings name them. An account or region that is not set is left out."""
    return {
        name: {key: value for key, value in facts.items() if value or key == "prefix"}
        for name, facts in (
            (
                "local",
                {
                    "bucket": settings.local_bucket,
                    "prefix": settings.local_prefix,
                    "account": settings.local_account,
                    "region": settings.local_region,
                },
            ),
            (
                "remote",
                {
                    "bucket": settings.remote_bucket,
                    "prefix": settings.remote_prefix,
                    "account": settings.remote_account,
                    "region": settings.remote_region,
                },
            ),
        )
    }


async def check_buckets(ledger: Ledger, settings: Settings, clock: Clock) -> str:
    """Return why this ledger is about other buckets; empty if it is about these.

    A ledger without the record gets it now. Raises `RetryableError`.
    """
    now = describe_buckets(settings)
    record = await ledger.get_record(BUCKET_GUARD, RECORD_ID)
    if record is not None:
        return _difference(record.data, now, settings.ledger_table)
    await ledger.record(Record(BUCKET_GUARD, RECORD_ID, int(clock.now()), data=now))
    return ""


def _difference(before: Mapping[str, object], now: Mapping[str, object], table: str) -> str:
    for place, facts in now.items():
        known = before.get(place)
        if not isinstance(known, Mapping) or not isinstance(facts, Mapping):
            continue
        for name in facts:
            if name in known and known[name] != facts[name]:
                return (
                    f"ledger {table} is about {place} {name} {known[name]!r}, the settings name {facts[name]!r}:"
                    " read beside it, every key would look deleted; fix the settings, or, if the change is intended,"
                    " empty the ledger (runbook: GUARD_REFUSED)"
                )
    return ""
