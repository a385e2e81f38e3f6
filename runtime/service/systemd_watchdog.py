"""Tells systemd that the event loop still turns; a worker that hangs is then restarted (sd_notify: WATCHDOG=1)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

from dualsync.runtime.ports import Clock


async def feed(environment: Mapping[str, str], clock: Clock) -> None:
    """Feed the watchdog three times in its period, for ever; return at once where systemd set none."""
    address, period = environment.get("NOTIFY_SOCKET", ""), environment.get("WATCHDOG_USEC", "")
    if not address or not period.isdigit():
        return
    while True:
        notify(address)
        await clock.sleep(int(period) / 3e6)


def notify(address: str) -> None:
    """Send one sign of life to a socket's path (`@` begins an abstract one). A lost one is no reason to stop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.sendto(b"WATCHDOG=1", "\0" + address[1:] if address.startswith("@") else address)
