"""One-way pairs: histories of the same kinds, run with workers at the source alone, and judged by the mirror rule.

The judge keeps for each key what the source shows, and who wrote what the destination shows. It knows no algorithm:

- no worker writes or deletes at the source;
- what the source shows, the destination shows;
- what a worker deletes at the destination is a copy of the source's, and the source holds nothing then;
- what exists at the destination alone was written there, or is a copy that a lifecycle rule took at the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.simulation.histories.model import BESIDE, Failure, Finding
from tests.simulation.histories.plan import History, Modes, Op, draw
from tests.simulation.histories.result import Result
from tests.simulation.histories.simulation import Simulation
from tests.simulation.histories.users import WORKERS, Users, content_of, show
from tests.simulation.histories.world import (
    PEER,
    MakeFinder,
    MakeWorker,
    SimulatedWorld,
    real_finder,
    real_worker,
)
from tests.support.fakes.notification import Event
from tests.support.fakes.store import Store, Version

DIRECTIONS = {"cn-to-global": "cn", "global-to-cn": "global"}
_LEDGER = ("forget", "restore")
"""A lost ledger has lost the proofs of deletions; docs/consistency.md names that for both kinds of pairs."""


def draw_one_way(seed: int, length: int = 30) -> History:
    """The history of this seed, with one direction. The seed's two-way history is drawn as ever."""
    history = draw(seed, length)
    direction = Random(seed ^ 0x01E3A7).choice(sorted(DIRECTIONS))
    source = DIRECTIONS[direction]
    modes = replace(
        history.modes,
        policy="newest",
        keep_loser=False,
        settings=(*history.modes.settings, ("direction", direction)),
        windows=tuple(window for window in history.modes.windows if window.side == source),
    )
    ops = tuple(op for op in history.ops if op.kind not in _LEDGER)
    return replace(history, modes=modes, ops=ops)


@dataclass(slots=True)
class Mirrored:
    """What is known of a key."""

    copy: bool = False
    """Whether a worker wrote what the destination shows."""
    body: bytes = b""
    """The content that the last copy had."""
    expired: set[str] = field(default_factory=set)
    """Names of what a lifecycle rule took at the source, and of what the destination showed then."""
    unmet: set[str] = field(default_factory=set)
    """Names of what both sides held before and the source lost before any finder recorded it."""
    unheard: bool = False
    """Whether an event of the source's was lost."""
    broken: list[str] = field(default_factory=list)
    """What went wrong on the way."""


class MirrorUsers(Users):
    """The users, and the judge of a mirror."""

    def __init__(self, world: SimulatedWorld, modes: Modes) -> None:
        (self.source,) = world.carriers
        self.destination = PEER[self.source]
        self.keys: dict[str, Mirrored] = {}
        super().__init__(world, modes)

    def of(self, key: str) -> Mirrored:
        """What is known of this key."""
        return self.keys.setdefault(key, Mirrored())

    def _seed(self, op: Op) -> None:
        """Both sides hold it from before, which is as good as a copy: a deletion of it is carried on."""
        super()._seed(op)
        known = self.of(self.world.relative(op.side, op.key) or "")
        known.copy, known.body = True, self.body(op)

    def judge(self, *, strict: bool) -> list[Finding]:
        """What is wrong now."""
        stores, found = self.world.stores, []
        names = {self.world.relative(side, key) for side, store in stores.items() for key in store.keys}
        for key in sorted({name for name in names if name is not None} | set(self.keys)):
            known = self.of(key)
            here, there = (
                show(stores[side].current(self.world.prefix(side) + key)) for side in (self.source, self.destination)
            )
            found += [Finding(Failure.ECHO, key, f"{key!r}: {text}") for text in known.broken]
            if key == BESIDE:
                continue
            if here is not None and here != there and not (there is None and self.world.modes.expires):
                text = f"{key!r}: {self.source} shows {here[0]}, {self.destination} {there[0] if there else 'nothing'}"
                # No listing shows it, if it happened while the copy's own time may lie (docs/limits.md).
                alike = there is not None and here[1] == there[1] and not known.copy
                excuse = "metadata alone was changed at the destination, within a minute of the copy" if alike else ""
                found.append(Finding(Failure.DIVERGED, key, text, excuse))
            if here is None and there is not None and known.copy and there[0] not in known.expired | known.unmet:
                # Where a lifecycle rule may have removed it, the finder makes no lost deletion good.
                excuse = "an event was lost, and a rule may have removed it" if known.unheard else ""
                excuse = excuse if self.world.modes.expires else ""
                text = f"{key!r}: {there[0]} was deleted at {self.source}, and {self.destination} shows it"
                found.append(Finding(Failure.UNDONE, key, text, excuse))
        return found

    def lost(self, side: str, events: object) -> None:
        """Note that these events are lost."""
        for known in self.keys.values():
            known.unheard = True

    def _watcher(self, side: str, store: Store):  # type: ignore[no-untyped-def]
        def watch(key: str, before: Version | None, now: Version | None, principal: str) -> None:
            relative = self.world.relative(side, key)
            version = now or before
            self.changed[side] = (relative or "", content_of(version) if version else "")
            if relative is None or before is now:
                return
            known = self.of(relative)
            if side == self.source:
                entry = self.world.tables[side].entries.get(relative)
                if before is not None and (entry is None or entry.synced is None):
                    known.unmet |= {content_of(before)} & {name for key, name in self.seeded if key == relative}
                if principal in WORKERS:
                    known.broken.append(f"a worker acted at {side}, the source")
                if principal == "s3.amazonaws.com" and before is not None and self.world.modes.expiry != "propagate":
                    known.expired.add(content_of(before))
                    # It may not have been copied yet: then the destination keeps what it has (docs/consistency.md).
                    there = self.world.stores[self.destination].current(self.world.prefix(self.destination) + relative)
                    known.expired.add(content_of(there) if there is not None else "")
                return
            if principal in WORKERS:
                self._worker_acted(relative, known, before, now)
            else:
                known.copy = False

        return watch

    def _worker_acted(self, key: str, known: Mirrored, before: Version | None, now: Version | None) -> None:
        here = self.world.stores[self.source].current(self.world.prefix(self.source) + key)
        if now is not None:
            known.copy, known.body = True, now.body
            self.writes += 1
            return
        self.deletes += 1
        if before is not None and not known.copy and before.body != known.body:
            known.broken.append(f"a worker deleted {content_of(before)}, which a user wrote at {self.destination}")
        if here is not None and here.seen.modified < self.world.stores[self.source].now() - 3600:
            known.broken.append(f"a worker deleted the copy of {content_of(here)}, which {self.source} still shows")
        known.copy = False


class OneWaySimulation(Simulation):
    """A history with workers, a finder and events at the source alone."""

    make_users = MirrorUsers

    def _emitter(self, side: str):  # type: ignore[no-untyped-def]
        if side in self.world.carriers:
            return super()._emitter(side)

        def ignore(event: Event) -> None:
            """Drop it: the destination's bucket has no subscription."""

        return ignore

    def _start_finder(self, side: str) -> None:
        if side in self.world.carriers:
            super()._start_finder(side)


def simulate_one_way(
    history: History, make_worker: MakeWorker = real_worker, make_finder: MakeFinder = real_finder
) -> Result:
    """Run a history and judge it. The same history gives the same result."""
    return OneWaySimulation(history, make_worker, make_finder, record=False).run()
