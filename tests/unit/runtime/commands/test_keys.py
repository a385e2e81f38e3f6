"""Test `dualsync rotate-key`: it shows a key's phase, and proves a rotation by what workers recorded."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.errors import PermanentError
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations import keys
from dualsync.runtime.operations.context import AccessKey, ExpectedUser
from dualsync.runtime.settings import SideName
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ledger import FakeLedger
from tests.support.operator_harness import IDS, FakeSideMetrics, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def metrics(operator: Operator, side: SideName) -> FakeSideMetrics:
    found: Any = operator.sides[side].metrics
    assert isinstance(found, FakeSideMetrics)
    return found


def keyed(*ids: str, secret: str = "AKIA1") -> Operator:
    """Return a pair where cn's user has these keys, and global's secret and worker use key `secret`."""
    operator = Operator()
    asyncio.run(operator.heartbeat())
    metrics(operator, CN).access = [AccessKey(id, int(operator.time.now) - 86400 * 40) for id in ids]
    metrics(operator, GLOBAL).promised = ExpectedUser(secret, IDS[CN])
    return operator


def test_single_proven_key_is_steady() -> None:
    answer = keyed("AKIA1").call("rotate-key", "cn")
    assert answer.code == 0
    assert "one key AKIA1, 40 d old" in answer.out
    assert "1 of 1 living workers of global have proven it" in answer.out
    assert "pulumi config set dualsync:keyVersion N+1 --stack cn" in answer.out


@pytest.mark.parametrize(
    ("ids", "secret", "phase"),
    [
        (("AKIA1", "AKIA2"), "AKIA1", "rotating"),
        (("AKIA2",), "AKIA1", "broken"),
    ],
)
def test_second_or_wrong_key_is_not_steady(ids: tuple[str, ...], secret: str, phase: str) -> None:
    answer = keyed(*ids, secret=secret).call("rotate-key", "cn", "--json")
    assert answer.code == 3
    assert answer.data["phase"] == phase
    assert answer.data["commands"][-1] == ["pulumi", "up", "--stack", "cn"]


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (("AKIA1", "AKIA2"), "(named by the secret: AKIA1; not named: AKIA2)"),
        (("AKIA2",), "names the key AKIA1, which is no active key of cn's user"),
        (None, "the secret names the key AKIA1"),
    ],
)
def test_the_key_that_the_secret_names_is_shown(ids: tuple[str, ...] | None, shown: str) -> None:
    operator = keyed(*ids or ())
    if ids is None:
        metrics(operator, CN).access = None
    assert shown in " ".join(operator.call("rotate-key", "cn").out.split())


def test_a_second_key_is_shown_beside_the_one_in_the_secret() -> None:
    operator = keyed("AKIA1", "AKIA2")
    side = operator.sides[CN]
    operator.sides[CN] = replace(side, facts={**side.facts, "keyId": "AKIA1"})
    shown = " ".join(operator.call("rotate-key", "cn").out.split())
    assert "has a second key AKIA2, which neither the secret nor the stack names: both name AKIA1" in shown


def test_phase_is_unknown_if_keys_cannot_be_listed() -> None:
    operator = keyed()
    metrics(operator, CN).access = None
    assert operator.call("rotate-key", "cn", "--json").data["phase"] == "unknown"


def test_key_is_not_steady_until_all_workers_have_proven_it() -> None:
    operator = keyed("AKIA1")
    operator.vitals[GLOBAL].guard = "AIDASOMEBODY"
    asyncio.run(operator.heartbeat())
    assert operator.call("rotate-key", "cn").code == 3


class Rotating(FakeClock):
    """A clock whose sleep completes the rotation."""

    def __init__(self, operator: Operator) -> None:
        super().__init__(operator.time)
        self._operator = operator

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        metrics(self._operator, CN).access = [AccessKey("AKIA2", int(self.now()))]
        metrics(self._operator, GLOBAL).promised = ExpectedUser("AKIA2", IDS[CN])
        await self._operator.heartbeat()


def test_wait_ends_when_the_new_key_is_proven() -> None:
    operator = keyed("AKIA1")
    operator.clock = Rotating(operator)
    answer = operator.call("rotate-key", "cn", "--wait", "--json")
    assert answer.code == 0
    assert answer.data["secret_names"] == "AKIA2"
    assert keyed("AKIA1").call("rotate-key", "cn", "--wait", "--timeout", "10").code == 3


def test_step_of_the_wall_clock_prolongs_no_wait() -> None:
    class Stepping(FakeClock):
        """A clock that steps back by an hour during the first sleep."""

        async def sleep(self, seconds: float) -> None:
            self.skew = -3600.0
            await super().sleep(seconds)

    operator = keyed("AKIA1")
    operator.clock = Stepping(operator.time)
    begun = operator.time.now
    assert operator.call("rotate-key", "cn", "--wait", "--timeout", "10").code == 3
    assert operator.time.now - begun == 10


def test_run_executes_the_pulumi_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = keyed("AKIA1")
    operator.clock = Rotating(operator)
    ran: list[Any] = []
    monkeypatch.setattr(keys, "present_version", lambda project, stack: 4)
    monkeypatch.setattr(keys, "run_commands", lambda project, steps: ran.extend(steps))
    assert operator.call("rotate-key", "cn", "--run").code == 2
    assert operator.call("rotate-key", "cn", "--run", "--yes").code == 0
    assert ran == [
        ["pulumi", "config", "set", "dualsync:keyVersion", "5", "--stack", "cn"],
        ["pulumi", "up", "--stack", "cn"],
    ]
    (act,) = operator.call("audit", "--json").data["acts"]
    assert act["command"] == "rotate-key"


class SlowLedger(FakeLedger):
    """A ledger that answers in another turn of the event loop, as every real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = threading.Event()
        """Set when the failure of an act is about to be recorded."""

    async def record(self, record: Record) -> None:
        if record.data.get("state") == "failed":
            self.failed.set()
        await asyncio.sleep(0)
        await super().record(record)


def test_ctrl_c_during_the_commands_is_in_the_audit_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = keyed("AKIA1")
    ledger = SlowLedger()
    operator.change(CN, ledger=ledger)
    monkeypatch.setattr(keys, "present_version", lambda project, stack: 4)

    def interrupted(project: object, steps: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ledger.failed.wait(10)  # the signal reaches the main thread, and this one would continue meanwhile
        raise PermanentError("rotation", "`pulumi up` failed")

    monkeypatch.setattr(keys, "run_commands", interrupted)
    assert operator.call("rotate-key", "cn", "--run", "--yes").code == 130
    (act,) = operator.call("audit", "--json").data["acts"]
    assert (act["command"], act["state"]) == ("rotate-key", "failed")


def test_output_contains_no_secret() -> None:
    for more in ((), ("--json",)):
        out = keyed("AKIA1").call("rotate-key", "cn", *more).out
        assert "secret_access_key" not in out


def by_role() -> Operator:
    """Return a pair where global's workers use a role at cn."""
    operator = keyed()
    metrics(operator, GLOBAL).promised = ExpectedUser("", IDS[CN], role_arn="arn:aws-cn:iam::1:role/p-cn-peer")
    return operator


def test_role_has_no_key_to_rotate() -> None:
    answer = by_role().call("rotate-key", "cn", "--json")
    assert (answer.code, answer.data["phase"], answer.data["commands"]) == (0, "role", [])
    text = by_role().call("rotate-key", "cn").out
    assert "act at cn as a role: there is no access key to rotate" in " ".join(text.split())
    assert "pulumi" not in text
    for option in ("--run", "--wait"):
        refused = by_role().call("rotate-key", "cn", option, "--yes")
        assert refused.code not in (0, 3)
        assert "which has no access key" in refused.err


def test_status_with_a_role_reports_no_key_problem() -> None:
    operator = by_role()
    shown = operator.call("status", "--json").data
    assert not [p for p in shown["problems"] if "key" in json.dumps(p) or "secret" in json.dumps(p)]
