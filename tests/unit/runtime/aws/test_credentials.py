"""Test the machine's own credential: caching, renewal and expiry."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from dualsync.runtime.aws.credentials import REFRESH_SECONDS, MachineCredentials
from dualsync.runtime.errors import CredentialRejectedError
from tests.support.fakes.clock import FakeClock, Time

EXPIRY = 1_790_003_600.0
START = EXPIRY - 3600


class Frozen:
    """A key as botocore freezes it."""

    def __init__(self, number: int) -> None:
        self.access_key, self.secret_key, self.token = f"AKIA{number}", "secret", ""


class Session:
    """A botocore session whose key changes with each lookup."""

    def __init__(self, expiry: float | None = EXPIRY) -> None:
        self.lookups = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[str] = set()
        if expiry is not None:
            self._expiry_time = datetime.fromtimestamp(expiry, UTC)

    def get_credentials(self) -> Any:
        return self

    def get_frozen_credentials(self) -> Frozen:
        self.gate.wait()
        self.threads.add(threading.current_thread().name)
        self.lookups += 1
        if self.error is not None:
            raise self.error
        return Frozen(self.lookups)


async def settle(credentials: MachineCredentials) -> None:
    """Wait for a lookup in the background."""
    if credentials._finding is not None:
        await asyncio.wait([credentials._finding])


async def test_concurrent_requests_share_one_lookup_in_a_separate_thread() -> None:
    session = Session()
    credentials = MachineCredentials(session, FakeClock(Time(START)))  # type: ignore[arg-type]
    session.gate.clear()
    waiting = [asyncio.create_task(credentials.get()) for _ in range(128)]
    await asyncio.sleep(0)
    # The event loop's own threads, which resolve host names, stay available.
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    session.gate.set()
    assert {(await task).access_key_id for task in waiting} == {"AKIA1"}
    assert session.lookups == 1
    assert all(name.startswith("credentials") for name in session.threads)


async def test_valid_key_is_used_during_a_lookup() -> None:
    session, now = Session(), Time(START)
    credentials = MachineCredentials(session, FakeClock(now))  # type: ignore[arg-type]
    assert (await credentials.get()).access_key_id == "AKIA1"
    now.now += REFRESH_SECONDS + 1
    session.gate.clear()
    assert (await credentials.get()).access_key_id == "AKIA1"
    session.gate.set()
    await settle(credentials)
    assert (await credentials.get()).access_key_id == "AKIA2"


async def test_step_of_the_wall_clock_delays_no_lookup() -> None:
    session, now = Session(), Time(START)
    clock = FakeClock(now)
    credentials = MachineCredentials(session, clock)  # type: ignore[arg-type]
    await credentials.get()
    clock.skew -= 3600
    now.now += REFRESH_SECONDS + 1
    await credentials.get()
    await settle(credentials)
    assert (await credentials.get()).access_key_id == "AKIA2"
    session.error = OSError("metadata")
    now.now += REFRESH_SECONDS + 1
    await credentials.get()
    await settle(credentials)
    clock.skew -= 3600
    session.error = None
    now.now += REFRESH_SECONDS + 1
    await credentials.get()
    await settle(credentials)
    assert (await credentials.get()).access_key_id == "AKIA4"


@pytest.mark.parametrize("error", [RuntimeError("refreshed credentials are still expired"), OSError("metadata")])
async def test_valid_key_is_kept_until_it_expires_if_lookups_fail(error: Exception) -> None:
    session, now = Session(), Time(START)
    credentials = MachineCredentials(session, FakeClock(now))  # type: ignore[arg-type]
    await credentials.get()
    session.error = error
    while now.now < EXPIRY - 61:
        now.now += REFRESH_SECONDS + 1
        assert (await credentials.get()).access_key_id == "AKIA1"
        await settle(credentials)
    now.now = EXPIRY
    with pytest.raises(CredentialRejectedError, match=type(error).__name__):
        await credentials.get()
    session.error = None
    now.now += 1
    assert (await credentials.get()).access_key_id.startswith("AKIA")


async def test_rejected_key_is_replaced_if_there_is_another() -> None:
    session = Session(None)
    credentials = MachineCredentials(session, FakeClock(Time(START)))  # type: ignore[arg-type]
    await credentials.get()
    assert await credentials.renew()
    session.error = RuntimeError("no metadata")
    assert not await credentials.renew()
    assert (await credentials.get()).access_key_id == "AKIA2"


async def test_cancelled_request_does_not_stop_the_lookup_for_others() -> None:
    session = Session()
    credentials = MachineCredentials(session, FakeClock(Time(START)))  # type: ignore[arg-type]
    session.gate.clear()
    first, second = (asyncio.create_task(credentials.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    session.gate.set()
    assert (await second).access_key_id == "AKIA1"


async def test_machine_without_a_credential_raises() -> None:
    class Empty(Session):
        def get_credentials(self) -> Any:
            return None

    with pytest.raises(CredentialRejectedError, match="give it a role"):
        await MachineCredentials(Empty(), FakeClock(Time(START))).get()  # type: ignore[arg-type]
