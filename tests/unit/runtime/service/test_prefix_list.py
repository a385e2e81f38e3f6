"""Test the prefix-list file: its format, and that nothing is synchronised without it."""

from __future__ import annotations

import asyncio
import json

import pytest

from dualsync.runtime.errors import (
    AccessDeniedError,
    CredentialRejectedError,
    DualSyncError,
    FatalError,
    PermanentError,
    UnavailableError,
)
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.service.prefix_list import (
    MAX_LIST_BYTES,
    MISSING_LIST_POLL_SECONDS,
    PREFIX_LIST_POLL_SECONDS,
    PrefixList,
    PrefixListWatcher,
    parse,
)
from dualsync.runtime.service.receive_gate import ReceiveGates
from dualsync.runtime.sync.handler import MessageHandler
from tests.support.builders import PEERS_USER, USER, Journal, Lines, Side, settings
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.handlers import handler_of

FILE = "lists/synchronised.txt"


class Given:
    """A side with a prefix, its prefix-list file, and a journal of the calls that read it."""

    def __init__(self, text: bytes | None = b"a/\n") -> None:
        self.side = Side(settings(local_prefix="in/"))
        self.journal = Journal()
        self.file = PrefixList(FakeBucket(self.side.here, "role", gate=self.journal.gate), FILE)
        self.log = Lines()
        self.watched = PrefixListWatcher(self.file, self.side.context.clock, self.log)
        if text is not None:
            self.write(text)

    def write(self, text: bytes) -> None:
        self.side.here.put(FILE, text, USER)

    def poll(self) -> State | None:
        """Poll the file and return the worker's state if the gate is closed, None if it is open."""
        run(self.watched.poll())
        return self.watched.state if self.watched.closed else None


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        (b"a/\nb/\n", ("a/", "b/")),
        (b"b/\r\na/", ("a/", "b/")),
        (b"\xef\xbb\xbfa/\n\n\n", ("a/",)),
        (b"a/b/\na/\na/c\n", ("a/",)),
        (b" a \n#b\n/c\n", ("#b", "/c", " a ")[::-1]),
        ("ü/\n".encode(), ("ü/",)),
    ],
)
def test_each_line_is_one_prefix_exactly_as_written(text: bytes, prefixes: tuple[str, ...]) -> None:
    assert parse(text) == KeyFilter(tuple(sorted(prefixes)))


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf\n"])
def test_empty_list_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="names no prefix"):
        parse(text)


def test_all_keys_are_covered_without_a_configured_file() -> None:
    given = Given()
    assert run(PrefixList(FakeBucket(given.side.here, "role", gate=given.journal.gate), "").read()) is EVERYTHING
    assert given.journal.calls == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "is not in the bucket"),
        (b"", "names no prefix"),
        (b"\xff", "is not UTF-8"),
        (b"x" * (MAX_LIST_BYTES + 1), f"has {MAX_LIST_BYTES + 1} bytes"),
    ],
)
def test_invalid_list_stops_the_finder_and_keeps_the_worker_waiting(text: bytes | None, why: str) -> None:
    given = Given(text)
    with pytest.raises(FatalError, match=rf"^DUALSYNC_PREFIX_LIST_FILE='{FILE}' {why}.*: put a text file there"):
        run(given.file.read())
    assert given.poll() is State.WAITING_FOR_LIST
    assert why in given.watched.reason


@pytest.mark.parametrize("error", [AccessDeniedError("AccessDenied"), PermanentError("InvalidObjectState")])
@pytest.mark.parametrize("call", ["local.head", "local.get"])
def test_denied_list_stops_the_finder_and_keeps_the_worker_waiting(error: DualSyncError, call: str) -> None:
    given = Given()
    given.journal.faults[call] = error
    with pytest.raises(FatalError, match="can't be read"):
        run(given.file.read())
    assert given.poll() is State.WAITING_FOR_LIST


@pytest.mark.parametrize("error", [UnavailableError("500"), CredentialRejectedError("ExpiredToken")])
def test_last_list_applies_while_the_bucket_does_not_answer(error: DualSyncError) -> None:
    given = Given()
    given.journal.faults["local.head"] = error
    with pytest.raises(type(error)):
        run(given.file.read())
    assert given.poll() is State.WAITING_FOR_LIST, "no list is known yet"
    given.journal.faults.clear()
    assert given.poll() is None
    given.journal.faults["local.head"] = error
    assert given.poll() is None
    assert given.watched.covers("a/x")


def test_file_is_read_again_only_if_it_changed() -> None:
    given = Given()
    for _ in range(3):
        assert given.poll() is None
    assert given.journal.calls.count("local.get") == 1
    given.write(b"b/\n")
    assert given.poll() is None
    assert (given.watched.covers("a/x"), given.watched.covers("b/x")) == (False, True)
    assert given.log.of("prefix-list")[-1]["prefixes"] == 1


def test_deleted_file_closes_the_gate_and_a_new_one_opens_it() -> None:
    given = Given()
    assert given.poll() is None
    given.side.here.delete(FILE, USER)
    assert given.poll() is State.WAITING_FOR_LIST
    given.write(b"a/\n")
    assert given.poll() is None


class Sleeps:
    """A clock that ends a watch after this number of sleeps."""

    def __init__(self, sleeps: int) -> None:
        self.slept: list[float] = []
        self._sleeps = sleeps

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self._sleeps:
            raise UnavailableError("enough")


def test_file_is_polled_periodically_and_more_often_while_missing() -> None:
    given, clock = Given(None), Sleeps(3)
    watched = PrefixListWatcher(given.file, clock, given.log)

    async def story() -> None:
        await watched.poll()
        given.write(b"a/\n")
        with pytest.raises(UnavailableError):
            await watched.watch()

    run(story())
    assert clock.slept == [MISSING_LIST_POLL_SECONDS, PREFIX_LIST_POLL_SECONDS, PREFIX_LIST_POLL_SECONDS]


# -- the worker


def worker(side: Side, *prefixes: str) -> MessageHandler:
    return handler_of(side.context, covers=KeyFilter.from_prefixes(prefixes).covers)


def test_worker_skips_keys_outside_the_list() -> None:
    side = Side(settings())
    side.put("a/1", b"1")
    side.put("b/1", b"2")
    run(worker(side, "a/").process(side.message(body(*side.events))))
    assert side.there.current("a/1") is not None
    assert side.there.current("b/1") is None
    assert side.outcomes() == {Outcome.COPIED: 1, Outcome.SKIPPED: 1}
    assert side.log.of("outcome")[1]["reason"] == "not in the prefix list"
    assert side.entry("b/1") == LedgerEntry("b/1")


def test_deletions_and_finder_requests_of_keys_outside_the_list_are_skipped() -> None:
    side = Side(settings())
    side.put("b/1", b"2")
    side.work()
    side.delete("b/1")
    run(worker(side, "a/").process(side.message(body(side.events[-1]))))
    finding = {"key": "b/1", "cause": "finding", "careful": True, "deletion": True}
    run(worker(side, "a/").process(side.message(json.dumps({"dualsync": finding}))))
    assert side.there.current("b/1") is not None


def test_echo_of_a_key_outside_the_list_is_not_recorded() -> None:
    side = Side(settings())
    event = side.put("b/1", b"x", by=PEERS_USER)
    run(worker(side, "a/").process(side.message(body(event))))
    assert side.ledger.table.entries == {}


# -- several gates


class ManualGate:
    """A gate that the test opens."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.event = asyncio.Event()

    @property
    def closed(self) -> bool:
        return not self.event.is_set()

    @property
    def reason(self) -> str:
        return f"because of {self.state}"

    async def wait_until_open(self) -> None:
        await self.event.wait()


def test_gates_are_open_only_if_all_are_open() -> None:
    async def story() -> None:
        manual = ManualGate(State.PAUSED), ManualGate(State.WAITING_FOR_LIST)
        gates = ReceiveGates(manual)
        for gate in manual:
            assert gates.closed
            assert (gates.state, gates.reason) == (gate.state, gate.reason)
            waiting = asyncio.create_task(gates.wait_until_open())
            await asyncio.sleep(0)
            assert not waiting.done()
            gate.event.set()
            await waiting
        assert not gates.closed
        assert (gates.state, gates.reason) == (State.RUNNING, "")
        await gates.wait_until_open()

    asyncio.run(story())
