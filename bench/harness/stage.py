"""Real servers with two buckets, a queue and a table, and a real worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from bench.harness import limit, tools
from bench.harness.events import event
from bench.harness.process import free_port, reset_peak, running, usage, wait_for_port
from bench.harness.requests import READ_UNITS, WRITE_UNITS
from bench.harness.servers import LEDGER, servers
from bench.harness.stub import KEY, SECRET
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.sqs import SqsQueue
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes
from dualsync.runtime.settings import Settings, SideName

REGION = "us-east-1"
SOURCE, TARGET, TABLE = "bench-source", "bench-target", "ledger"
SIZE = 16384
"""Size of a small object in bytes."""
MANY = 1000
"""Number of messages that take longer than half a second to process."""
PATIENCE = 1800
"""Deadline for an empty queue, in seconds."""


@dataclass(slots=True)
class Measured:
    """A run over `objects`: seconds and CPU seconds until all was done (a worker's: from the first receive to the empty
    queue), the largest resident memory in bytes, and the CPU seconds of the servers meanwhile."""

    objects: int
    seconds: float
    cpu: float
    rss: int
    servers: float = 0.0

    @property
    def rate(self) -> float:
        return self.objects / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.objects * 1000

    @property
    def servers_ms(self) -> float:
        return self.servers / self.objects * 1000


class Stage:
    """Running servers with clients. Their data and logs are in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        s3: int,
        sqs: int,
        dynamodb: int,
        stub: int,
        processes: Mapping[str, Popen[bytes]] | None = None,
    ) -> None:
        self.folder = folder
        self._servers = processes or {}
        self.ports = {"s3": s3, "sqs": sqs, "dynamodb": dynamodb, "stub": stub, "peer": s3}
        self._watched = f"http://127.0.0.1:{sqs}"
        self._direct = f"http://127.0.0.1:{s3}"
        self._run = 0
        self.network = Network(REGION, FixedCredentials(Credential(KEY, SECRET)))

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def bucket(self, name: str) -> S3Bucket:
        caller, path_style = self.network.s3(name, self.url("s3"))
        return S3Bucket(caller, name, path_style=path_style)

    def direct(self, name: str) -> S3Bucket:
        """Return a client of a bucket without proxies."""
        caller, path_style = self.network.s3(name, self._direct)
        return S3Bucket(caller, name, path_style=path_style)

    def peer(self) -> S3Bucket:
        """Return the address of the target for the worker."""
        caller, path_style = self.network.s3(TARGET, self.url("peer"))
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
        return SqsQueue(self.network.caller("sqs", self.url("sqs")), self.queue_url("work"), self.queue_url("dead"))

    def queue_url(self, name: str) -> str:
        return f"{self.url('sqs')}/000000000000/{name}-{self._run}"

    def fresh(self) -> None:
        """Create buckets, an empty table and new queues: an ended worker may leave a long poll behind,
        which would receive messages of the next one."""
        asyncio.run(self.renew())

    async def renew(self) -> None:
        """Do as `fresh` does, inside a running event loop."""
        self._run += 1
        s3, _ = self.network.s3(SOURCE, self.url("s3"))
        for name in (SOURCE, TARGET):
            with contextlib.suppress(ServiceError):
                await s3.call("CreateBucket", name, "PUT", f"/{name}")
        sqs, dynamodb = (self.network.caller(name, self.url(name)) for name in ("sqs", "dynamodb"))
        for name in ("work", "dead"):
            given = {"QueueName": f"{name}-{self._run}", "Attributes": {"VisibilityTimeout": "900"}}
            await _ask(sqs, "CreateQueue", "AmazonSQS", given)
        with contextlib.suppress(ServiceError):
            await _ask(dynamodb, "DeleteTable", "DynamoDB_20120810", {"TableName": TABLE})
        await _ask(dynamodb, "CreateTable", "DynamoDB_20120810", {"TableName": TABLE} | LEDGER)

    def servers_cpu(self) -> float:
        """Return the CPU seconds that the servers have used so far, without the stub's."""
        return sum(usage(process.pid).cpu for name, process in self._servers.items() if name != "stub")

    def file(self, bucket: str, key: str) -> Path:
        """Return the file in which the S3 server keeps an object."""
        return self.folder / "s3" / bucket / key

    def fill(self, keys: Sequence[str], body: bytes) -> None:
        """Put objects into the source."""

        async def fill() -> None:
            bucket = self.bucket(SOURCE)
            todo = iter(keys)

            async def put() -> None:
                for key in todo:
                    with contextlib.suppress(Exception):
                        await bucket.put(key, body, Attributes(content_type="image/jpeg"), None, MUST_NOT_EXIST)

            await asyncio.gather(*(put() for _ in range(16)))

        asyncio.run(fill())

    def filled(self, prefix: str, number: int) -> list[str]:
        """Put new small objects into the source of a new stage and return their keys."""
        self.fresh()
        keys = [f"{prefix}{n:06}" for n in range(number)]
        self.fill(keys, os.urandom(SIZE))
        return keys

    def warm(self, objects: int, rounds: int) -> None:
        """Warm up the Java servers, which need half the CPU after 50,000 objects."""
        for number in range(rounds):
            self.announce(self.filled(f"warm-{number}/", objects), SIZE)
            self.work_off(objects)

    def announce(self, keys: Sequence[str], size: int) -> None:
        """Send the events that S3 sends for these keys."""

        async def announce() -> None:
            queue = self.queue()
            for at in range(0, len(keys), 500):
                await queue.send(
                    [event(SOURCE, REGION, key, size, at + n) for n, key in enumerate(keys[at : at + 500])]
                )

        asyncio.run(announce())

    async def waiting(self, *, delayed: bool = True) -> int:
        """Count the messages in the queue including received ones, with or without delayed ones."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        names += ["ApproximateNumberOfMessagesDelayed"] * delayed
        given = {"QueueUrl": f"{self._watched}/000000000000/work-{self._run}", "AttributeNames": names}
        # Not through a proxy: its requests are none of the worker's.
        answer = await _ask(self.network.caller("sqs", self._watched), "GetQueueAttributes", "AmazonSQS", given)
        return sum(int(answer["Attributes"][name]) for name in names)

    def settings(self) -> Settings:
        return Settings(
            pair="bench",
            side=SideName.CN,
            local_bucket=SOURCE,
            local_region=REGION,
            local_endpoint=self.url("s3"),
            remote_bucket=TARGET,
            remote_region=REGION,
            remote_endpoint=self.url("peer"),
            remote_sts_endpoint=f"{self.url('stub')}/remote",
            remote_acl="",
            queue_url=self.queue_url("work"),
            dead_letter_queue_url=self.queue_url("dead"),
            ledger_table=TABLE,
            peer_secret="peer",
            own_user_ids=("AIDAOWN",),
            log_level="WARNING",
        )

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return the environment of a worker, without other settings of this machine that the SDK reads."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return (
            kept
            | settings.to_environment()
            | {
                "PYTHONPATH": str(tools.ROOT),
                "PYTHONDONTWRITEBYTECODE": "",
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_CONFIG_FILE": "/nonexistent",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL_SQS": self.url("sqs"),
                "AWS_ENDPOINT_URL_DYNAMODB": self.url("dynamodb"),
                "AWS_ENDPOINT_URL_STS": self.url("stub"),
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url("stub"),
            }
        )

    @contextlib.contextmanager
    def worker(self, settings: Settings | None = None) -> Iterator[Popen[bytes]]:
        """Run the real worker with its memory limit during the block; its log is `worker.log`."""
        chosen = replace(settings or self.settings(), log_level="INFO")
        with (
            (self.folder / "worker.log").open("wb") as out,
            running(
                limit.command([sys.executable, "-m", "dualsync.runtime", "worker"]),
                self.folder / "worker.err",
                self.environment(chosen),
                output=out,
            ) as process,
        ):
            limit.enforce(process.pid)
            yield process

    def running_since(self, process: Popen[bytes]) -> None:
        """Wait until the worker logs that it runs."""
        log = self.folder / "worker.log"
        end = time.monotonic() + 60
        while b'"RUNNING"' not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > end:
                err = (self.folder / "worker.err").read_text()
                raise RuntimeError(f"the worker does not run: {log.read_text()[-1000:]}\n{err[-3000:]}")
            time.sleep(0.01)

    def work_off(
        self, objects: int, settings: Settings | None = None, *, delayed: bool = True, last: Path | None = None
    ) -> Measured:
        """Start a worker over a filled queue; what it used until the queue was empty (`delayed`: also of messages that
        are to be seen later, such as a giant object's, which looks minutes later whether all went well)."""
        with self.worker(settings) as process:
            self.running_since(process)
            return self.watch(process, objects, delayed=delayed, last=last)

    def watch(self, process: Popen[bytes], objects: int, *, delayed: bool = True, last: Path | None = None) -> Measured:
        """What a process uses from now until it has emptied the queue; it is not counted before the file `last` is
        there, of the object that comes last. Raises `RuntimeError` when it ends before."""
        start, before, servers = time.monotonic(), usage(process.pid), self.servers_cpu()
        reset_peak(process.pid)
        # Counting takes the queue's server's time, which is the worker's here: not while something else can be seen.
        while last is not None and not last.exists():
            self._goes_on(process, start + PATIENCE)
            time.sleep(0.01)
        asyncio.run(self._empty(process, start + PATIENCE, delayed))
        seconds, after = time.monotonic() - start, usage(process.pid)
        return Measured(objects, seconds, after.cpu - before.cpu, after.rss, self.servers_cpu() - servers)

    async def _empty(self, process: Popen[bytes], end: float, delayed: bool) -> None:
        while left := await self.waiting(delayed=delayed):
            self._goes_on(process, end)
            await asyncio.sleep(0.5 if left > MANY else 0.05)

    def _goes_on(self, process: Popen[bytes], end: float) -> None:
        if process.poll() is not None or time.monotonic() > end:
            state = "runs" if process.poll() is None else f"ended with {process.returncode}"
            raise RuntimeError(f"{process.args!r} {state}, the queue is not empty: see {self.folder}/*.log")

    @contextlib.contextmanager
    def through_proxies(self, services: Sequence[str], round_trip_ms: float = 0) -> Iterator[dict[str, Popen[bytes]]]:
        """Run proxies in front of these services during the block; `count` returns their counts."""
        before = dict(self.ports)
        with contextlib.ExitStack() as stack:
            proxies = {}
            for service in services:
                port = free_port()
                command = [
                    sys.executable,
                    "-m",
                    "bench.harness.proxy",
                    str(port),
                    str(before[service]),
                    str(round_trip_ms),
                ]
                log = self.folder / f"proxy-{service}.log"
                proxies[service] = stack.enter_context(running(command, log, output=PIPE))  # type: ignore[arg-type]
                wait_for_port(port, proxies[service], log)
                self.ports[service] = port
            try:
                yield proxies
            finally:
                self.ports = before


def counts(proxy: Popen[bytes]) -> Counter[str]:
    """Return the requests per operation that a proxy has passed on, and their cost in half units of a table."""
    proxy.send_signal(signal.SIGUSR1)
    return Counter(json.loads(proxy.stdout.readline())) if proxy.stdout else Counter()


def count(proxy: Popen[bytes]) -> int:
    """Return the number of requests that a proxy has passed on."""
    return sum(number for name, number in counts(proxy).items() if name not in (READ_UNITS, WRITE_UNITS))


async def _ask(caller: ServiceClient, operation: str, prefix: str, given: dict[str, Any]) -> Any:
    return await caller.json(operation, prefix, operation, "1.0", given)


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Run all servers during the block. Raises `RuntimeError` when one does not start."""
    with servers(folder) as (ports, processes):
        yield Stage(folder, processes=processes, **ports)
