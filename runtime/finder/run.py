"""The finder: compares both listings with the ledger as streams and queues the keys that events missed.

It writes to no bucket. It can run at any time, beside busy workers and beside another finder: its messages only ask to
check a key. Deletions above the limits are held for an operator (`deletion_guard`), keys that an earlier run queued are
not queued again (`queued_keys`), and a run that was killed is resumed (`checkpoint`). Several ranges of keys may be
compared side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from dualsync.runtime.errors import DualSyncError, PermanentError, PreconditionFailedError
from dualsync.runtime.finder.archived import needs_archived_content
from dualsync.runtime.finder.checkpoint import CHECKPOINT_INTERVAL_SECONDS, Checkpoints, digest_settings
from dualsync.runtime.finder.classify import Difference, Rules, classify
from dualsync.runtime.finder.deletion_guard import DeletionGuard, read_approval
from dualsync.runtime.finder.first_contact import HEADS_AT_ONCE, compare_attributes, synced_version, unreadable_pairs
from dualsync.runtime.finder.key_ranges import divide, evenly_spaced_keys
from dualsync.runtime.finder.merge import ListedPair, merge
from dualsync.runtime.finder.missed_events import MissedEvents
from dualsync.runtime.finder.queued_keys import QueuedKeys, are_lost, digest, last_changed
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.run_state import RunState
from dualsync.runtime.finder.scoped_listing import list_scope
from dualsync.runtime.log import Log
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter, KeyRange
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import (
    CONTROL,
    CONTROLS_ID,
    FINDER_POINTS,
    FINDER_RUN,
    LAST_ID,
    SEEDED,
    SEEDED_ID,
    Record,
)
from dualsync.runtime.ports import Bucket, Clock, Ledger, Parallel, Queue, QueueDepth
from dualsync.runtime.settings import VERSION, Settings

BATCH = 100
"""Keys that are read from the ledger at a time (DynamoDB: BatchGetItem, at most 100)."""
WRITES_AT_ONCE = 32
"""Entries of a batch that are written to the ledger at a time."""


class Finder:
    """One run over both buckets.

    Args:
        name: Distinguishes this finder from others that run at the same time.
        fresh: Do not resume a run that was killed.
        preview: Report all differences, also those that an earlier run has queued.
        checkpoint_seconds: Seconds between two checkpoints.
    """

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
        preview: bool = False,
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
        self._preview = preview
        self._checkpoint_seconds = checkpoint_seconds
        self._rules = Rules.from_settings(settings)

    async def run(self) -> Report:
        """Compare both buckets and queue what differs, within the deletion limits.

        Raises what a listing or the ledger raises. Nothing is deleted then, and the next run resumes this one.
        """
        run = await self._begin()
        await self._parallel.map(lambda each: self._compare(each, run), run.ranges, len(run.ranges))
        report = Report.sum_of(each.report for each in run.ranges)
        await self._queue_deletions(report, run)
        await self._queue_lost(report, run)
        now = int(self._clock.now())
        if not run.seeded and not report.unseeded:
            await self._ledger.record(Record(SEEDED, SEEDED_ID, now, data={"scope": self._scope.name}))
        if self._settings.finder_number > 1 and not run.resumed:
            points: dict[str, object] = {"points": evenly_spaced_keys(each.marks for each in run.ranges)}
            await self._ledger.record(Record(FINDER_POINTS, LAST_ID, now, data=points))
        missed = {} if self._preview else await run.events.judge(self._ledger, self._clock, self._log, run.depth)
        done = {"state": "finished", "version": VERSION} | missed
        await self._ledger.record(Record(FINDER_RUN, LAST_ID, now, data=report.data() | done))
        await run.checkpoints.clear()
        self._log.line("INFO", "finder", state="finished", **report.data())
        return report

    # -- the beginning

    async def _begin(self) -> RunState:
        mark = await self._ledger.get_record(SEEDED, SEEDED_ID)
        seeded = mark is not None and mark.data.get("scope", "") == self._scope.name
        approval = await read_approval(self._ledger)
        controls = await self._ledger.get_record(CONTROL, CONTROLS_ID)
        now = self._clock.now()
        configuration = digest_settings([self._sides(), self._rules_of_absence(), self._scope.name])
        queued = await QueuedKeys.load(self._ledger, configuration, now)
        if self._preview:
            queued = QueuedKeys(configuration, now)
        run = RunState(
            seeded=seeded,
            guard=DeletionGuard(self._settings, approval),
            queued=queued,
            checkpoints=self._checkpoints(seeded, approval),
            depth=None if self._preview else await self._depth(),
            paused=not self._preview and controls is not None and controls.data.get("paused") is True,
            events=MissedEvents.after_run(await self._ledger.get_record(FINDER_RUN, LAST_ID), self._settings),
        )
        run.ranges = await run.checkpoints.resume_ranges()
        if run.ranges:
            run.resumed = True
            run.queued.complete = False  # it does not know what the killed run has queued
            seen = sum(each.settled_keys for each in run.ranges)
            self._log.line("INFO", "finder", state="resumed", ranges=len(run.ranges), keys=seen)
        else:
            run.ranges = [RangeProgress(within) for within in await self._divide()]
        run.guard.ranges = run.ranges
        return run

    def _sides(self) -> list[object]:
        s = self._settings
        local = [s.pair, s.local_bucket, s.local_region, s.local_endpoint, s.local_prefix]
        return [*local, s.remote_bucket, s.remote_region, s.remote_endpoint, s.remote_prefix]

    def _rules_of_absence(self) -> list[object]:
        s = self._settings
        mode = [s.direction] if s.direction.one_way else []
        return [s.events, s.local_expires, s.remote_expires, *mode]

    def _checkpoints(self, seeded: bool, approval: Record | None) -> Checkpoints:
        rules = [*self._rules_of_absence(), self._settings.deletion_limit, self._settings.finder_number]
        approved = [approval.time, dict(approval.data)] if approval is not None else []
        return Checkpoints(
            self._ledger,
            self._clock,
            run=f"{int(self._clock.now())}-{self._name}",
            settings_digest=digest_settings([self._sides(), rules, self._scope.name, seeded, approved]),
            period=self._checkpoint_seconds,
            resume=not self._fresh,
        )

    async def _divide(self) -> list[KeyRange]:
        number = self._settings.finder_number
        record = await self._ledger.get_record(FINDER_POINTS, LAST_ID) if number > 1 else None
        points = record.data.get("points") if record is not None else None
        return divide([str(point) for point in points] if isinstance(points, list) else [], number)

    # -- comparing

    async def _compare(self, progress: RangeProgress, run: RunState) -> None:
        """Compare the rest of a range."""
        batch: list[ListedPair] = []
        counters, rest = progress.report.counters, progress.rest
        here, there = list_scope(self._scope, self._local, rest), list_scope(self._scope, self._remote, rest)
        seen = counters.here + counters.there
        progress.settled_at = self._clock.monotonic()
        async for pairs in merge(here, there, counters, equal_too=not run.seeded):
            progress.marks.count_keys(counters.here + counters.there - seen, counters.last)
            seen = counters.here + counters.there
            batch.extend(pairs)
            while len(batch) >= BATCH:
                await self._settle(batch[:BATCH], progress, run)
                del batch[:BATCH]
            now = self._clock.monotonic()
            if batch and now - progress.settled_at >= self._checkpoint_seconds:
                await self._settle(batch, progress, run)
                batch.clear()
            if not batch:
                progress.settle(now)
            await run.checkpoints.save(run.ranges)
        await self._settle(batch, progress, run)
        progress.settle(self._clock.monotonic())

    async def _settle(self, pairs: Sequence[ListedPair], progress: RangeProgress, run: RunState) -> None:
        """Queue the pairs that differ, record those that are equal, and hold back deletions."""
        if not pairs:
            return
        report = progress.report
        entries, unreadable_entries = await self._entries([p.key for p in pairs])
        bodies: list[str] = []
        unknown: list[ListedPair] = []
        for pair in pairs:
            if pair.key in unreadable_entries:
                # The full check reads both objects and writes the entry again; without proof it deletes nothing.
                report.failed += 1
                bodies.append(self._body(pair.key, Difference.CHANGED_BOTH))
                continue
            entry = entries.get(pair.key)
            difference = classify(pair, entry, self._rules)
            if difference is None:
                continue
            if difference is not Difference.UNKNOWN:
                report.found[difference] += 1
            if self._is_young(pair, entry):
                report.young += 1
                if difference is Difference.UNKNOWN:
                    report.unseeded += 1
                    report.found[difference] += 1
                continue
            run.events.add_change(pair, difference, self._clock.now())
            if difference is Difference.UNKNOWN:
                unknown.append(pair)
            elif needs_archived_content(pair, entry, difference, one_way=self._rules.one_way):
                report.archived += 1
            elif difference.is_deletion:
                if not run.guard.hold_back(progress, pair.key, difference):
                    run.queued.is_deletion_queued(pair.key, difference)
                    bodies.append(self._body(pair.key, difference))
            else:
                self._queue_once(pair, entry, difference, bodies, report, run)
        if unknown:
            unlike = await self._parallel.map(self._compare_attributes, unknown, HEADS_AT_ONCE)
            for pair, error in unreadable_pairs(unknown, unlike):
                report.failed += 1
                report.unseeded += 1  # the next run compares it again
                self._log.line("ERROR", "finder-key", key=pair.key, reason=f"{type(error).__name__}: {error}")
            equal = [pair for pair, differs in zip(unknown, unlike, strict=True) if differs is False]
            report.agreed += sum(await self._parallel.map(self._record_equal, equal, WRITES_AT_ONCE))
            if equal:
                report.found[Difference.UNKNOWN] += len(equal)
            for pair in [pair for pair, differs in zip(unknown, unlike, strict=True) if differs is True]:
                report.found[Difference.OTHER_METADATA] += 1
                report.unseeded += 1  # the next run compares equal pairs, too, in case the message is lost
                self._queue_once(pair, None, Difference.OTHER_METADATA, bodies, report, run)
        await self._send(bodies, report, run)

    def _queue_once(
        self,
        pair: ListedPair,
        entry: LedgerEntry | None,
        difference: Difference,
        bodies: list[str],
        report: Report,
        run: RunState,
    ) -> None:
        """Add a message to `bodies`, unless an earlier run has queued the difference."""
        if run.queued.is_queued(digest(pair, entry, difference), last_changed(pair, entry)):
            report.waiting += 1
            run.queued.keep_waiting(pair.key, difference)
        else:
            bodies.append(self._body(pair.key, difference))

    async def _compare_attributes(self, pair: ListedPair) -> bool | DualSyncError:
        return await compare_attributes(pair, self._local, self._remote, self._settings)

    async def _entries(self, keys: Sequence[str]) -> tuple[dict[str, LedgerEntry], set[str]]:
        """Read the entries of a batch, and which keys have an entry that can't be decoded."""
        try:
            return await self._ledger.get_many(keys), set()
        except DualSyncError:
            raise
        except Exception:
            entries: dict[str, LedgerEntry] = {}
            failed = set()
            for key in keys:
                try:
                    entry = await self._ledger.get(key)
                except DualSyncError:
                    raise
                except Exception as e:
                    failed.add(key)
                    self._log.line("ERROR", "finder-key", key=key, reason=f"{type(e).__name__}: {e}")
                else:
                    if entry is not None:
                        entries[key] = entry
            return entries, failed

    def _is_young(self, pair: ListedPair, entry: LedgerEntry | None) -> bool:
        return self._clock.now() - last_changed(pair, entry) < self._settings.finder_grace_seconds

    async def _record_equal(self, pair: ListedPair) -> bool:
        """Record a pair that has been equal since before the ledger, as the proof that later deletions need."""
        synced = synced_version(pair, self._settings)
        if synced is None:
            return False
        try:
            await self._ledger.put(LedgerEntry(pair.key, 1, synced, updated=int(self._clock.now())), 0)
        except PreconditionFailedError:
            return False  # a worker has written the entry meanwhile
        return True

    # -- queuing

    def _body(self, key: str, difference: Difference) -> str:
        request = SyncRequest(
            key,
            Cause.FINDER,
            first_sent=float(int(self._clock.now())),
            full_check=True,
            may_delete=difference.is_deletion,
            reason=str(difference),
        )
        return self._authenticator.sign(sync_request_codec.encode(request))

    async def _send(self, bodies: Sequence[str], report: Report, run: RunState) -> None:
        """Queue messages, except while the direction is paused. One that the queue refuses does not stop the others."""
        if not bodies or run.paused:
            return
        try:
            await self._queue.send(bodies)
        except PermanentError as e:
            if len(bodies) == 1:
                report.failed += 1
                self._log.line("ERROR", "finder-key", reason=f"the queue refuses a message: {e}")
                return
            for body in bodies:
                await self._send([body], report, run)
            return
        report.queued += len(bodies)

    async def _queue_deletions(self, report: Report, run: RunState) -> None:
        """Queue the deletions that were held back, unless the limits hold them."""
        released = await run.guard.decide(report, self._ledger, self._clock)
        if report.reason:
            self._log.line("WARNING", "finder", state="held", held=report.held, reason=report.reason)
        bodies = []
        for key, difference in released:
            if run.queued.is_deletion_queued(key, difference):
                report.waiting += 1
                run.queued.keep_waiting(key, difference)
            else:
                bodies.append(self._body(key, difference))
        await self._send(bodies, report, run)

    async def _queue_lost(self, report: Report, run: RunState) -> None:
        """Queue the waiting differences again if their messages were lost, and record what this run has seen."""
        queued, now = run.queued, self._clock.now()
        if run.paused and run.depth is not None and run.depth.messages >= report.found.total():
            # The changes' own messages wait, so the first run after the pause need not queue them either.
            queued.repeated = now
            await self._ledger.record(queued.record(now, self._settings.finder_grace_seconds, repeat=False))
        if run.paused or self._preview:
            return
        lost = report.waiting > 0 and are_lost(report.waiting, run.depth, now - queued.repeated)
        kept = queued.waiting if lost else []
        await self._send([self._body(key, difference) for key, difference in kept], report, run)
        # What could not be kept is queued by the next run, which then remembers nothing.
        repeat = lost and len(kept) < report.waiting
        if lost or not report.waiting:
            queued.repeated = now
        await self._ledger.record(queued.record(now, self._settings.finder_grace_seconds, repeat=repeat))

    async def _depth(self) -> QueueDepth | None:
        try:
            return await self._queue.depth()
        except DualSyncError as e:
            self._log.line("WARNING", "finder-depth", reason=f"{type(e).__name__}: {e}")
            return None
