"""Seeded violations, each of which its rule must find."""

from tests.unit.policy.seeds import access, confinement, naming, program, runtime, second_ways, transport

SEEDS = (
    *program.SEEDS,
    *access.SEEDS,
    *confinement.SEEDS,
    *naming.SEEDS,
    *runtime.SEEDS,
    *transport.SEEDS,
    *second_ways.SEEDS,
)
