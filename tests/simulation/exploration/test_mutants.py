"""Test that exploration finds deliberate faults. Without its fault, each history here ends right by events alone."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

import pytest

from tests.simulation.exploration import explorer
from tests.simulation.exploration.explorer import Exploration
from tests.simulation.exploration.rows import BY_START, EMPTY, Row, Runner
from tests.simulation.exploration.services import Services
from tests.simulation.exploration.state import QUICK_FAULTS, Fault, Limits
from tests.simulation.histories.mutants import MUTANTS, Mutant
from tests.simulation.histories.plan import Modes
from tests.simulation.histories.world import finder_of

BOTH_WRITE = (("cn", "put"), ("global", "put"))
WRITE_AND_DELETE = (("cn", "put"), ("global", "delete"))
WRITTEN_AND_DELETED = (("cn", "put"), ("cn", "delete"))
VERSIONED = Modes(versioning=("Enabled", "Enabled"))
"""A copy that is deleted before its echo was read can be proven to have been there."""


@dataclass(frozen=True, slots=True)
class Caught:
    """A history that shows a fault."""

    mutant: str
    """The mutant's name."""
    sequence: tuple[tuple[str, str], ...]
    """The acts."""
    start: str = EMPTY
    """What is there before."""
    limits: Limits = Limits()
    """Faults besides the deliberate one."""
    modes: Modes = Modes()
    """The buckets and the settings."""
    timing: str = "same second"
    """How much time passes between the acts."""


CAUGHT = (
    Caught("drop the condition", BOTH_WRITE),
    Caught("take 412 for success", BOTH_WRITE),
    Caught("ignore the sequencer", WRITE_AND_DELETE, modes=VERSIONED),
    Caught("acknowledge first", (("cn", "put"),), limits=Limits(1, (Fault.CRASH,))),
    Caught("store no tombstones", WRITE_AND_DELETE, modes=VERSIONED),
    Caught("skip the second record", BOTH_WRITE, limits=Limits(1, (Fault.BATCH,)), timing="own second"),
    Caught("ignore echoes", (("global", "delete"),), start="cn"),
    Caught("win every tie", BOTH_WRITE),
    Caught("drop retries", BOTH_WRITE),
    Caught("apply deletions unchecked", WRITE_AND_DELETE, modes=VERSIONED, timing="own second"),
    Caught("copy replicas back", BOTH_WRITE, limits=Limits(1, (Fault.LATE, Fault.CRASH)), timing="own second"),
    Caught(
        "continue any upload",
        (("cn", "put"), ("cn", "put")),
        limits=Limits(1, (Fault.CRASH, Fault.UNANSWERED)),
        modes=Modes(parts=True),
        timing="own second",
    ),
    Caught("drop the guard", WRITTEN_AND_DELETED),
    Caught("trust replica times", WRITTEN_AND_DELETED),
    Caught("write the ledger blindly", WRITTEN_AND_DELETED, limits=Limits(workers=(2, 2))),
    Caught("delete without proof", (("cn", "delete"), ("global", "put")), start="cn"),
    Caught(
        "read parts of any version",
        (("cn", "put"), ("cn", "put")),
        limits=Limits(1, QUICK_FAULTS),
        modes=Modes(parts=True),
    ),
    Caught("complete with missing parts", (("cn", "put"),), modes=Modes(parts=True)),
    Caught("believe a completion", WRITE_AND_DELETE, modes=BY_START, timing="own second"),
)
MAX_STATES = 50_000
"""States of one history here: more means that its schedules have no end."""


def explore(caught: Caught, mutant: Mutant | None) -> Exploration:
    """Explore the history with the fault in both sides' processes, or without it."""
    row = Row("", len(caught.sequence), caught.modes, caught.limits, starts=(caught.start,))
    if mutant is None:
        return Runner(row).run(caught.start, caught.sequence, caught.timing)
    with ExitStack() as stack:
        for target, name, new in mutant.patches:
            stack.enter_context(patch.object(target, name, new))
        services = Services(
            row.modes,
            lambda context: mutant.make(mutant.context(context)),
            lambda context: finder_of(mutant.finder_context(context)),
        )
        return Runner(row, services).run(caught.start, caught.sequence, caught.timing)


@pytest.mark.parametrize("caught", CAUGHT, ids=lambda caught: caught.mutant)
def test_exploration_finds_a_deliberate_fault(caught: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "MAX_STATES", MAX_STATES)
    mutant = next(each for each in MUTANTS if each.name == caught.mutant)
    faulty = explore(caught, mutant)
    assert faulty.wrong or faulty.needed_finder or faulty.cut
    sound = explore(caught, None)
    assert not sound.wrong
    assert not sound.needed_finder
    assert not sound.cut
