"""Send a warning to the engine. What a provider prints itself is not shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Warn = Callable[[str, str], Awaitable[None]]
"""Shows a text beside a resource, given by its URN."""

SECONDS = 10
"""Time for one message. The engine is on the same machine."""


def to_engine(address: str) -> Warn:
    """Return a function that sends warnings to the engine at `address`. A warning that can't be sent is dropped."""

    async def warn(message: str, urn: str) -> None:
        request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn)
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await engine_pb2_grpc.EngineStub(channel).Log(request, timeout=SECONDS)
        except grpc.RpcError:
            return

    return warn


async def nowhere(message: str, urn: str) -> None:
    """Send nothing: for a provider without an engine."""
