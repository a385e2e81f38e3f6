"""The other side is out of reach: its key is revoked, or its services do not answer."""

from __future__ import annotations

from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.environment import Night
from tests.e2e.drill.gateway import Gateway

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def _is(state: str) -> Any:
    return lambda status: status["directions"][0]["state"] == state


def _write_meanwhile(night: Night, count: int) -> None:
    """Users of both sides go on; what is written at global must arrive, for that direction has no trouble."""
    night.put(CN, {f"meanwhile/cn/{n}.txt": b"waits" for n in range(count)})
    night.put(GLOBAL, {f"meanwhile/global/{n}.txt": b"goes on" for n in range(count)})
    there = {f"meanwhile/global/{n}.txt" for n in range(count)}
    night.until("the other direction goes on", lambda: there <= set(night.sides[CN].listing()))
    night.check("the other direction goes on", True)


def revoked(night: Night, sizes: Sizes) -> None:
    """Somebody makes the key inactive that cn's workers write with."""
    night.begin()
    facts = night.stage.fleet.outputs[GLOBAL]
    night.stage.cloud.client(GLOBAL, "iam").update_access_key(
        UserName=facts["userName"], AccessKeyId=facts["keyId"], Status="Inactive"
    )
    night.told.happened.append("global's dedicated user's key is made inactive; users go on writing")
    _write_meanwhile(night, sizes.objects)
    status = night.status_until("cn->global waits for the peer", _is(State.WAITING_FOR_PEER))
    night.told.status = status
    night.check("status: exit code 3", status.code == 3, status.code)
    remedies = [p["remedy"] for p in status.data["problems"] if p["direction"] == "cn->global"]
    night.check("status names the command", any("rotate-key global" in r for r in remedies), remedies)
    night.alarms(lasting=["cn-oldest-message"])
    asked = night.dualsync("rotate-key", "global", gist=lambda a: f"the key is {a.data['phase']}")
    night.check("rotate-key says that the key is broken", asked.code == 3 and asked.data["phase"] == "broken")
    mended = night.dualsync(
        "rotate-key", "global", "--run", "--yes", "--timeout", "120", gist=lambda a: f"the key is {a.data['phase']}"
    )
    night.check("rotate-key --run mends it", mended.code == 0, mended.out[-200:] + mended.err[-200:])
    night.same()
    night.well()
    night.check("nothing was lost to the dead-letter queue", not any(night.stage.backlog(s)[1] for s in SideName))


def peer_down(night: Night, sizes: Sizes) -> None:
    """All of cn's way to the other side is cut, and comes back."""
    gateway = Gateway(night.stage.cloud.endpoint)
    cut = dict.fromkeys(("DUALSYNC_REMOTE_ENDPOINT", "DUALSYNC_REMOTE_STS_ENDPOINT"), gateway.endpoint)
    try:
        night.begin({CN: cut})
        gateway.down()
        night.told.happened.append("no connection from cn to global's S3 and STS any more; users go on writing")
        _write_meanwhile(night, sizes.objects)
        status = night.status_until("the circuit is open", _is(State.CIRCUIT_OPEN))
        night.told.status = status
        night.check("status: exit code 3", status.code == 3, status.code)
        night.alarms(lasting=["cn-oldest-message", "cn-peer-down"])
        night.told.happened.append("the line comes back; nobody does anything")
        gateway.up()
        night.same()
        night.well()
        lost = any(night.stage.backlog(side)[1] for side in SideName)
        night.check("nothing was lost to the dead-letter queue", not lost)
    finally:
        gateway.down()


CASES = (
    Case("revoked", "Credentials revoked", revoked),
    Case("peer-down", "Peer down", peer_down),
)
