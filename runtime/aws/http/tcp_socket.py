"""A connection's TCP options, and the kernel's counters of what has moved on it."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Any

KEEPALIVE_SECONDS = (10, 5, 3)
"""Idle time before the first TCP keepalive probe, time between probes, and the number of probes without an answer."""

UNACKED_SECONDS = 30
"""Longest time in which data sent may stay unacknowledged (TCP_USER_TIMEOUT)."""

NOTSENT_BYTES = 128 << 10
"""Most unsent bytes of a large body that the kernel holds, so that a cancelled request does not send on."""

_INFO_COUNTERS = struct.Struct("=QQIII")
"""`tcpi_bytes_acked`, `tcpi_bytes_received`, two counters of segments, and `tcpi_notsent_bytes` of Linux's tcp_info."""
_INFO_COUNTERS_AT = 120
_INFO_UNACKED_AT = 24


def keep_alive(connected: Any) -> None:
    """Let the kernel find out that the other end is gone, as far as this platform has the options for it."""
    idle, interval, count = KEEPALIVE_SECONDS
    tcp = socket.IPPROTO_TCP
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (tcp, "TCP_KEEPIDLE", idle),
        (tcp, "TCP_KEEPINTVL", interval),
        (tcp, "TCP_KEEPCNT", count),
        (tcp, "TCP_USER_TIMEOUT", UNACKED_SECONDS * 1000),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):
                connected.setsockopt(level, option, value)


def limit_unsent(connected: Any) -> None:
    """Let the kernel hold at most `NOTSENT_BYTES` that it has not sent yet, where it has the option for it."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and connected is not None:
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, option, NOTSENT_BYTES)


def transfer_progress(connected: Any) -> tuple[int, bool] | None:
    """Return how many bytes have been acknowledged and received, and whether any sent ones are still under way.

    None where the kernel has no such counters.
    """
    if hasattr(socket, "TCP_INFO"):
        with suppress(OSError, struct.error):
            info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
            acked, received, _, _, unsent = _INFO_COUNTERS.unpack_from(info, _INFO_COUNTERS_AT)
            (unacked,) = struct.unpack_from("=I", info, _INFO_UNACKED_AT)
            return acked + received, bool(unsent or unacked)
    return None
