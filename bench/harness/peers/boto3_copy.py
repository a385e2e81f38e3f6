"""A peer: GET and PUT by boto3 in threads, without queue and ledger.

`python -m bench.harness.peers.boto3_copy URL FROM TO PREFIX N`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from bench.harness.servers.stub import KEY, SECRET

THREADS = 32


def main(url: str, source: str, target: str, prefix: str, number: int) -> None:
    session = boto3.Session(KEY, SECRET, region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=url, config=Config(max_pool_connections=THREADS))

    def copy(n: int) -> None:
        key = f"{prefix}{n:06}"
        body = s3.get_object(Bucket=source, Key=key)["Body"].read()
        s3.put_object(Bucket=target, Key="boto3/" + key, Body=body)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(copy, range(number)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
