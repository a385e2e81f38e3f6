"""What a store lacks is said once."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.shortcomings import PERIOD, tell
from tests.core.given import Lines
from tests.fakes.clock import FakeClock, Time
from tests.fakes.gate import run


@dataclass
class Store:
    unconditional: bool = False


def test_a_store_without_conditional_writes_is_named_once() -> None:
    here, there, log, time = Store(), Store(), Lines(), Time()
    said: list[tuple[float, object]] = []

    class Clock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            said.append((time.now, [fields["store"] for fields in log.of("store")]))
            time.now += seconds
            there.unconditional = len(said) >= 2
            here.unconditional = len(said) >= 3

    start = time.now
    run(tell({"local": here, "remote": there}, Clock(time), log))
    assert [(at - start, names) for at, names in said] == [
        (0, []),
        (PERIOD, []),
        (2 * PERIOD, ["remote"]),
        (3 * PERIOD, ["remote", "local"]),
    ]
    assert "If-Match" in str(log.of("store")[0]["reason"])
