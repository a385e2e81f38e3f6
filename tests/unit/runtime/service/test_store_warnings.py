"""Test store warnings: each missing feature of a store is logged once."""

from __future__ import annotations

from dataclasses import dataclass, field

from dualsync.runtime.service.store_warnings import STORE_POLL_SECONDS, warn_of_archives, watch_stores
from tests.support.builders import Lines
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run


@dataclass
class Store:
    lacks_conditions: bool = False
    refused_checksums: set[str] = field(default_factory=set)
    incomplete_key: str = ""


def test_store_without_conditional_writes_is_logged_once() -> None:
    here, there, log, time = Store(), Store(), Lines(), Time()
    logged: list[tuple[float, object]] = []

    class Clock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            logged.append((time.now, [fields["store"] for fields in log.of("store")]))
            time.now += seconds
            there.lacks_conditions = len(logged) >= 2
            here.lacks_conditions = len(logged) >= 3

    start = time.now
    run(watch_stores({"local": here, "remote": there}, Clock(time), log))
    assert [(at - start, names) for at, names in logged] == [
        (0, []),
        (STORE_POLL_SECONDS, []),
        (2 * STORE_POLL_SECONDS, ["remote"]),
        (3 * STORE_POLL_SECONDS, ["remote", "local"]),
    ]
    assert "If-Match" in str(log.of("store")[0]["reason"])


def test_refused_kind_of_checksums_is_logged_once() -> None:
    here, there, log, time = Store(), Store(), Lines(), Time()
    seen: list[int] = []

    class Clock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            seen.append(len(log.of("store")))
            there.refused_checksums |= {"sha1", "crc32"} if len(seen) >= 2 else {"sha1"}
            here.lacks_conditions = there.lacks_conditions = len(seen) == 4

    run(watch_stores({"local": here, "remote": there}, Clock(time), log))
    assert seen == [0, 1, 2, 2, 4]
    assert [str(fields["reason"]).split(":")[0] for fields in log.of("store")[:2]] == [
        "refuses checksums of the kind sha1",
        "refuses checksums of the kind crc32",
    ]


def test_object_whose_metadata_is_not_returned_is_logged_once() -> None:
    here, there, log, time = Store(), Store(), Lines(), Time()
    seen: list[int] = []

    class Clock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            seen.append(len(log.of("store")))
            here.incomplete_key = "soap"
            here.lacks_conditions = there.lacks_conditions = len(seen) == 3

    run(watch_stores({"local": here, "remote": there}, Clock(time), log))
    assert seen == [0, 1, 1, 3]
    logged = log.of("store")[0]
    assert (logged["store"], logged["key"]) == ("local", "soap")
    assert "x-amz-missing-meta" in str(logged["reason"])


@dataclass
class Listing:
    refused: bool


def test_store_that_refuses_the_restore_status_is_logged() -> None:
    log = Lines()
    listings = {"local": Listing(False), "remote": Listing(True)}
    warn_of_archives(listings, log)
    [logged] = log.of("store")
    assert logged["store"] == "remote"
    assert "archived" in str(logged["reason"])
