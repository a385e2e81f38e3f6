"""Warnings about a store that lacks conditional writes, a kind of checksums, restore states in listings, or metadata.

A store's first refusal, or the first object without all of its metadata, shows what it lacks; worker and finder log it
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from dualsync.runtime.log import Log
from dualsync.runtime.ports import Clock

STORE_POLL_SECONDS = 60.0
"""Seconds between two checks of the buckets' flags."""


class StoreSupport(Protocol):
    """A bucket that records what its store lacks (`dualsync.runtime.aws.s3.bucket.S3Bucket`)."""

    @property
    def lacks_conditions(self) -> bool:
        """True once the store has refused conditional writes."""

    @property
    def refused_checksums(self) -> Set[str]:
        """Kinds of checksums that the store has refused."""

    @property
    def incomplete_key(self) -> str:
        """Key of the first object whose metadata the store did not return in full; empty if there was none."""


class ListingSupport(Protocol):
    """A bucket's listing (`dualsync.runtime.aws.s3.listing.PageReader`)."""

    refused: bool
    """True once the store has refused to list restore states."""


def warn_of_archives(listings: Mapping[str, ListingSupport], log: Log) -> None:
    """Log which stores do not list whether an archived object is restored."""
    for name, listed in listings.items():
        if listed.refused:
            reason = (
                "does not list which archived objects are restored: each that the peer lacks is checked in each run"
            )
            log.line("WARNING", "store", store=name, reason=f"{reason} (Limits: archived objects)")


async def watch_stores(stores: Mapping[str, StoreSupport], clock: Clock, log: Log) -> None:
    """Log once per store what it lacks. Return when all stores are known to lack conditional writes."""
    conditional = dict(stores)
    logged: set[tuple[str, str]] = set()
    while conditional:
        for name, store in stores.items():
            for kind in sorted(store.refused_checksums):
                if (name, kind) not in logged:
                    logged.add((name, kind))
                    reason = f"refuses checksums of the kind {kind}: its objects are not compared with their source's"
                    log.line("WARNING", "store", store=name, reason=f"{reason} (Limits: large objects)")
            if store.incomplete_key and (name, "metadata") not in logged:
                logged.add((name, "metadata"))
                reason = "metadata that S3 does not return over REST (x-amz-missing-meta) is not copied"
                log.line(
                    "WARNING",
                    "store",
                    store=name,
                    key=store.incomplete_key,
                    reason=f"{reason}; further such objects are not logged (Limits: what does not travel)",
                )
        for name in [name for name, store in conditional.items() if store.lacks_conditions]:
            del conditional[name]
            log.line(
                "WARNING",
                "store",
                store=name,
                reason="refuses conditional writes: each write follows a read, and a write of another program between"
                " both is lost; use a store with If-Match and If-None-Match (Limits: stores that are not S3)",
            )
        await clock.sleep(STORE_POLL_SECONDS)
