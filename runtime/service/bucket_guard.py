"""What a ledger's proofs rest on: the very two buckets that it was written about.

A ledger says "both sides held this". Read beside another bucket, or another prefix, it would say of every key that it
was deleted. So the first process writes down which buckets they are, and every later one compares.
See `docs/decisions/2026-11-23-right-buckets.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dualsync.runtime.model.records import PREMISES, Record
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.settings import Settings

RECORD_ID = "buckets"


def premises(settings: Settings) -> dict[str, object]:
    """Both buckets as the deployment names them. An account or region that is not known is left out."""
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


async def of_other_buckets(ledger: Ledger, settings: Settings, clock: Clock) -> str:
    """Why this ledger's proofs are not about these buckets; empty when they are, or when it had none yet: then it is
    written down now. Raises `RetryableError`."""
    now = premises(settings)
    async for record in ledger.records(PREMISES):
        if record.id == RECORD_ID:
            return _difference(record.data, now, settings.ledger_table)
    await ledger.record(Record(PREMISES, RECORD_ID, int(clock.now()), data=now))
    return ""


def _difference(before: Mapping[str, object], now: Mapping[str, object], table: str) -> str:
    for place, facts in now.items():
        known = before.get(place)
        if not isinstance(known, Mapping) or not isinstance(facts, Mapping):
            continue
        for name in facts:
            if name in known and known[name] != facts[name]:
                return (
                    f"ledger {table} is about {place} {name} {known[name]!r}, the settings say {facts[name]!r}: read"
                    " beside it, every key would look deleted; mend the settings, or, if the change is meant, empty"
                    " the ledger (runbook: GUARD_REFUSED)"
                )
    return ""
