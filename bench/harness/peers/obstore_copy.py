"""A peer: GET and PUT by obstore, in the peers' environment.

`python obstore_copy.py URL FROM TO PREFIX N`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

AT_ONCE = 32


def store(url: str, bucket: str) -> Any:
    """Return a client of a bucket; credentials come from the environment."""
    from obstore.store import S3Store

    # It has no option for the run's certificate authority.
    options = {"allow_http": True, "allow_invalid_certificates": True}
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    return S3Store(
        bucket,
        endpoint=url,
        region="us-east-1",
        access_key_id=key,
        secret_access_key=secret,
        virtual_hosted_style_request=False,
        client_options=options,
    )


async def copy(url: str, source: str, target: str, prefix: str, number: int) -> None:
    """Copy the objects `prefix`000000 and so on."""
    import obstore

    near, far = store(url, source), store(url, target)
    numbers = iter(range(number))

    async def work() -> None:
        for n in numbers:
            key = f"{prefix}{n:06}"
            content = await (await obstore.get_async(near, key)).bytes_async()
            await obstore.put_async(far, f"obstore/{key}", content, use_multipart=False)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(copy(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
