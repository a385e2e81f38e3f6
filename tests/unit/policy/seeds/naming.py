"""Seeded violations of names and tags."""

from __future__ import annotations

from tests.unit.policy.seeding import Seed, put, tags

SEEDS = (
    Seed("untagged", "tagged", kind="Secret", name="dth-dual-cn-credentials", change=put(tags=None)),
    Seed(
        "tagged-as-the-other-side",
        "tagged",
        kind="Cluster",
        name="dth-dual-cn-cluster",
        change=put(tags={**tags(), "dualsync:side": "global"}),
    ),
    Seed("unprefixed", "prefixed", kind="LogGroup", name="dth-dual-cn-worker-log", change=put(name="workers")),
)
