"""Test that drivers can pause, fail and kill a fake's call before and after its effect."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import ThrottledError, UnavailableError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, PutResult
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import Step, kill, run, stepping_gate
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.store import Store


def make() -> tuple[Store, FakeBucket]:
    store = Store("b", "cn-north-1", Time())
    return store, FakeBucket(store, "AIDA", gate=stepping_gate)


def test_a_call_stops_before_and_after_its_effect() -> None:
    store, bucket = make()
    call = bucket.put("a", b"x", Attributes(), None, MUST_NOT_EXIST)
    assert str(call.send(None)) == "before local.put"
    assert not store.keys
    assert str(call.send(None)) == "after local.put"
    assert store.keys
    with pytest.raises(StopIteration) as done:
        call.send(None)
    assert isinstance(done.value.value, PutResult)


def test_a_fault_before_the_call_has_no_effect_and_one_after_it_has() -> None:
    store, bucket = make()
    throttled = bucket.put("a", b"x", Attributes(), None, MUST_NOT_EXIST)
    throttled.send(None)
    with pytest.raises(ThrottledError):
        throttled.throw(ThrottledError())
    assert not store.keys
    unanswered = bucket.put("a", b"x", Attributes(), None, MUST_NOT_EXIST)
    unanswered.send(None)
    unanswered.send(None)
    with pytest.raises(UnavailableError):
        unanswered.throw(UnavailableError())
    assert store.keys


def test_a_killed_call_runs_no_clean_up() -> None:
    store, bucket = make()

    async def upload() -> None:
        upload_id = (await bucket.create_upload("a", Attributes(), None)).id
        try:
            await bucket.put_part("a", upload_id, 1, b"x")
        except Exception:
            await bucket.abort_upload("a", upload_id)
            raise
        finally:
            await bucket.abort_upload("a", upload_id)

    call = upload()
    for _ in range(3):
        call.send(None)
    kill(call)
    assert list(store.uploads) == ["upload-1"]


def test_a_ledger_write_is_conditional() -> None:
    ledger = FakeLedger()
    run(ledger.put(LedgerEntry("a", revision=1), 0))
    assert run(ledger.get("a")) == LedgerEntry("a", revision=1)


def test_a_clock_advances_only_on_request() -> None:
    time = Time(100.0)
    clock = FakeClock(time, 5.0)
    run(clock.sleep(10))
    assert clock.now() == 115.0
    stopping = FakeClock(time, stop=True).sleep(7)
    step = stopping.send(None)
    assert isinstance(step, Step)
    assert step.seconds == 7
