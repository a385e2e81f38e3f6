"""Test the probe for conditional writes: a store proves by refusals that it enforces conditions."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.errors import (
    AccessDeniedError,
    ConcurrentWriteError,
    CredentialRejectedError,
    PreconditionFailedError,
    UnavailableError,
)
from dualsync.runtime.model.objects import Attributes, Precondition, PutResult
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.transfer.condition_proof import (
    POLL_SECONDS,
    PROBE_PREFIX,
    Writable,
    find_ignored_condition,
    warn_of_ignored_conditions,
)
from tests.support.builders import Lines
from tests.support.fakes.clock import FakeClock, Time


class Store:
    """A store that ignores the conditions of some calls, and refuses the others as S3 does."""

    def __init__(self, ignores: str = "", *faults: Exception, refusal: Exception | None = None) -> None:
        self._ignores, self._faults = ignores, list(faults)
        self._refusal = refusal or PreconditionFailedError("412")
        self.keys = {"there"}

    def _check(self, call: str) -> None:
        if self._faults:
            raise self._faults.pop(0)
        if call not in self._ignores:
            raise self._refusal

    async def put(
        self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        self._check("put-new" if condition.etag is None else "put-match")
        self.keys.add(key)
        return PutResult("written")

    async def delete(self, key: str, condition: Precondition) -> None:
        if condition.etag != "written":
            self._check("delete")
        self.keys.discard(key)


@pytest.mark.parametrize(
    ("ignores", "named"),
    [
        ("", ""),
        ("put-new put-match delete", "PutObject with If-None-Match"),
        ("put-match", "PutObject with If-Match"),
        ("delete", "DeleteObject with If-Match"),
    ],
)
def test_call_whose_condition_is_ignored_is_named(ignores: str, named: str) -> None:
    """Stores differ by operation: MinIO ignores If-Match on DELETE alone."""
    assert asyncio.run(find_ignored_condition(Store(ignores), "there")) == named


def test_conflict_counts_as_a_refusal() -> None:
    assert asyncio.run(find_ignored_condition(Store(refusal=ConcurrentWriteError("409")), "there")) == ""


def warnings(stores: dict[str, Writable]) -> tuple[list[object], float]:
    log, time = Lines(), Time()
    start = time.now
    asyncio.run(warn_of_ignored_conditions(stores, FakeClock(time), log))
    return [fields["store"] for fields in log.of("store")], time.now - start


def test_store_that_ignores_conditions_is_logged_and_left_unchanged() -> None:
    bad, good = Store("put-match"), Store()
    assert warnings({"remote": bad, "local": good}) == (["remote"], 0)
    assert bad.keys == good.keys == {"there"}


def test_probe_is_repeated_if_the_store_does_not_answer() -> None:
    late = Store("put-match", UnavailableError("no answer"), CredentialRejectedError("not yet"))
    assert warnings({"remote": late, "local": Store()}) == (["remote"], 2 * POLL_SECONDS)


def test_store_that_denies_writes_is_not_probed_further() -> None:
    assert warnings({"local": Store("put-match", AccessDeniedError("denied"))}) == ([], 0)


def test_probe_keys_are_unique_and_have_the_probe_prefix() -> None:
    kept: list[str] = []

    class Keeping(Store):
        async def put(
            self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Precondition
        ) -> PutResult:
            kept.append(key)
            return await super().put(key, body, attributes, stamp, condition)

    warnings({"local": Keeping(), "remote": Keeping()})
    assert len(set(kept)) == 2
    assert all(key.startswith(PROBE_PREFIX) for key in kept)
