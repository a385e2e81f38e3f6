"""Run the real worker under load, and measure what it uses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from subprocess import PIPE, Popen

from bench.harness import limit
from bench.harness.authority import Authority, make
from bench.harness.events import event
from bench.harness.measured import Measured
from bench.harness.process import DeadlineError, free_port, reset_peak, running, usage, wait_for_port
from bench.harness.servers import tools
from bench.harness.servers.requests import READ_UNITS, WRITE_UNITS
from bench.harness.servers.start import servers
from bench.harness.servers.stub import KEY, SECRET
from bench.harness.site import REGION, SOURCE, TABLE, TARGET, Site, ask
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes
from dualsync.runtime.settings import Settings, SideName

SIZE = 16384
"""Size of a small object in bytes."""
MANY = 1000
"""Number of messages that take longer than half a second to process."""
PATIENCE = 1800
"""Deadline for an empty queue, in seconds."""


class Stage(Site):
    """A site with load, workers and proxies."""

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

    def forget(self) -> None:
        """Remove all objects, so that many rounds fit into memory."""
        for bucket in (SOURCE, TARGET):
            for path in (self.folder / "s3" / bucket).glob("[!.]*"):
                shutil.rmtree(path, ignore_errors=True)

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
        # Not through a proxy, which would count this request as the worker's.
        answer = await ask(self.network.client("sqs", self._watched), "GetQueueAttributes", "AmazonSQS", given)
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
            | self.trusted()
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
    def worker(self, settings: Settings | None = None, role: str = "worker") -> Iterator[Popen[bytes]]:
        """Run the real worker (or `workers`) with its memory limit during the block; its log is `worker.log`."""
        chosen = replace(settings or self.settings(), log_level="INFO")
        with (
            (self.folder / "worker.log").open("wb") as out,
            self.as_client() as group,
            running(
                limit.command([sys.executable, "-m", "dualsync.runtime", role]),
                self.folder / "worker.err",
                self.environment(chosen),
                output=out,
            ) as process,
        ):
            limit.enforce(process.pid)
            self.started(process, group)
            yield process

    def running_since(self, process: Popen[bytes], count: int = 1) -> None:
        """Wait until the worker, or `count` of them, log that they run."""
        log = self.folder / "worker.log"
        end = time.monotonic() + 60
        while log.read_bytes().count(b'"RUNNING"') < count:
            if process.poll() is not None or time.monotonic() > end:
                err = (self.folder / "worker.err").read_text()
                raise RuntimeError(f"the worker does not run: {log.read_text()[-1000:]}\n{err[-3000:]}")
            time.sleep(0.01)

    def work_off(
        self, objects: int, settings: Settings | None = None, *, delayed: bool = True, last: Path | None = None
    ) -> Measured:
        """Start a worker over a filled queue and return what it used until the queue was empty.

        Args:
            objects: How many objects the messages name.
            settings: The worker's; None for those of this stage.
            delayed: Wait also for delayed messages, such as the completion check of an object that several workers
                copy in parts.
            last: File of the object that comes last, before which the queue is not counted.
        """
        with self.worker(settings) as process:
            self.running_since(process)
            return self.watch(process, objects, delayed=delayed, last=last)

    def watch(
        self,
        process: Popen[bytes],
        objects: int,
        *,
        delayed: bool = True,
        last: Path | None = None,
        seconds: float = PATIENCE,
        until_empty: bool = True,
    ) -> Measured:
        """Return what a process uses from now until it has emptied the queue, or until `last` is there.

        Raises `RuntimeError` when it ends before, `DeadlineError` after `seconds`.
        """
        start, before, servers = time.monotonic(), usage(process.pid), self.servers_cpu()
        reset_peak(process.pid)
        # Counting messages takes CPU from the worker, as the servers share its cores. A file is checked instead.
        while last is not None and not last.exists():
            self._continues(process, start, seconds)
            time.sleep(0.01)
        if until_empty:
            asyncio.run(self._empty(process, start, seconds, delayed))
        taken, after = time.monotonic() - start, usage(process.pid)
        return Measured(objects, taken, after.cpu - before.cpu, after.rss, self.servers_cpu() - servers)

    async def _empty(self, process: Popen[bytes], start: float, seconds: float, delayed: bool) -> None:
        while left := await self.waiting(delayed=delayed):
            self._continues(process, start, seconds)
            await asyncio.sleep(0.5 if left > MANY else 0.05)

    def _continues(self, process: Popen[bytes], start: float, seconds: float) -> None:
        if process.poll() is not None:
            code = process.returncode
            raise RuntimeError(f"{process.args!r} ended with {code}, the queue is not empty: see {self.folder}/*.log")
        if time.monotonic() - start > seconds:
            raise DeadlineError(f"no result within {seconds:.0f} s")

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
                    "bench.harness.servers.proxy",
                    str(port),
                    str(before[service]),
                    str(round_trip_ms),
                    *self._passing(round_trip_ms),
                ]
                log = self.folder / f"proxy-{service}.log"
                proxies[service] = stack.enter_context(running(command, log, output=PIPE))  # type: ignore[arg-type]
                wait_for_port(port, proxies[service], log)
                self.ports[service] = port
            try:
                yield proxies
            finally:
                self.ports = before

    def _passing(self, round_trip_ms: float) -> list[str]:
        """Return a proxy's TLS arguments. Over a distance TLS passes unchanged, so its handshake takes trips."""
        if self.authority is None:
            return []
        return ["-"] if round_trip_ms else [str(self.authority.both), str(self.authority.ca)]


def counts(proxy: Popen[bytes]) -> Counter[str]:
    """Return the requests per operation that a proxy has passed on, and their cost in half units of a table."""
    proxy.send_signal(signal.SIGUSR1)
    return Counter(json.loads(proxy.stdout.readline())) if proxy.stdout else Counter()


def count(proxy: Popen[bytes]) -> int:
    """Return the number of requests that a proxy has passed on."""
    return sum(number for name, number in counts(proxy).items() if name not in (READ_UNITS, WRITE_UNITS))


@contextlib.contextmanager
def stage(folder: Path, *, secure: bool = True) -> Iterator[Stage]:
    """Run all servers during the block, over TLS if `secure`. Raises `RuntimeError` when one does not start."""
    made = authority() if secure else None
    with servers(folder, made) as (ports, processes):
        yield Stage(folder, processes=processes, authority=made, **ports)


@cache
def authority() -> Authority:
    """Return this run's authority, which this process trusts from then on."""
    made = make(tools.HOME / "tls")
    os.environ.update(made.trusted())
    return made
