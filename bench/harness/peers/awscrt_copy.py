"""A peer: GET and PUT by awscrt's S3 client, in the peers' environment.

`python awscrt_copy.py URL FROM TO PREFIX N`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

AT_ONCE = 32
MEMORY_BYTES = 1 << 30
"""Least memory that the client accepts as its limit."""


def client(secure: bool) -> Any:
    """Return an S3 client with the credentials and the authority of the environment."""
    from awscrt import auth, io, s3

    group = io.EventLoopGroup(2)
    bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    provider = auth.AwsCredentialsProvider.new_static(key, secret)
    connection = None
    if secure:
        options = io.TlsContextOptions()
        options.override_default_trust_store_from_path(None, os.environ["AWS_CA_BUNDLE"])
        connection = io.ClientTlsContext(options).new_connection_options()
    return s3.S3Client(
        bootstrap=bootstrap,
        region="us-east-1",
        tls_mode=s3.S3RequestTlsMode.ENABLED if secure else s3.S3RequestTlsMode.DISABLED,
        tls_connection_options=connection,
        signing_config=s3.create_default_s3_signing_config(region="us-east-1", credential_provider=provider),
        memory_limit=MEMORY_BYTES,
    )


async def copy(url: str, source: str, target: str, prefix: str, number: int) -> None:
    """Copy the objects `prefix`000000 and so on."""
    from awscrt import http, s3

    parts = urlsplit(url)
    made = client(parts.scheme == "https")
    numbers = iter(range(number))

    async def ask(name: str, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = http.HttpHeaders([("host", parts.netloc)])
        if body is not None:
            headers.add("content-length", str(len(body)))
        request = http.HttpRequest(method, path, headers, None if body is None else BytesIO(body))
        received: list[bytes] = []
        asked = made.make_request(
            request=request,
            type=s3.S3RequestType.DEFAULT,
            operation_name=name,
            on_body=lambda chunk, offset, **_: received.append(bytes(chunk)),
        )
        await asyncio.wrap_future(asked.finished_future)
        return b"".join(received)

    async def work() -> None:
        for n in numbers:
            key = f"{prefix}{n:06}"
            content = await ask("GetObject", "GET", f"/{source}/{key}")
            await ask("PutObject", "PUT", f"/{target}/awscrt/{key}", content)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(copy(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
