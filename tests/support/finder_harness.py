"""Provide a finder over in-memory buckets."""

from __future__ import annotations

from typing import Any

from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.messages.parser import Principals, parse_message
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.key_filter import EVERYTHING
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import APPROVAL_ID, DELETION_APPROVAL, SEEDED, WORKER, Record
from dualsync.runtime.ports import Parallel
from tests.support.builders import CN, USER, Side, settings
from tests.support.fakes.gate import run
from tests.support.fakes.parallel import Serial

OLD = 10_000
"""Seconds after which no object is young."""


class FinderHarness(Side):
    """Side `cn` with a finder. If `seeded`, an earlier run has recorded all equal objects."""

    def __init__(self, *, seeded: bool = True, **changes: Any) -> None:
        super().__init__(settings(**changes))
        if seeded:
            self.ledger.table.records[SEEDED, "seeded"] = Record(SEEDED, "seeded", 0)
        self.scope = EVERYTHING
        self.checkpoint_seconds = 0.0
        self.parallel: Parallel = Serial()
        self.source: Any = self.local
        self.target: Any = self.remote

    def both(self, *keys: str, known: bool = True) -> None:
        """Write the same content to both sides, recorded as synced if `known`."""
        for key in keys:
            self.only_here(key, known=known)
            self.there.put(key, key.encode(), USER)

    def only_here(self, *keys: str, known: bool = False) -> None:
        for key in keys:
            etag = self.here.put(key, key.encode(), USER).etag
            now = self.here.now()
            if known:
                held = CopyState(etag, now)
                self.ledger.table.entries[key] = LedgerEntry(
                    key, 1, SyncedVersion(OriginVersion(CN, now, etag), held, held)
                )

    def only_there(self, *keys: str, known: bool = False) -> None:
        self.both(*keys, known=known)
        for key in keys:
            self.here.delete(key, USER)

    def approve(self, up_to: object) -> None:
        self.ledger.table.records[DELETION_APPROVAL, APPROVAL_ID] = Record(
            DELETION_APPROVAL, APPROVAL_ID, 0, data={"up_to": up_to}
        )

    def find(self, *, after: float = OLD, ledger: Any = None, fresh: bool = False) -> Report:
        self.time.now += after
        self.broker.letters.clear()
        return run(self.finder(ledger=ledger, fresh=fresh).run())

    def finder(self, *, ledger: Any = None, fresh: bool = False, name: str = "f") -> Finder:
        c = self.context
        return Finder(
            settings=c.settings,
            clock=c.clock,
            local=self.source,
            remote=self.target,
            ledger=ledger or self.ledger,
            queue=c.queue,
            authenticator=c.authenticator,
            parallel=self.parallel,
            log=self.log,
            scope=self.scope,
            name=name,
            fresh=fresh,
            checkpoint_seconds=self.checkpoint_seconds,
        )

    def write_heartbeat(self, *, event: int | None, started: int = 0, state: str = "RUNNING") -> None:
        """Write a worker's heartbeat with the current time; `event` is the time of the newest event that it read."""
        data: dict[str, object] = {"state": state, "started": started}
        if event is not None:
            data["last_event"] = event
        record = Record(WORKER, "i-1", int(self.time.now), data=data)
        self.ledger.table.records[record.kind, record.id] = record

    def queued(self) -> list[SyncRequest]:
        return [
            request
            for letter in self.broker.letters.values()
            for request in parse_message(
                letter.body, Principals(frozenset()), str, letter.sent, authenticator=self.context.authenticator
            )
        ]

    def queued_keys(self) -> list[str]:
        return [request.key for request in self.queued()]

    def record(self, kind: str) -> Record | None:
        return next((r for r in self.ledger.table.records.values() if r.kind == kind), None)
