"""Cases of network faults: a proxy refuses tunnels, transfers stall, the ledger's table is throttled."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.environment import Drill
from tests.e2e.relays.connect_proxy import ConnectProxy, TlsFront
from tests.e2e.relays.stalling import StallingGateway
from tests.e2e.relays.throttled_table import ThrottledTable
from tests.support.tls import make_authority

CN, GLOBAL = SideName.CN, SideName.GLOBAL

REMOTE = ("DUALSYNC_REMOTE_ENDPOINT", "DUALSYNC_REMOTE_STS_ENDPOINT")

PEER_HOST = "localhost.invalid"
"""Name of the peer's services, which only the proxy resolves (RFC 6761, 6.4). moto takes a bucket from the path only if
the host begins with `localhost`."""

PEER_PORT = 443

PASSWORD = "proxy-password-of-the-drill"

LARGE_BYTES = 12 << 20
"""Below the size from which objects are copied in parts: one request with one body."""

STALL_AFTER = 1 << 20
"""Bytes of a transfer after which it stalls."""

STALLED_SECONDS = 100.0
"""The worker closes a connection without progress after 60 seconds; the rest is for a busy machine."""

WRITES_PER_SECOND = 10.0
"""Writes that the throttled table allows."""


def refuse_tunnels(drill: Drill, sizes: Sizes) -> None:
    """Reach the peer only through a proxy, which then refuses tunnels for a while."""
    with tempfile.TemporaryDirectory() as folder:
        authority, context = make_authority(Path(folder), PEER_HOST)
        front = TlsFront(drill.stage.cloud.endpoint, context)
        proxy = ConnectProxy(f"{PEER_HOST}:{PEER_PORT}", front.port, "worker", PASSWORD)
        try:
            through = dict.fromkeys(REMOTE, f"https://{PEER_HOST}")
            drill.begin({CN: {**through, "HTTPS_PROXY": proxy.url, "AWS_CA_BUNDLE": authority}})
            tunnelled = proxy.tunnels > 0 and not proxy.refused
            drill.check("every connection to the peer is a tunnel of the proxy", tunnelled)
            drill.note("the proxy refuses tunnels (403) and closes those that are open; users continue to write")
            proxy.refuse("403 Forbidden")
            drill.put(CN, {f"meanwhile/{n}.txt": b"waits" for n in range(sizes.objects)})
            status = drill.status_until(
                "the circuit is open", lambda s: s["directions"][0]["state"] == State.CIRCUIT_OPEN
            )
            drill.report.status = status
            drill.check("status: exit code 3", status.code == 3, status.code)
            reasons = "; ".join(problem["what"] for problem in status.data["problems"])
            drill.check(
                "status names the proxy and its answer", f"refuses {PEER_HOST}:{PEER_PORT} (403)" in reasons, reasons
            )
            drill.alarms(lasting=["cn-oldest-message", "cn-peer-down"])
            drill.note("the proxy opens tunnels again; no operator acts")
            proxy.allow()
            drill.check_same()
            drill.check_healthy()
            drill.check("no message became a dead letter", not any(drill.stage.backlog(side)[1] for side in SideName))
            logged = any(PASSWORD in path.read_text() for path in (drill.stage.workspace.folder / "logs").iterdir())
            drill.check("the proxy's password is in no log and no answer", not logged and PASSWORD not in status.out)
        finally:
            proxy.stop()
            front.stop()


def stall_transfers(drill: Drill, sizes: Sizes) -> None:
    """Stall one upload to the peer, and one download from cn's own bucket, in the middle."""
    gateway = StallingGateway(drill.stage.cloud.endpoint, STALL_AFTER)
    try:
        drill.begin({CN: dict.fromkeys((*REMOTE, "DUALSYNC_LOCAL_ENDPOINT"), gateway.endpoint)})
        gateway.arm()
        large = {f"large/{n}.bin": str(n).encode() * LARGE_BYTES for n in range(2)}
        drill.put(CN, large)
        drill.until("an upload and a download are stalled", lambda: len(gateway.stalls) == 2)
        drill.note("in the middle of an upload and of a download no more bytes arrive; both connections stay open")
        small = {f"meanwhile/{n}.txt": b"passes" for n in range(sizes.objects)}
        drill.put(CN, small)
        drill.until("other changes arrive", lambda: small.keys() <= drill.sides[GLOBAL].listing().keys())
        drill.check("other changes arrive while both are stalled", len(gateway.lasting) == 2, gateway.stalls)
        status = drill.dualsync("status", reported=False)
        drill.report.status = status
        state = status.data["directions"][0]["state"]
        drill.check("cn continues to receive", state == State.RUNNING, state)
        drill.until("both objects arrive", lambda: large.keys() <= drill.sides[GLOBAL].listing().keys())
        seconds = time.monotonic() - min(stall.since for stall in gateway.stalls)
        drill.note(
            f"the worker closes both connections and uses others; both objects have arrived after {seconds:.0f} s"
        )
        drill.check(f"both objects arrive within {STALLED_SECONDS:.0f} s", seconds <= STALLED_SECONDS, seconds)
        drill.check("the download's connection is closed", not any(not stall.upload for stall in gateway.lasting))
        drill.alarms()
        drill.check_same()
        drill.check_healthy()
        drill.check("no message became a dead letter", not any(drill.stage.backlog(side)[1] for side in SideName))
    finally:
        gateway.down()


def throttle_table(drill: Drill, sizes: Sizes) -> None:
    """Allow few writes per second to cn's ledger table, and refuse the others as DynamoDB does: with 400."""
    table = ThrottledTable(drill.stage.cloud.endpoint)
    try:
        drill.begin({CN: {"AWS_ENDPOINT_URL_DYNAMODB": table.endpoint}})
        count = 8 * sizes.objects
        table.limit(WRITES_PER_SECOND)
        begun = time.monotonic()
        drill.put(CN, {f"burst/{n}.txt": f"{n}".encode() for n in range(count)})
        drill.until("the table refuses writes", lambda: table.refused > 0)
        status = drill.dualsync("status", reported=False)
        drill.report.status = status
        drill.settle()
        seconds = time.monotonic() - begun
        least = count / WRITES_PER_SECOND
        drill.note(
            f"cn's table allows {WRITES_PER_SECOND:.0f} writes per second; {count} objects are written at once:"
            f" copied in {seconds:.0f} s, {table.allowed} writes done, {table.refused} refused"
        )
        drill.check("no write is repeated without need", table.allowed <= 1.2 * count, table.allowed)
        drill.check("the table's rate is used", seconds <= 3 * least + 20, f"{seconds:.0f} s instead of {least:.0f} s")
        retries = f"{table.refused} of {table.allowed}"
        drill.check("refused writes are not retried too often", table.refused <= 3 * table.allowed, retries)
        drill.alarms()
        table.limit(None)
        drill.check_same()
        drill.check_healthy()
        drill.check("no message became a dead letter", not any(drill.stage.backlog(side)[1] for side in SideName))
    finally:
        table.stop()


CASES = (
    Case("proxy", "A proxy on the route to the peer that refuses tunnels for a while", refuse_tunnels),
    Case("stalled-peer", "A store that stops in the middle of transfers", stall_transfers),
    Case("throttled-table", "A ledger table that is throttled", throttle_table),
)
