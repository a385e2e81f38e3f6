"""Violations, each of which its rule must find."""

from tests.unit.policy.seeds import access, program, runtime

SEEDS = (*program.SEEDS, *access.SEEDS, *runtime.SEEDS)
