"""The finder: both listings and the ledger as streams, and messages for what events missed.

It writes to no bucket. It can run at any time, beside busy workers and beside itself: a message of its only says *look
at this key*. Deletions beyond the limits are held for a person; the rest goes on. It may compare several ranges of keys
at once, and goes on where one that died has come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.finder.archived import unreadable
from dualsync.runtime.finder.checkpoint import CHECKPOINT_INTERVAL_SECONDS, Checkpoints
from dualsync.runtime.finder.classify import Difference, Rules, classify
from dualsync.runtime.finder.key_ranges import divide, spaced
from dualsync.runtime.finder.merge import ListedPair, merge
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.scoped_listing import list_scope
from dualsync.runtime.log import Log
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter, KeyRange
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import DELETION_APPROVAL, FINDER_POINTS, FINDER_RUN, HELD_DELETION, SEEDED, Record
from dualsync.runtime.ports import Bucket, Clock, Ledger, Parallel, Queue
from dualsync.runtime.settings import VERSION, Events, Settings

BATCH = 100
"""Keys asked of the ledger at a time (DynamoDB: BatchGetItem, at most 100)."""
AT_ONCE = 32
"""Entries of a batch that are written to the ledger at a time."""
FREE_SHARE = 10
"""So many deletions need no approval whatever their share of the keys."""
SAMPLE = 100
"""How many held keys the record names."""


@dataclass(slots=True)
class _Run:
    """What the ranges of a run share. Its deletions are kept back until the end, unless a person has approved them."""

    seeded: bool
    approval: Record | None
    room: int
    checkpoints: Checkpoints
    legs: list[RangeProgress] = field(default_factory=list)
    resumed: bool = False

    @property
    def approved(self) -> int:
        """As many deletions a person has let go."""
        value = self.approval.data.get("up_to", 0) if self.approval is not None else 0
        return max(0, value) if isinstance(value, int) else 0

    def keep_back(self, leg: RangeProgress, key: str, difference: Difference) -> bool:
        """Remember a deletion; false if it may go at once."""
        leg.report.deletions += 1
        if sum(each.report.deletions for each in self.legs) <= self.approved:
            return False
        if sum(len(each.kept) for each in self.legs) < self.room:
            leg.kept.append((key, difference))
        return True

    @property
    def kept(self) -> list[tuple[str, Difference]]:
        """The deletions of all ranges, in order."""
        return [deletion for leg in self.legs for deletion in leg.kept]


class Finder:
    """One run over both buckets. `name` tells it from others that run at the same time; with `fresh` it continues none
    of them. It writes down where it is every `checkpoint_seconds`."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        local: Bucket,
        remote: Bucket,
        ledger: Ledger,
        queue: Queue,
        authenticator: Authenticator,
        parallel: Parallel,
        log: Log,
        scope: KeyFilter = EVERYTHING,
        name: str = "",
        fresh: bool = False,
        checkpoint_seconds: float = CHECKPOINT_INTERVAL_SECONDS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._local = local
        self._remote = remote
        self._ledger = ledger
        self._queue = queue
        self._authenticator = authenticator
        self._parallel = parallel
        self._log = log
        self._scope = scope
        self._name = name
        self._fresh = fresh
        self._checkpoint_seconds = checkpoint_seconds
        self._rules = Rules(settings.local_expires, settings.remote_expires, settings.events is not Events.CREATE)

    async def run(self) -> Report:
        """Compare, queue what differs, hold what is too much. Raises what a listing or the ledger raises: the run then
        says nothing of what it did not see, and deletes nothing; the next one goes on where it was."""
        run = await self._begin()
        await self._parallel.map(lambda leg: self._compare(leg, run), run.legs, len(run.legs))
        report = Report.of(leg.report for leg in run.legs)
        await self._brake(report, run)
        now = int(self._clock.now())
        if not run.seeded and not report.unseeded:
            await self._ledger.record(Record(SEEDED, id="seeded", time=now, data={"scope": self._scope.name}))
        if self._settings.finder_number > 1 and not run.resumed:
            points: dict[str, object] = {"points": spaced(leg.marks for leg in run.legs)}
            await self._ledger.record(Record(FINDER_POINTS, id="last", time=now, data=points))
        done = {"state": "finished", "version": VERSION}
        await self._ledger.record(Record(FINDER_RUN, id="last", time=now, data=report.data() | done))
        await run.checkpoints.clear()
        self._log.line("INFO", "finder", state="finished", **report.data())
        return report

    async def _begin(self) -> _Run:
        settings = self._settings
        mark = await self._first(SEEDED)
        seeded = mark is not None and mark.data.get("scope", "") == self._scope.name
        approval = await self._first(DELETION_APPROVAL)
        room = max(settings.deletion_limit, SAMPLE, FREE_SHARE)
        run = _Run(seeded, approval, room, self._checkpoints(seeded, approval))
        run.legs = await run.checkpoints.take_up()
        if run.legs:
            run.resumed = True
            seen = sum(leg.settled_keys for leg in run.legs)
            self._log.line("INFO", "finder", state="resumed", ranges=len(run.legs), keys=seen)
        else:
            run.legs = [RangeProgress(within) for within in await self._divide()]
        return run

    def _checkpoints(self, seeded: bool, approval: Record | None) -> Checkpoints:
        s = self._settings
        sides = [s.pair, s.local_bucket, s.local_region, s.local_endpoint, s.local_prefix]
        sides += [s.remote_bucket, s.remote_region, s.remote_endpoint, s.remote_prefix]
        rules = [s.events, s.local_expires, s.remote_expires, s.deletion_limit, s.finder_number]
        person = [approval.time, dict(approval.data)] if approval is not None else []
        under = json.dumps([sides, rules, self._scope.name, seeded, person], sort_keys=True)
        return Checkpoints(
            self._ledger,
            self._clock,
            run=f"{int(self._clock.now())}-{self._name}",
            of=hashlib.sha256(under.encode()).hexdigest()[:32],
            period=self._checkpoint_seconds,
            resume=not self._fresh,
        )

    async def _divide(self) -> list[KeyRange]:
        number = self._settings.finder_number
        record = await self._first(FINDER_POINTS) if number > 1 else None
        points = record.data.get("points") if record is not None else None
        return divide([str(point) for point in points] if isinstance(points, list) else [], number)

    async def _first(self, kind: str) -> Record | None:
        async for record in self._ledger.records(kind):
            return record
        return None

    async def _compare(self, leg: RangeProgress, run: _Run) -> None:
        """Compare what is left of a range."""
        batch: list[ListedPair] = []
        tally, rest = leg.report.tally, leg.rest
        here, there = list_scope(self._scope, self._local, rest), list_scope(self._scope, self._remote, rest)
        seen = tally.here + tally.there
        leg.settled_at = self._clock.now()
        async for pairs in merge(here, there, tally, equal_too=not run.seeded):
            leg.marks.passed(tally.here + tally.there - seen, tally.last)
            seen = tally.here + tally.there
            batch.extend(pairs)
            while len(batch) >= BATCH:
                await self._settle(batch[:BATCH], leg, run)
                del batch[:BATCH]
            now = self._clock.now()
            if batch and now - leg.settled_at >= self._checkpoint_seconds:
                await self._settle(batch, leg, run)
                batch.clear()
            if not batch:
                leg.settle(now)
            await run.checkpoints.save(run.legs)
        await self._settle(batch, leg, run)
        leg.settle(self._clock.now())

    async def _settle(self, pairs: Sequence[ListedPair], leg: RangeProgress, run: _Run) -> None:
        if not pairs:
            return
        report = leg.report
        entries = await self._ledger.get_many([p.key for p in pairs])
        bodies: list[str] = []
        unknown: list[ListedPair] = []
        for pair in pairs:
            entry = entries.get(pair.key)
            difference = classify(pair, entry, self._rules)
            if difference is None:
                continue
            report.found[difference] += 1
            if self._is_young(pair, entry):
                report.young += 1
                report.unseeded += difference is Difference.UNKNOWN
            elif difference is Difference.UNKNOWN:
                unknown.append(pair)
            elif unreadable(pair, entry, difference):
                report.archived += 1
            elif not difference.is_deletion or not run.keep_back(leg, pair.key, difference):
                bodies.append(self._body(pair.key, difference))
        if unknown:
            report.agreed += sum(await self._parallel.map(self._agree, unknown, AT_ONCE))
        await self._send(bodies, report)

    def _is_young(self, pair: ListedPair, entry: LedgerEntry | None) -> bool:
        times = [row.modified for row in (pair.here, pair.there) if row is not None]
        if entry is not None:
            times.append(entry.updated)
        return self._clock.now() - max(times) < self._settings.finder_grace_seconds

    async def _agree(self, pair: ListedPair) -> bool:
        """Equal on both sides since before the ledger: from now on a deletion has its proof."""
        here, there = pair.here, pair.there
        if here is None or there is None:
            return False
        ours = OriginVersion(self._settings.side, here.modified, here.etag)
        theirs = OriginVersion(self._settings.side.peer, there.modified, there.etag)
        identity = ours if wins(ours, theirs, self._settings.conflict_policy) else theirs
        agreement = SyncedVersion(identity, CopyState(here.etag, here.modified), CopyState(there.etag, there.modified))
        entry = LedgerEntry(pair.key, revision=1, synced=agreement, updated=int(self._clock.now()))
        try:
            await self._ledger.put(entry, 0)
        except PreconditionFailedError:
            return False  # a worker was quicker and knows better
        return True

    def _body(self, key: str, difference: Difference) -> str:
        look = SyncRequest(
            key,
            Cause.FINDER,
            first_sent=float(int(self._clock.now())),
            full_check=True,
            may_delete=difference.is_deletion,
            reason=str(difference),
        )
        return self._authenticator.sign(sync_request_codec.encode(look))

    async def _send(self, bodies: Sequence[str], report: Report) -> None:
        if bodies:
            await self._queue.send(bodies)
            report.queued += len(bodies)

    async def _brake(self, report: Report, run: _Run) -> None:
        """Send the deletions of this run, or hold them all for a person's yes or no. An approval is for one run."""
        if run.approval is not None:
            await self._ledger.remove_record(run.approval)
        waiting = report.deletions - min(report.deletions, run.approved)
        report.reason = self._too_much(report, waiting)
        if report.reason:
            report.held = waiting
            sample = [f"{difference}: {key}" for key, difference in run.kept[:SAMPLE]]
            data = {"count": waiting, "reason": report.reason, "sample": sample}
            await self._ledger.record(Record(HELD_DELETION, id="held", time=int(self._clock.now()), data=data))
            self._log.line("WARNING", "finder", state="held", held=waiting, reason=report.reason)
            return
        await self._send([self._body(key, difference) for key, difference in run.kept], report)
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
