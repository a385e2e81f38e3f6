"""Seeded violations, each of which its rule must find."""

from tests.unit.policy.seeds import (
    access,
    additions,
    confinement,
    naming,
    program,
    runtime,
    second_ways,
    transport,
    wiring,
)

SEEDS = (
    *wiring.SEEDS,
    *program.SEEDS,
    *access.SEEDS,
    *confinement.SEEDS,
    *naming.SEEDS,
    *runtime.SEEDS,
    *additions.SEEDS,
    *transport.SEEDS,
    *second_ways.SEEDS,
)
"""All seeds, in the order of the report."""
