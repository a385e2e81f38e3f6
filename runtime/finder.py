"""The finder: both listings and the ledger as streams, and messages for what events missed.

It writes to no bucket. It can run at any time, beside busy workers and beside itself: a message of its only says *look
at this key*. Deletions beyond the limits are held for a person; the rest goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.decide import wins
from runtime.entry import Agreement, Entry, Held
from runtime.errors import Changed
from runtime.log import Log
from runtime.look import Cause, Look
from runtime.merge import Pair, Tally, merge
from runtime.ports import Bucket, Clock, Ledger, Queue
from runtime.reconcile import Difference, Rules, reconcile
from runtime.record import DELETION_APPROVAL, FINDER_RUN, HELD_DELETION, SEEDED, Record
from runtime.settings import Events, Settings
from runtime.version import Identity

BATCH = 100
"""Keys asked of the ledger at a time (DynamoDB: BatchGetItem, at most 100)."""
FREE_SHARE = 10
"""So many deletions need no approval whatever their share of the keys."""
SAMPLE = 100
"""How many held keys the record names."""


@dataclass(slots=True)
class Report:
    """What a run saw and did; counts of keys. `unseeded` are those of the young that are equal and have no entry."""

    tally: Tally = field(default_factory=Tally)
    found: Counter[Difference] = field(default_factory=Counter)
    queued: int = 0
    agreed: int = 0
    young: int = 0
    unseeded: int = 0
    held: int = 0
    reason: str = ""

    def data(self) -> dict[str, object]:
        """For the log and the run's record."""
        return {
            "here": self.tally.here,
            "there": self.tally.there,
            "equal": self.tally.equal,
            "found": {str(k): v for k, v in self.found.items()},
            "queued": self.queued,
            "agreed": self.agreed,
            "young": self.young,
            "held": self.held,
        }


@dataclass(slots=True)
class _Deletions:
    """The deletions of a run. Kept back until the end, unless a person has approved that many."""

    approval: Record | None
    limit: int
    keys: list[tuple[str, Difference]] = field(default_factory=list)
    count: int = 0

    @property
    def approved(self) -> int:
        value = self.approval.data.get("up_to", 0) if self.approval is not None else 0
        return max(0, value) if isinstance(value, int) else 0

    def add(self, key: str, difference: Difference) -> bool:
        """Remember one; true if it may go at once."""
        self.count += 1
        if self.count <= self.approved:
            return True
        if len(self.keys) < max(self.limit, SAMPLE, FREE_SHARE):
            self.keys.append((key, difference))
        return False


class Finder:
    """One run over both buckets."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        local: Bucket,
        remote: Bucket,
        ledger: Ledger,
        queue: Queue,
        log: Log,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._local = local
        self._remote = remote
        self._ledger = ledger
        self._queue = queue
        self._log = log
        self._rules = Rules(settings.local_expires, settings.remote_expires, settings.events is not Events.CREATE)

    async def run(self) -> Report:
        """Compare, queue what differs, hold what is too much. Raises what a listing or the ledger raises: the run then
        says nothing of what it did not see, and deletes nothing."""
        report = Report()
        seeded = await self._first(SEEDED) is not None
        deletions = _Deletions(await self._first(DELETION_APPROVAL), self._settings.deletion_limit)
        batch: list[Pair] = []
        pages = merge(self._local.list(), self._remote.list(), report.tally, equal_too=not seeded)
        async for pairs in pages:
            batch.extend(pairs)
            while len(batch) >= BATCH:
                await self._settle(batch[:BATCH], report, deletions)
                del batch[:BATCH]
        await self._settle(batch, report, deletions)
        await self._brake(report, deletions)
        if not seeded and not report.unseeded:
            await self._ledger.record(Record(SEEDED, id="seeded", time=int(self._clock.now())))
        await self._ledger.record(
            Record(FINDER_RUN, id="last", time=int(self._clock.now()), data=report.data() | {"state": "finished"})
        )
        self._log.line("INFO", "finder", state="finished", **report.data())
        return report

    async def _first(self, kind: str) -> Record | None:
        async for record in self._ledger.records(kind):
            return record
        return None

    async def _settle(self, pairs: Sequence[Pair], report: Report, deletions: _Deletions) -> None:
        if not pairs:
            return
        entries = await self._ledger.get_many([p.key for p in pairs])
        bodies: list[str] = []
        for pair in pairs:
            entry = entries.get(pair.key)
            difference = reconcile(pair, entry, self._rules)
            if difference is None:
                continue
            report.found[difference] += 1
            if self._is_young(pair, entry):
                report.young += 1
                report.unseeded += difference is Difference.UNKNOWN
            elif difference is Difference.UNKNOWN:
                await self._agree(pair, report)
            elif not difference.is_deletion or deletions.add(pair.key, difference):
                bodies.append(self._body(pair.key, difference))
        await self._send(bodies, report)

    def _is_young(self, pair: Pair, entry: Entry | None) -> bool:
        times = [row.modified for row in (pair.here, pair.there) if row is not None]
        if entry is not None:
            times.append(entry.updated)
        return self._clock.now() - max(times) < self._settings.finder_grace_seconds

    async def _agree(self, pair: Pair, report: Report) -> None:
        """Equal on both sides since before the ledger: from now on a deletion has its proof."""
        here, there = pair.here, pair.there
        if here is None or there is None:
            return
        ours = Identity(self._settings.side, here.modified, here.etag)
        theirs = Identity(self._settings.side.peer, there.modified, there.etag)
        identity = ours if wins(ours, theirs, self._settings.conflict_policy) else theirs
        agreement = Agreement(identity, Held(here.etag, here.modified), Held(there.etag, there.modified))
        entry = Entry(pair.key, revision=1, agreed=agreement, updated=int(self._clock.now()))
        try:
            await self._ledger.put(entry, 0)
        except Changed:
            return  # a worker was quicker and knows better
        report.agreed += 1

    def _body(self, key: str, difference: Difference) -> str:
        look = Look(
            key,
            Cause.FINDING,
            since=float(int(self._clock.now())),
            careful=True,
            deletion=difference.is_deletion,
            reason=str(difference),
        )
        return look.body()

    async def _send(self, bodies: Sequence[str], report: Report) -> None:
        if bodies:
            await self._queue.send(bodies)
            report.queued += len(bodies)

    async def _brake(self, report: Report, deletions: _Deletions) -> None:
        """Send the deletions of this run, or hold them all for a person's yes or no. An approval is for one run."""
        if deletions.approval is not None:
            await self._ledger.remove_record(deletions.approval)
        waiting = deletions.count - min(deletions.count, deletions.approved)
        report.reason = self._too_much(report, waiting)
        if report.reason:
            report.held = waiting
            sample = [f"{difference}: {key}" for key, difference in deletions.keys[:SAMPLE]]
            data = {"count": waiting, "reason": report.reason, "sample": sample}
            await self._ledger.record(Record(HELD_DELETION, id="held", time=int(self._clock.now()), data=data))
            self._log.line("WARNING", "finder", state="held", held=waiting, reason=report.reason)
            return
        await self._send([self._body(key, difference) for key, difference in deletions.keys], report)
        held = await self._first(HELD_DELETION)
        if held is not None:
            await self._ledger.remove_record(held)

    def _too_much(self, report: Report, deletions: int) -> str:
        settings, tally = self._settings, report.tally
        if not deletions:
            return ""
        if not tally.here or not tally.there:
            return "one side is empty: a wrong bucket or prefix looks like this, too"
        if deletions > settings.deletion_limit:
            return f"{deletions} deletions, more than {settings.deletion_limit} (DUALSYNC_DELETION_LIMIT)"
        total = max(tally.here, tally.there)
        if deletions > FREE_SHARE and deletions * 100 > settings.deletion_limit_percent * total:
            return (
                f"{deletions} deletions of {total} keys, more than {settings.deletion_limit_percent} %"
                " (DUALSYNC_DELETION_LIMIT_PERCENT)"
            )
        return ""
