"""The running servers of a benchmark, with clients of two buckets, a queue and a table."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

from bench.harness import cores
from bench.harness.authority import Authority
from bench.harness.measured import Measured
from bench.harness.process import run, usage
from bench.harness.servers.start import LEDGER
from bench.harness.servers.stub import KEY, SECRET
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.sqs import SqsQueue

REGION = "us-east-1"
SOURCE, TARGET, TABLE = "bench-source", "bench-target", "ledger"


class Site:
    """Running servers with clients. Their data and logs are in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        s3: int,
        sqs: int,
        dynamodb: int,
        stub: int,
        queue: int = 0,
        processes: Mapping[str, Popen[bytes]] | None = None,
        authority: Authority | None = None,
    ) -> None:
        self.folder = folder
        self.authority = authority
        self.scheme = "https" if authority else "http"
        self.client_cores: set[int] | None = None
        """Cores of the measured program; None for all."""
        self.client_share: float | None = None
        """Share of a core that the measured program gets; None for all."""
        self._servers = processes or {}
        self.ports = {"s3": s3, "sqs": sqs, "dynamodb": dynamodb, "stub": stub, "peer": s3}
        self._watched = f"http://127.0.0.1:{queue or sqs}"
        self._direct = f"{self.scheme}://127.0.0.1:{s3}"
        self._run = 0
        self.network = Network(REGION, FixedCredentials(Credential(KEY, SECRET)))

    def url(self, service: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.ports[service]}"

    def certificate(self) -> list[str]:
        """Return the argument by which a server of the harness speaks TLS, if this stage does."""
        return [str(self.authority.both)] if self.authority else []

    def trusted(self) -> dict[str, str]:
        """Return the variables by which a program trusts the servers."""
        return self.authority.trusted() if self.authority else {}

    @contextlib.contextmanager
    def apart(self, share: float | None = None) -> Iterator[None]:
        """Pin servers and measured programs to different cores during the block, programs to `share` of one core.

        On a machine with one core nothing is pinned.
        """
        halves = cores.split()
        if halves is None:
            yield
            return
        client, others = halves
        self._pin(others)
        self.client_cores, self.client_share = (client if share is None else {min(client)}), share
        try:
            yield
        finally:
            self.client_cores = self.client_share = None
            self._pin(cores.all_cores())

    def _pin(self, to: set[int]) -> None:
        for process in self._servers.values():
            cores.pin(process.pid, to)

    @contextlib.contextmanager
    def as_client(self) -> Iterator[cores.Quota | None]:
        """Start programs on the measured program's cores during the block; yield the control group for it."""
        with cores.quota(self.client_share, "client") as group, cores.on(self.client_cores):
            yield group

    def started(self, process: Popen[bytes], group: cores.Quota | None) -> None:
        """Put a measured program into its group, and this process back on all cores."""
        if group is not None:
            group.take(process.pid)
        os.sched_setaffinity(0, cores.all_cores())

    def run(self, objects: int, command: Sequence[str], environment: dict[str, str], seconds: float) -> Measured:
        """Run a peer to its end. Raises `RuntimeError` when it fails, `DeadlineError` when it takes too long."""
        before = self.servers_cpu()
        with self.as_client() as group:
            done = run(command, environment, seconds=seconds, take=group.take if group else None)
        return Measured(objects, done.seconds, done.usage.cpu, done.usage.rss, self.servers_cpu() - before)

    def bucket(self, name: str) -> S3Bucket:
        caller, path_style = self.network.bucket_client(name, self.url("s3"))
        return S3Bucket(caller, name, path_style=path_style)

    def direct(self, name: str) -> S3Bucket:
        """Return a client of a bucket without proxies."""
        caller, path_style = self.network.bucket_client(name, self._direct)
        return S3Bucket(caller, name, path_style=path_style)

    def peer(self) -> S3Bucket:
        """Return the address of the target for the worker."""
        caller, path_style = self.network.bucket_client(TARGET, self.url("peer"))
        return S3Bucket(caller, TARGET, path_style=path_style)

    @contextlib.contextmanager
    def peer_at(self, port: int) -> Iterator[None]:
        """Use another server as the target during the block."""
        before = self.ports["peer"]
        self.ports["peer"] = port
        try:
            yield
        finally:
            self.ports["peer"] = before

    def queue(self) -> SqsQueue:
        return SqsQueue(self.network.client("sqs", self.url("sqs")), self.queue_url("work"), self.queue_url("dead"))

    def queue_url(self, name: str) -> str:
        return f"{self.url('sqs')}/000000000000/{name}-{self._run}"

    def fresh(self) -> None:
        """Create buckets, an empty table and new queues.

        An ended worker may leave a long poll behind, which would receive messages of the next one.
        """
        asyncio.run(self.renew())

    async def renew(self) -> None:
        """Do the same as `fresh` inside a running event loop."""
        self._run += 1
        s3, _ = self.network.bucket_client(SOURCE, self.url("s3"))
        for name in (SOURCE, TARGET):
            with contextlib.suppress(ServiceError):
                await s3.call("CreateBucket", name, "PUT", f"/{name}")
        sqs, dynamodb = (self.network.client(name, self.url(name)) for name in ("sqs", "dynamodb"))
        for name in ("work", "dead"):
            given = {"QueueName": f"{name}-{self._run}", "Attributes": {"VisibilityTimeout": "900"}}
            await ask(sqs, "CreateQueue", "AmazonSQS", given)
        with contextlib.suppress(ServiceError):
            await ask(dynamodb, "DeleteTable", "DynamoDB_20120810", {"TableName": TABLE})
        await ask(dynamodb, "CreateTable", "DynamoDB_20120810", {"TableName": TABLE} | LEDGER)

    def servers_cpu(self) -> float:
        """Return the CPU seconds that the servers have used so far, without the stub's."""
        return sum(usage(process.pid).cpu for name, process in self._servers.items() if name != "stub")

    def file(self, bucket: str, key: str) -> Path:
        """Return the file in which the S3 server keeps an object."""
        return self.folder / "s3" / bucket / key


async def ask(caller: ServiceClient, operation: str, prefix: str, given: dict[str, Any]) -> Any:
    return await caller.call_json(operation, prefix, operation, "1.0", given)
