"""Test the copy in parts by several workers: part requests, restarts, stalls."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise

import pytest

from dualsync.runtime.errors import AccessDeniedError, PermanentError, ThrottledError
from dualsync.runtime.messages import part_request_codec
from dualsync.runtime.messages.parser import Principals, UnreadableMessageError, parse_message, parse_part_request
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.model.objects import Part
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.sync.fleet_upload import MAX_STALLS, STALL_SECONDS, WATCH_SECONDS, part_requests
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.support.builders import USER, Journal, Side, settings
from tests.support.fakes.gate import Step, kill, run, stepping_gate
from tests.support.fakes.notification import body
from tests.support.fakes.queue import Letter
from tests.support.handlers import handler_of

LENGTH = 8
CONTENT = b"eight by" * 3 + b"four"
"""The content of four parts."""


class World(Side):
    """A side that copies objects of nine or more bytes with one part request per part."""

    def __post_init__(self) -> None:
        super().__post_init__()
        copier = replace(self.context.copier, threshold=9, giant=9, part_size=LENGTH, part_request_bytes=LENGTH)
        self.context = replace(self.context, copier=copier)
        self.worker = handler_of(self.context, health=self.health)

    def begin(self) -> None:
        """Write the object and process its event, so that the part requests are in the queue."""
        self.work(self.put("k", CONTENT))

    def waiting(self) -> list[Letter]:
        return sorted(self.broker.letters.values(), key=lambda letter: letter.number)

    def parts(self) -> list[Letter]:
        return [letter for letter in self.waiting() if part_request_codec.MEMBER in letter.body]

    def checks(self) -> list[Letter]:
        return [letter for letter in self.waiting() if part_request_codec.MEMBER not in letter.body]

    def do(self, letter: Letter) -> None:
        """Process this message once it is visible."""
        self.time.now = max(self.time.now, letter.visible)
        message = self.broker.take(letter)
        assert message is not None
        run(self.worker.process(message))

    def part_of(self, body: str) -> PartRequest | None:
        return parse_part_request(body, self.context.authenticator)

    def upload(self) -> UploadRecord | None:
        for record in self.ledger.table.records.values():
            if record.kind == UPLOAD:
                return upload_record_codec.decode(record)
        return None

    def arrived(self) -> bytes | None:
        version = self.there.current("k")
        return None if version is None else version.body


def world(**changes: object) -> World:
    return World(settings(**changes))


def test_each_part_is_a_message_and_the_last_one_requests_the_completion() -> None:
    w = world()
    w.begin()
    assert [(p.first, p.last) for p in map(w.part_of, (x.body for x in w.parts())) if p] == [
        (n, n) for n in range(1, 5)
    ]
    (check,) = w.checks()
    assert check.visible - w.time.now == WATCH_SECONDS
    for letter in reversed(w.parts()):
        assert w.arrived() is None
        w.do(letter)
    assert w.arrived() is None, "part requests complete nothing"
    requested = w.checks()[-1]
    assert requested.visible <= w.time.now
    w.do(requested)
    assert w.arrived() == CONTENT
    version = w.there.current("k")
    assert version is not None
    assert version.seen.etag.endswith("-4")
    assert (w.there.uploads, w.upload()) == ({}, None)
    w.do(check)
    assert not w.broker.letters
    assert w.outcomes() == {"postponed": 1, "carried": 4, "copied": 1, "agreed": 1}
    assert w.entry().synced is not None


def test_two_checks_of_a_complete_upload_write_once() -> None:
    w = world()
    w.begin()
    for letter in w.parts():
        w.do(letter)
    for _ in range(2):
        for letter in w.checks():
            w.do(letter)
    assert w.arrived() == CONTENT
    assert w.outcomes()["copied"] == 1
    assert [event.name for event in w.events] == ["ObjectCreated:Put"]


def test_uploaded_parts_are_not_read_again() -> None:
    journal = Journal()
    w = World(settings(), gate=journal.gate)
    w.begin()
    first = w.parts()[0]
    w.do(first)
    again = w.broker.send(first.body)
    assert journal.calls.count("local.get_range") == 1
    w.do(again)
    assert journal.calls.count("local.get_range") == 1


@pytest.mark.parametrize("step", range(1, 40))
def test_object_arrives_after_a_worker_is_killed_at_any_step_of_a_part(step: int) -> None:
    w = World(settings(), gate=stepping_gate)
    event = w.put("k", CONTENT)
    run(w.worker.process(w.message(body(event))))
    victim = w.parts()[1]
    message = w.broker.take(victim)
    assert message is not None
    task = w.worker.process(message)
    try:
        for _ in range(step):
            stood = task.send(None)
            assert isinstance(stood, Step)
    except StopIteration:
        return  # the part was done before this step
    kill(task)
    w.time.now += w.broker.visibility
    for _ in range(3):
        for letter in w.waiting():
            if not letter.deleted and letter.visible <= w.time.now:
                w.do(letter)
    assert w.arrived() == CONTENT
    assert w.upload() is None


@pytest.mark.parametrize("act", ["replace", "delete"])
def test_parts_of_two_source_versions_are_never_mixed(act: str) -> None:
    w = world()
    w.begin()
    letters = w.parts()
    w.do(letters[0])
    event = w.put("k", b"other by" * 3 + b"end") if act == "replace" else w.delete("k")
    w.do(letters[1])
    assert w.outcomes() == {"postponed": 1, "carried": 1, "skipped": 1}
    w.work(event)
    for _ in range(8):
        for letter in w.waiting():
            if not letter.deleted:
                w.do(letter)
    assert not w.broker.letters
    assert w.arrived() == (b"other by" * 3 + b"end" if act == "replace" else None)
    assert len(w.there.uploads) == (act == "delete"), "the finder aborts it as a stale upload"


def test_stalled_parts_are_requested_again_with_growing_delays_and_then_dead_lettered() -> None:
    w = world()
    w.begin()
    w.do(w.parts()[0])
    sent = {letter.number for letter in w.parts()}
    times = [w.time.now]
    while not w.broker.dead:
        for letter in w.parts():
            w.broker.delete(f"{letter.number}#{letter.receives}")  # lost, as by a worker that always crashes
        (check,) = w.checks()
        w.do(check)
        new = {letter.number for letter in w.parts()} - sent
        if new:
            assert len(new) == 3, "only what is missing"
            sent |= new
            times.append(w.time.now)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == MAX_STALLS
    assert all(gap >= STALL_SECONDS for gap in gaps)
    assert gaps[1:] == sorted(gaps[1:])
    assert times[-1] - times[0] < 2 * 86400
    assert w.broker.dead[0][1].startswith("stuck: 1 of 4 parts")
    (dead,) = w.broker.dead
    w.do(w.broker.send(json.dumps({"redrive": dead[0]})))
    assert len(w.parts()) == 3, "an operator's redrive resumes where it was"
    for letter in (*w.parts(), *w.checks()):
        w.do(letter)
    assert w.arrived() == CONTENT


def test_progress_resets_the_stall_count() -> None:
    w = world()
    w.begin()
    for _ in range(2 + STALL_SECONDS // WATCH_SECONDS):
        (check,) = w.checks()
        w.do(check)
    stalled = w.upload()
    assert stalled is not None
    assert stalled.stalls == 1
    w.do(w.parts()[0])
    (check,) = w.checks()
    w.do(check)
    moving = w.upload()
    assert moving is not None
    assert (moving.stalls, moving.parts) == (0, 1)


def test_part_request_of_an_ended_upload_is_skipped() -> None:
    w = world()
    w.begin()
    first, second, *_ = w.parts()
    w.there.uploads.clear()
    w.do(first)
    w.ledger.table.records.clear()
    w.do(second)
    assert w.outcomes() == {"postponed": 1, "skipped": 2}


@pytest.mark.parametrize(
    "damage",
    [{"size": "20"}, {"look": []}, {"length": 0}, {"id": 5}, {"look": {"key": 5}}],
    ids=["size is text", "request is a list", "no part length", "upload id is a number", "request without a key"],
)
def test_part_with_an_unreadable_upload_record_is_skipped_and_the_object_arrives(damage: dict[str, object]) -> None:
    w = world()
    w.begin()
    first, *_ = w.parts()
    (name, record) = next((n, r) for n, r in w.ledger.table.records.items() if r.kind == UPLOAD)
    w.ledger.table.records[name] = replace(record, data={**record.data, **damage})
    w.do(first)
    assert first.deleted
    assert w.arrived() is None
    while w.waiting():
        w.do(w.waiting()[0])
    assert w.arrived() == CONTENT


def test_refused_part_is_postponed_and_then_dead_lettered_with_its_reason() -> None:
    journal = Journal()
    w = World(settings(denied_seconds=100), gate=journal.gate)
    w.begin()
    first = w.parts()[0]
    journal.faults["remote.put_part"] = ThrottledError("SlowDown")
    w.do(first)
    again = w.parts()[-1]
    assert w.part_of(again.body) == replace(w.part_of(first.body) or PartRequest("", "", "", "", 1, 1), attempt=1)
    journal.faults["remote.put_part"] = AccessDeniedError("AccessDenied")
    w.time.now += 1000
    w.do(again)  # the first refusal: denied_seconds begin here
    w.time.now += 101
    assert w.broker.dead == []
    w.do(w.parts()[-1])
    assert w.broker.dead[0][1] == "denied: AccessDenied"
    journal.faults["remote.put_part"] = PermanentError("KMS.DisabledException")
    w.do(w.parts()[0])
    assert w.broker.dead[1][1] == "KMS.DisabledException"


def test_one_worker_copies_all_parts_if_the_store_lists_no_parts() -> None:
    w = world()

    async def blind(key: str, upload_id: str, first: int = 1, last: int = 10_000) -> list[Part] | None:
        return None

    w.remote.list_parts = blind  # type: ignore[method-assign]
    w.begin()
    assert w.arrived() == CONTENT
    assert w.outcomes() == {"copied": 1}


def test_large_object_of_the_peer_is_pulled_in_parts() -> None:
    w = world()
    w.put("k", b"small")
    w.work()
    w.time.now += 10_000
    w.there.put("k", CONTENT, USER)
    w.do(w.broker.send('{"dualsync": {"key": "k", "cause": "finding", "careful": true}}'))
    assert {p.route for p in (w.part_of(x.body) for x in w.parts()) if p} == {"remote>local"}
    for letter in (*w.parts(), *w.checks()):
        w.do(letter)
    version = w.here.current("k")
    assert version is not None
    assert version.body == CONTENT
    assert w.outcomes()["pulled"] == 1


def test_a_process_copies_the_parts_of_few_requests_at_a_time() -> None:
    w = world()
    w.begin()
    reading, most = 0, 0
    read = w.local.read_range

    async def slow(key: str, start: int, end: int, etag: str) -> bytes:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0)
        reading -= 1
        return await read(key, start, end, etag)

    async def all_at_once() -> None:
        worker = handler_of(w.context, part_slots=asyncio.Semaphore(2))
        messages = [m for letter in w.parts() if (m := w.broker.take(letter)) is not None]
        await asyncio.gather(*map(worker.process, messages))

    w.local.read_range = slow  # type: ignore[method-assign]
    asyncio.run(all_at_once())
    assert most == 2
    w.do(w.checks()[-1])
    assert w.arrived() == CONTENT


# -- messages


UPLOAD_OF_NINE = UploadRecord(
    route="local>remote",
    key="k",
    target_key="t",
    etag="e",
    size=90,
    part_length=10,
    stamp="",
    attributes="",
    upload_id="u",
)


@pytest.mark.parametrize(
    ("missing", "size", "runs"),
    [
        (range(1, 10), 1, [(n, n) for n in range(1, 10)]),
        (range(1, 10), 40, [(1, 4), (5, 8), (9, 9)]),
        (range(1, 10), 1000, [(1, 9)]),
        ((1, 2, 4, 7, 8, 9), 25, [(1, 2), (4, 4), (7, 8), (9, 9)]),
        ((), 25, []),
    ],
)
def test_adjacent_missing_parts_share_a_request(
    missing: tuple[int, ...], size: int, runs: list[tuple[int, int]]
) -> None:
    made = list(part_requests(UPLOAD_OF_NINE, list(missing), size, 5.0))
    assert [(p.first, p.last) for p in made] == runs
    assert all(
        (p.key, p.target_key, p.upload_id, p.route, p.first_sent) == ("k", "t", "u", "local>remote", 5.0) for p in made
    )
    w = world()
    assert [w.part_of(w.context.authenticator.sign(part_request_codec.encode(p))) for p in made] == made


GOOD = {"key": "k", "route": "local>remote", "to": "k", "upload": "u", "first": 1, "last": 2}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        [],
        None,
        {**GOOD, "first": 3},
        {**GOOD, "first": -1},
        {**GOOD, "last": "2"},
        {**GOOD, "first": True},
        {**GOOD, "key": ""},
        {n: v for n, v in GOOD.items() if n != "upload"},
    ],
    ids=str,
)
def test_malformed_part_request_is_unreadable(fields: object) -> None:
    with pytest.raises(UnreadableMessageError):
        parse_message(json.dumps({part_request_codec.MEMBER: fields}), Principals(frozenset()), str, 0.0)
    w = world()
    with pytest.raises(UnreadableMessageError):
        w.part_of(w.context.authenticator.sign(json.dumps({part_request_codec.MEMBER: fields})))
    w.do(w.broker.send(json.dumps({part_request_codec.MEMBER: fields})))
    assert w.outcomes() == {"failed": 1}


def test_unsigned_part_request_is_parsed_as_a_check_of_its_key() -> None:
    w = world()
    (check,) = parse_message(json.dumps({part_request_codec.MEMBER: GOOD}), w.context.principals, lambda key: key, 7.0)
    assert (check.key, check.full_check, check.first_sent) == ("k", True, 7.0)
    assert w.part_of('{"Records": []}') is None
