"""A store that knows no conditional writes, or not a kind of checksums, or can't tell what is archived: the first one
that it refuses tells, and worker and finder say so."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from dualsync.runtime.log import Log
from dualsync.runtime.ports import Clock

STORE_POLL_SECONDS = 60.0
"""Seconds between two looks at what the buckets have learnt."""


class Store(Protocol):
    """A bucket that learns what its store lacks (`dualsync.runtime.aws.s3.bucket.S3Bucket`)."""

    unconditional: bool

    @property
    def unchecked(self) -> Set[str]:
        """Kinds of checksums."""


class Listed(Protocol):
    """What asks a bucket for its listing (`dualsync.runtime.aws.s3.listing.Pages`)."""

    refused: bool


def tell_of_archives(listings: Mapping[str, Listed], log: Log) -> None:
    """Say which stores were asked what is archived, and refused."""
    for name, listed in listings.items():
        if listed.refused:
            reason = "can't tell which archived objects are restored: a look is sent for each that the peer lacks"
            log.line("WARNING", "store", store=name, reason=f"{reason} (Limits: archived objects)")


async def tell(stores: Mapping[str, Store], clock: Clock, log: Log) -> None:
    """Say it once of each store, by its name; return when none of them knows conditional writes, and that is said."""
    silent = dict(stores)
    said: set[tuple[str, str]] = set()
    while silent:
        for name, store in stores.items():
            for kind in sorted(store.unchecked):
                if (name, kind) not in said:
                    said.add((name, kind))
                    reason = f"refuses checksums of the kind {kind}: its objects are not compared with their source's"
                    log.line("WARNING", "store", store=name, reason=f"{reason} (Limits: large objects)")
        for name in [name for name, store in silent.items() if store.unconditional]:
            del silent[name]
            log.line(
                "WARNING",
                "store",
                store=name,
                reason="knows no conditional writes: each is made after a look, and a write of another program in"
                " between is lost; use a store that knows If-Match and If-None-Match (Limits: stores that are not S3)",
            )
        await clock.sleep(STORE_POLL_SECONDS)
