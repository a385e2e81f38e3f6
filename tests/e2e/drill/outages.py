"""Cases of outages: the key for the other side is revoked, or its services do not answer."""

from __future__ import annotations

from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.environment import Drill
from tests.e2e.relays.gateway import Gateway

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def _cn_is(state: str) -> Any:
    return lambda status: status["directions"][0]["state"] == state


def _write_meanwhile(drill: Drill, count: int) -> None:
    """Write on both sides during the outage; what is written at global must arrive."""
    drill.put(CN, {f"meanwhile/cn/{n}.txt": b"waits" for n in range(count)})
    drill.put(GLOBAL, {f"meanwhile/global/{n}.txt": b"arrives" for n in range(count)})
    there = {f"meanwhile/global/{n}.txt" for n in range(count)}
    drill.until("the other direction continues", lambda: there <= set(drill.sides[CN].listing()))
    drill.check("the other direction continues", True)


def revoke_key(drill: Drill, sizes: Sizes) -> None:
    """Make the access key inactive with which cn's workers write."""
    drill.begin()
    facts = drill.stage.fleet.outputs[GLOBAL]
    drill.stage.cloud.client(GLOBAL, "iam").update_access_key(
        UserName=facts["userName"], AccessKeyId=facts["keyId"], Status="Inactive"
    )
    drill.note("the access key of global's dedicated user is made inactive; users continue to write")
    _write_meanwhile(drill, sizes.objects)
    status = drill.status_until("cn->global waits for the peer", _cn_is(State.WAITING_FOR_PEER))
    drill.report.status = status
    drill.check("status: exit code 3", status.code == 3, status.code)
    remedies = [p["remedy"] for p in status.data["problems"] if p["direction"] == "cn->global"]
    drill.check("status names the command", any("rotate-key global" in r for r in remedies), remedies)
    drill.alarms(lasting=["cn-oldest-message"])
    asked = drill.dualsync("rotate-key", "global", gist=lambda a: f"the key is {a.data['phase']}")
    drill.check("rotate-key reports a broken key", asked.code == 3 and asked.data["phase"] == "broken")
    repaired = drill.dualsync(
        "rotate-key", "global", "--run", "--yes", "--timeout", "120", gist=lambda a: f"the key is {a.data['phase']}"
    )
    drill.check("rotate-key --run repairs it", repaired.code == 0, repaired.out[-200:] + repaired.err[-200:])
    drill.check_same()
    drill.check_healthy()
    drill.check("no message became a dead letter", not any(drill.stage.backlog(s)[1] for s in SideName))


def cut_peer(drill: Drill, sizes: Sizes) -> None:
    """Cut every connection from cn to the other side, then restore them."""
    gateway = Gateway(drill.stage.cloud.endpoint)
    cut = dict.fromkeys(("DUALSYNC_REMOTE_ENDPOINT", "DUALSYNC_REMOTE_STS_ENDPOINT"), gateway.endpoint)
    try:
        drill.begin({CN: cut})
        gateway.down()
        drill.note("cn can no longer connect to global's S3 and STS; users continue to write")
        _write_meanwhile(drill, sizes.objects)
        status = drill.status_until("the circuit is open", _cn_is(State.CIRCUIT_OPEN))
        drill.report.status = status
        drill.check("status: exit code 3", status.code == 3, status.code)
        drill.alarms(lasting=["cn-oldest-message", "cn-peer-down"])
        drill.note("the connection is restored; no operator acts")
        gateway.up()
        drill.check_same()
        drill.check_healthy()
        lost = any(drill.stage.backlog(side)[1] for side in SideName)
        drill.check("no message became a dead letter", not lost)
    finally:
        gateway.down()


CASES = (
    Case("revoked", "Credentials revoked", revoke_key),
    Case("peer-down", "Peer down", cut_peer),
)
