"""Call boto3 from an event loop: each call in a thread, with translated errors, bounded time-outs and retries."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, ParamSpec, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from dualsync.runtime.aws.errors import translate
from dualsync.runtime.settings import VERSION

P = ParamSpec("P")
R = TypeVar("R")

LONG_POLL_SECONDS = 20
"""SQS's longest wait; a read time-out has to be longer."""


def client_config(connections: int, style: Literal["auto", "path"] = "auto") -> Config:
    """Return botocore's settings for every client: few attempts, since the worker itself retries per message.

    boto3 takes no endpoint from the shell's variables, which describe one side: pass `configured_endpoint` of the side.
    """
    return Config(
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # missing in botocore's type stubs
        connect_timeout=5,
        read_timeout=LONG_POLL_SECONDS + 40,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": style},
        user_agent_extra=f"dualsync/{VERSION}",
    )


class Threads:
    """A bounded pool of threads. Thread-safe clients only (boto3's clients are; its sessions are not)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="edge")

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(function, *args, **kwargs))

    async def call_service_raw(
        self, service: str, target: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do `call` and translate every error except a service's own answer, which is botocore's `ClientError`."""
        try:
            return await self.call(function, *args, **kwargs)
        except (BotoCoreError, HTTPError, OSError) as error:
            raise translate(error, service, target) from None

    async def call_service(
        self, service: str, target: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do `call` and translate all errors to `dualsync.runtime.errors`."""
        try:
            return await self.call_service_raw(service, target, function, *args, **kwargs)
        except ClientError as error:
            raise translate(error, service, target) from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def arguments(**given: Any) -> dict[str, Any]:
    """Return the arguments that have a value: boto3 sends empty ones as they are."""
    return {name: value for name, value in given.items() if value not in ("", None)}
