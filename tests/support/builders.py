"""Provide settings, observed versions, entries, and one side with its fakes, for tests of the core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.service_health import ServiceHealth
from dualsync.runtime.transfer.copier import Copier
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import Gate, Pair, open_gate, run
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.notification import Event, body
from tests.support.fakes.parallel import Serial
from tests.support.fakes.queue import Broker, FakeMessage, FakeQueue
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning
from tests.support.handlers import handler_of

CN, GLOBAL = SideName.CN, SideName.GLOBAL
DEDICATED = "AIDADEDICATEDUSERCN00"
PEERS_USER = "AIDADEDICATEDUSERGL00"
ROLE = "AROAWORKERROLEOFCN000"
USER = "AIDAUSEROFCN000000000"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
"""The secret access key of AWS's documentation."""
REQUIRED: dict[str, Any] = {
    "pair": "p",
    "side": CN,
    "local_bucket": "bucket-cn",
    "local_region": "cn-north-1",
    "remote_bucket": "bucket-global",
    "remote_region": "us-west-2",
    "queue_url": "https://queue",
    "dead_letter_queue_url": "https://dead",
    "ledger_table": "ledger",
    "peer_secret": "secret",
    "own_user_ids": (DEDICATED,),
}


def settings(**changes: Any) -> Settings:
    """Return valid settings of side `cn`."""
    return Settings(**REQUIRED | changes)


def stamp(identity: OriginVersion, size: int = 3, *, key: str = "k", pair: str = "p") -> Stamp:
    """Return the stamp of a replica of `identity`."""
    return Stamp(pair, key_hash(key), identity, size)


def synced_version(
    identity: OriginVersion, *, local: str = "", remote: str = "", modified: int | None = None
) -> SyncedVersion:
    """Return a synced version that both sides hold, by default with its own ETag."""
    time = identity.modified if modified is None else modified
    return SyncedVersion(identity, CopyState(local or identity.etag, time), CopyState(remote or identity.etag, time))


class Lines:
    """A log that keeps (event, fields)."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, dict[str, object]]] = []

    def line(self, level: str, event: str, **fields: object) -> None:
        self.kept.append((level, event, fields))

    def of(self, event: str) -> list[dict[str, object]]:
        """Return the fields of all lines of one kind."""
        return [fields for _, name, fields in self.kept if name == event]


class Journal:
    """A gate that records each answered call, and fails the calls in `faults` before their effect."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, Exception] = {}

    def gate(self, call: str) -> Pair:
        """Return the steps of a call, for fakes."""
        return _Moment(self, call, False), _Moment(self, call, True)


class _Moment:
    def __init__(self, journal: Journal, call: str, after: bool) -> None:
        self._journal, self._call, self._after = journal, call, after

    def __await__(self) -> Generator[Any, None, None]:
        if self._after:
            self._journal.calls.append(self._call)
        elif self._call in self._journal.faults:
            raise self._journal.faults[self._call]
        yield from ()


@dataclass
class Side:
    """Side `cn` of a pair, its peer's bucket, queue and ledger in memory."""

    settings: Settings
    gate: Gate = open_gate
    versioning: Versioning = Versioning.NEVER
    time: Time = field(default_factory=Time)
    log: Lines = field(default_factory=Lines)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        s = self.settings
        self.here = Store(s.local_bucket, s.local_region, self.time, versioning=self.versioning)
        self.there = Store(s.remote_bucket, s.remote_region, self.time)
        self.here.emit = self.events.append
        self.broker = Broker(self.time)
        self.local = FakeBucket(self.here, f"{ROLE}:i-0", prefix=s.local_prefix, gate=self.gate)
        self.remote = FakeBucket(self.there, PEERS_USER, prefix=s.remote_prefix, name="remote", gate=self.gate)
        self.ledger = FakeLedger(gate=self.gate)
        clock = FakeClock(self.time)
        self.context = SyncContext(
            settings=s,
            clock=clock,
            local=self.local,
            remote=self.remote,
            ledger=self.ledger,
            queue=FakeQueue(self.broker, gate=self.gate),
            copier=Copier(
                threshold=s.multipart_threshold,
                part_size=s.part_size,
                parallel=Serial(),
                ledger=self.ledger,
                clock=clock,
            ),
            principals=Principals(frozenset(s.own_user_ids), ROLE),
            authenticator=Authenticator(s.queue_url, SECRET),
            log=self.log,
        )
        self.health = ServiceHealth()
        self.worker = handler_of(self.context, health=self.health)

    def signed(self, request: SyncRequest | PartRequest) -> FakeMessage:
        """Send and receive an authenticated message of this side's own."""
        codec = part_request_codec if isinstance(request, PartRequest) else sync_request_codec
        return self.message(self.context.authenticator.sign(codec.encode(request)))

    def message(self, text: str) -> FakeMessage:
        """Send and receive a message."""
        letter = self.broker.send(text)
        message = self.broker.take(letter)
        assert message is not None
        return message

    def work(self, *events: Event) -> None:
        """Process one message with these events, by default the last one."""
        run(self.worker.process(self.message(body(*events or self.events[-1:]))))

    def put(self, key: str, content: bytes, *, by: str = USER) -> Event:
        """Write here as a user, one second later, and return the event."""
        self.time.now += 1
        self.here.put(key, content, by)
        return self.events[-1]

    def delete(self, key: str, *, by: str = USER) -> Event:
        """Delete here as a user, one second later, and return the event."""
        self.time.now += 1
        self.here.delete(key, by)
        return self.events[-1]

    def entry(self, key: str = "k") -> LedgerEntry:
        """Return the ledger's entry of `key`."""
        return self.ledger.table.entries.get(key, LedgerEntry(key))

    def outcomes(self) -> Counter[str]:
        """Return the number of logged outcomes by kind."""
        return Counter(str(fields["outcome"]) for fields in self.log.of("outcome"))
