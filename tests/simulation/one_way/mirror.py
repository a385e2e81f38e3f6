"""Run histories of one-way pairs, with workers at the source alone, and judge them by the mirror rule.

For each key, the judge keeps what the source shows, and whether a worker or a user wrote what the destination shows. It
contains no sync algorithm. Its rules are:

- No worker writes or deletes at the source.
- The destination shows every object that the source shows.
- A worker deletes only copies at the destination, and only if the source holds no object.
- An object at the destination alone was written there, or is a copy of an object that a lifecycle rule deleted at the
  source.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.simulation.histories.findings import Failure, Finding
from tests.simulation.histories.model import BESIDE
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
from tests.support.fakes.store import Store
from tests.support.fakes.version import Version

DIRECTIONS = {"cn-to-global": "cn", "global-to-cn": "global"}
_LEDGER = ("forget", "restore")
"""Acts that are left out: a lost ledger has lost the proofs of deletions (docs/consistency.md)."""


def draw_one_way(seed: int, length: int = 30) -> History:
    """Return the history of this seed with one direction. It leaves the seed's two-way history unchanged."""
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
    """The recorded history of a key."""

    copy: bool = False
    """True if a worker wrote what the destination shows."""
    body: bytes = b""
    """Content of the last copy."""
    expired: set[str] = field(default_factory=set)
    """Names of the objects that a lifecycle rule deleted at the source, and of those the destination showed then."""
    seeded_unrecorded: set[str] = field(default_factory=set)
    """Names of seeded objects that left the source before a finder recorded them."""
    event_lost: bool = False
    """True if an event of the source was lost."""
    broken: list[str] = field(default_factory=list)
    """Violations of the rules during the history."""


class MirrorUsers(Users):
    """The users of both sides, and the judge of the mirror."""

    def __init__(self, world: SimulatedWorld, modes: Modes) -> None:
        (self.source,) = world.carriers
        self.destination = PEER[self.source]
        self.keys: dict[str, Mirrored] = {}
        super().__init__(world, modes)

    def of(self, key: str) -> Mirrored:
        """Return the recorded history of a key."""
        return self.keys.setdefault(key, Mirrored())

    def _seed(self, op: Op) -> None:
        """Write the same object to both sides. It counts as a copy, so its deletion is carried to the destination."""
        super()._seed(op)
        known = self.of(self.world.relative(op.side, op.key) or "")
        known.copy, known.body = True, self.body(op)

    def judge(self, *, strict: bool) -> list[Finding]:
        """Return what is wrong now."""
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
                # No listing shows the change within a minute of the copy, whose time may be wrong (docs/limits.md).
                alike = there is not None and here[1] == there[1] and not known.copy
                excuse = "metadata alone was changed at the destination, within a minute of the copy" if alike else ""
                found.append(Finding(Failure.DIVERGED, key, text, excuse))
            if (
                here is None
                and there is not None
                and known.copy
                and there[0] not in known.expired | known.seeded_unrecorded
            ):
                # Where a lifecycle rule may have deleted it, the finder does not repair a lost deletion.
                excuse = "an event was lost, and a rule may have removed it" if known.event_lost else ""
                excuse = excuse if self.world.modes.expires else ""
                text = f"{key!r}: {there[0]} was deleted at {self.source}, and {self.destination} shows it"
                found.append(Finding(Failure.UNDONE, key, text, excuse))
        return found

    def record_lost_events(self, side: str, events: object) -> None:
        """Record that events are not delivered."""
        for known in self.keys.values():
            known.event_lost = True

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
                    known.seeded_unrecorded |= {content_of(before)} & {
                        name for key, name in self.seeded if key == relative
                    }
                if principal in WORKERS:
                    known.broken.append(f"a worker acted at {side}, the source")
                if principal == "s3.amazonaws.com" and before is not None and self.world.modes.expiry != "propagate":
                    known.expired.add(content_of(before))
                    # If it was not copied yet, the destination keeps what it has (docs/consistency.md).
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
            """Drop an event: the destination's bucket has no subscription."""

        return ignore

    def _start_finder(self, side: str) -> None:
        if side in self.world.carriers:
            super()._start_finder(side)


def simulate_one_way(
    history: History, make_worker: MakeWorker = real_worker, make_finder: MakeFinder = real_finder
) -> Result:
    """Run a history and judge its end. The same history always gives the same result."""
    return OneWaySimulation(history, make_worker, make_finder, record=False).run()
