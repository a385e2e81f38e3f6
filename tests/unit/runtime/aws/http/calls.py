"""Requests of the client's tests."""

from __future__ import annotations

from dualsync.runtime.aws.http.client import ServiceClient


async def get(caller: ServiceClient, path: str = "/b/k") -> bytes:
    """Read an object and return its body."""
    return bytes((await caller.call("GetObject", "b/k", "GET", path)).body or b"")


async def put(caller: ServiceClient, body: bytes) -> None:
    """Write an object that must not exist."""
    await caller.call("PutObject", "b/k", "PUT", "/b/k", "", {"if-none-match": "*"}, body)
