"""Every handler and lookup: importing this registers them."""

from __future__ import annotations

from sandbox.resources import (
    buckets,
    groups,
    identities,
    logs,
    machines,
    queues,
    roles,
    secrets,
    subscription,
    tables,
    tasks,
    topics,
    watching,
)
from sandbox.resources.base import REGISTRY
from sandbox.resources.lookups import LOOKUPS

MODULES = (
    buckets,
    groups,
    identities,
    logs,
    machines,
    queues,
    roles,
    secrets,
    subscription,
    tables,
    tasks,
    topics,
    watching,
)
__all__ = ["LOOKUPS", "MODULES", "REGISTRY"]
