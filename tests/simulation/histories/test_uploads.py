"""Test histories of objects copied in parts, also by several workers: no upload is left in the end."""

from __future__ import annotations

import pytest

from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.transfer.stale_uploads import ABANDONED_SECONDS
from tests.simulation.histories.plan import draw
from tests.simulation.histories.simulation import Simulation
from tests.simulation.histories.world import DEDICATED, PEER, ROLES, SimulatedWorld, real_finder, real_worker, sweep_of
from tests.support.fakes.gate import open_gate, run

SEEDS = [seed for seed in range(400) if draw(seed).modes.parts][:60]


def sweep(world: SimulatedWorld, side: str) -> None:
    world.gate = open_gate
    run(sweep_of(world.context(side), DEDICATED[PEER[side]], lambda who: who.startswith(f"{ROLES[side]}:")).run())


@pytest.mark.parametrize("seed", SEEDS)
def test_no_upload_is_left(seed: int) -> None:
    simulation = Simulation(draw(seed), real_worker, real_finder, record=False)
    assert not simulation.run().wrong
    world = simulation.world
    world.time.now += 2 * ABANDONED_SECONDS
    for side in world.stores:
        sweep(world, side)
    for side, store in world.stores.items():
        ours = [u for u in store.uploads.values() if u.initiator.startswith((DEDICATED[side], ROLES[side]))]
        assert not ours
        assert not [r for r in world.tables[side].records.values() if r.kind == UPLOAD]


def test_some_objects_are_copied_in_parts_by_several_workers() -> None:
    assert 10 < sum(draw(seed).modes.giants for seed in SEEDS) < 50
