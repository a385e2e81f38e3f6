"""Define what `make explore` explores: rows of histories, each with its own settings, faults and starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.simulation.exploration.acts import TIMES, UPLOADS, acts, sensible, sequences
from tests.simulation.exploration.explorer import Exploration, Explorer, initial, synced
from tests.simulation.exploration.services import Services
from tests.simulation.exploration.state import QUICK_FAULTS, Fault, Limits, State
from tests.simulation.histories.plan import SIDES, Modes

EMPTY = "empty"
"""The start without any object at the key."""
VERSIONS = ("Enabled", "Enabled")
BY_START = Modes(parts=True, uploads_by_start=True)
SYNCED = (*SIDES,)
"""The starts with an object on both sides, by the side where a user wrote it."""


@dataclass(frozen=True, slots=True)
class Row:
    """Histories of one length with the same settings and faults."""

    name: str
    """Name for the report."""
    length: int
    """Acts of users per history."""
    modes: Modes = Modes()
    """The buckets and the settings."""
    limits: Limits = Limits()
    """Faults, finders and workers."""
    starts: tuple[str, ...] = (EMPTY,)
    """Starts: what both sides hold before the first act."""
    times: tuple[str, ...] = tuple(TIMES)
    """Time that passes between acts, as keys of `TIMES`."""
    copies: bool = False
    """True if there is a second key, which is copied to the first one."""
    in_parts: bool = True
    """False to leave out uploads in parts, with which a row would be too large."""
    quick: bool = False
    """True if the row is part of the test suite."""

    def histories(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], str]]:
        """Return all (start, sequence, timing)."""
        for start in self.starts:
            for sequence in sequences(self.length, versioned=any(self.modes.versioning), copies=self.copies):
                kinds = {kind for _, kind in sequence}
                if not sensible(sequence, present=start != EMPTY) or (self.copies and "copy" not in kinds):
                    continue
                if not self.in_parts and kinds & UPLOADS:
                    continue
                for timing in self.times:
                    yield start, sequence, timing


ROWS = (
    Row("two acts", 2, starts=(EMPTY, *SYNCED), times=("same second", "own second"), quick=True),
    Row("two acts, seconds apart", 2, starts=(EMPTY, *SYNCED), times=("seconds apart",)),
    Row(
        "two acts, versions kept",
        2,
        Modes(versioning=VERSIONS),
        times=("own second",),
        starts=(EMPTY, "cn"),
        quick=True,
    ),
    Row("two acts, versions kept, all times", 2, Modes(versioning=VERSIONS), starts=(EMPTY, *SYNCED)),
    Row("two acts, one fault", 2, limits=Limits(1, QUICK_FAULTS), times=("own second",)),
    Row("two acts, a finder run at cn", 2, Modes(grace=0), Limits(finders=(1, 0)), times=("own second",)),
    Row("two acts, a finder run at global", 2, Modes(grace=0), Limits(finders=(0, 1)), times=("own second",)),
    Row("two acts, two workers per side", 2, limits=Limits(workers=(2, 2)), starts=(EMPTY, *SYNCED)),
    Row("two acts, encrypted", 2, Modes(kms=(True, True)), starts=(EMPTY, *SYNCED)),
    Row("two acts, versions kept on one side", 2, Modes(versioning=("Enabled", "")), starts=(EMPTY, *SYNCED)),
    Row("two acts, versions suspended", 2, Modes(versioning=("Suspended", "Suspended")), starts=(EMPTY, *SYNCED)),
    Row("two acts on a synced key, one fault", 2, limits=Limits(1, QUICK_FAULTS), starts=SYNCED),
    Row(
        "two acts, versions kept, one fault",
        2,
        Modes(versioning=VERSIONS),
        Limits(1, QUICK_FAULTS),
        starts=(EMPTY, *SYNCED),
        times=("own second",),
    ),
    Row(
        "two acts, one stalled process",
        2,
        limits=Limits(1, (Fault.STALL,)),
        starts=(EMPTY, *SYNCED),
        times=("own second",),
        in_parts=False,
    ),
    Row("two acts, parts, one fault", 2, Modes(parts=True), Limits(1, QUICK_FAULTS), times=("own second",)),
    Row("two acts, giant parts", 2, Modes(parts=True, giants=True), starts=(EMPTY, *SYNCED)),
    Row(
        "two acts, giant parts, one fault",
        2,
        Modes(parts=True, giants=True),
        Limits(1, QUICK_FAULTS),
        times=("own second",),
    ),
    Row("two acts, uploads by their start", 2, BY_START, starts=(EMPTY, *SYNCED)),
    Row(
        "two acts, uploads by their start, versions kept",
        2,
        replace(BY_START, versioning=VERSIONS),
        starts=(EMPTY, *SYNCED),
        times=("own second",),
    ),
    Row("two acts, uploads by their start, one fault", 2, BY_START, Limits(1, QUICK_FAULTS), times=("own second",)),
    Row("three acts on two keys, with a copy", 3, copies=True, times=("own second",)),
    Row("three acts", 3),
    Row("three acts, versions kept", 3, Modes(versioning=VERSIONS)),
    Row("three acts on a synced key", 3, starts=SYNCED),
    Row(
        "three acts without parts, one fault",
        3,
        limits=Limits(1, QUICK_FAULTS),
        times=("own second",),
        in_parts=False,
    ),
    Row("three acts, one fault", 3, limits=Limits(1, QUICK_FAULTS), times=("own second",)),
)


class Runner:
    """Explores the histories of a row one after the other, and reuses what was computed for earlier ones."""

    def __init__(self, row: Row, services: Services | None = None) -> None:
        self.row = row
        self.services = services or Services(row.modes)
        self._starts: dict[str, State] = {}
        empty = initial(self.services)
        for start in row.starts:
            self._starts[start] = empty if start == EMPTY else synced(self.services, start, empty)

    @property
    def cached(self) -> int:
        """Return the number of nodes that are cached."""
        return len(self.services.automata.nodes)

    def run(self, start: str, sequence: tuple[tuple[str, str], ...], timing: str) -> Exploration:
        """Explore one history."""
        history = acts(sequence, timing)
        return Explorer(self.services, history, self.row.limits, self._starts[start]).run()
