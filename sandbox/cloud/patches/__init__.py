"""What moto lacks of what AWS documents, a module each: what is missing, which page says so, and the cure."""

from __future__ import annotations

from sandbox.cloud.patches import (
    access,
    checksums,
    conditions,
    destinations,
    events,
    fleets,
    identity,
    images,
    logs,
    multipart,
    queues,
    versions,
    ways_out,
)

ALL = (
    identity,
    versions,
    events,
    multipart,
    conditions,
    checksums,
    destinations,
    access,
    queues,
    images,
    ways_out,
    logs,
    fleets,
)


def apply() -> None:
    """Apply every patch to moto's modules in this process. Once."""
    for module in ALL:
        module.apply()
