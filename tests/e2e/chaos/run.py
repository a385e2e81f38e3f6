"""Run users and processes under faults, then without faults until the queues are empty, and judge the result."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import client
from sandbox.environment.workers import Fleet, ProcessFailedError
from tests.e2e.chaos.plan import (
    PREFIX,
    VISIBILITY_SECONDS,
    WORKERS,
    WRITERS,
    ActionKind,
    ProcessFault,
    UserAction,
    content,
    process_faults,
    user_actions,
)
from tests.e2e.chaos.proxy import ChaosProxy, Place
from tests.e2e.chaos.record import SIDES, Shown, Verdict, digest, judge_all
from tests.e2e.drill.case_report import CaseReport
from tests.e2e.drill.environment import Drill

SETTINGS = {
    "DUALSYNC_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
    "DUALSYNC_KEEP_LOSER": "false",
    "DUALSYNC_MULTIPART_THRESHOLD": str(5 << 20),
    "DUALSYNC_PART_SIZE": str(5 << 20),
    "DUALSYNC_DELETION_LIMIT_PERCENT": "100",
}
"""Settings besides those of the drill. Deletions are not held, because no operator would approve them."""

ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "DUALSYNC_LOCAL_ENDPOINT",
    "DUALSYNC_REMOTE_ENDPOINT",
    "DUALSYNC_REMOTE_STS_ENDPOINT",
)
"""Variables through which workers and finders reach every service."""

REST_SECONDS = 300.0
"""Deadline for empty queues after the last action of a user."""

FINDER_SECONDS = 120.0
"""Deadline for a finder's run under faults."""

FINDER_PASSES = 2
"""Passes of both finders at the end. A request of the first pass may fail because another worker changed the key."""


@dataclass(slots=True)
class Result:
    """Counts of what happened in a run, and the verdict."""

    seed: int
    """The seed."""

    versioned: bool
    """Whether both buckets keep versions."""

    actions: Counter[ActionKind] = field(default_factory=Counter)
    """Actions of users, by kind."""

    process_faults: Counter[ProcessFault] = field(default_factory=Counter)
    """Faults of processes, by kind."""

    failed_finders: int = 0
    """Finder runs that ended with an error under faults."""

    requests: int = 0
    """Requests of workers and finders under faults."""

    faults: Counter[str] = field(default_factory=Counter)
    """Faults that the proxy injected, by kind."""

    letters: int = 0
    """Dead letters at the end of the faults. They were redriven."""

    verdict: Verdict = field(default_factory=Verdict)
    """The verdict of both judges."""

    @property
    def good(self) -> bool:
        """Return whether at least one key was judged and none is wrong."""
        return self.verdict.judged > 0 and not self.verdict.wrong


class Chaos:
    """A pair in a sandbox with its users, the faults and the verdict of one run."""

    def __init__(self, drill: Drill, seed: int, seconds: float, versioned: bool) -> None:
        self.drill = drill
        self.seed = seed
        self.seconds = seconds
        self.result = Result(seed, versioned)
        stage = drill.stage
        self.places = {
            side: Place(
                side,
                stage.buckets[side],
                stage.s3(side),
                stage.cloud.client(side, "dynamodb", connections=8),
                f"dth-dual-{side}-ledger",
                versioned,
            )
            for side in SideName
        }
        self.proxy = ChaosProxy(stage.cloud.endpoint, {p.bucket: p for p in self.places.values()}, seed)
        self.changes = dict.fromkeys(ENDPOINTS, self.proxy.endpoint)
        self.fleets: list[Fleet] = []
        self._stopped: dict[int, tuple[float, SideName, int]] = {}
        self._users = threading.Event()
        self._errors: list[BaseException] = []

    def begin(self) -> None:
        """Deploy both stacks and start all workers."""
        stage = self.drill.stage
        if self.result.versioned:
            for place in self.places.values():
                place.s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.drill.begin(dict.fromkeys(SideName, self.changes))
        more = [
            Fleet(stage.cloud, stage.workspace, stage.fleet.outputs, stage.fleet.changes, stage.fleet.journal)
            for _ in range(WORKERS - 1)
        ]
        self.fleets = [stage.fleet, *more]
        for fleet in more:
            for side in SideName:
                fleet.start(side, self.changes)
            fleet.wait_until_running()

    def run(self) -> None:
        """Run the users and inject faults until the end of the run."""
        self.proxy.wild = True
        users = [
            threading.Thread(target=self._user, args=(side, writer), daemon=True)
            for side in SideName
            for writer in range(WRITERS)
        ]
        with self._in_the_background() as finders:
            begun = time.monotonic()
            for user in users:
                user.start()
            for incident in process_faults(self.seed, self.seconds):
                self._until(begun + incident.at)
                self.result.process_faults[incident.fault] += 1
                if incident.fault is ProcessFault.FINDER:
                    finders.append(self._pool.submit(self._find, incident.side))
                elif incident.fault is ProcessFault.STOP:
                    self._stop(incident.side, incident.number, incident.seconds)
                else:
                    self._replace(incident.side, incident.number, incident.fault)
            self._until(begun + self.seconds)
            for user in users:
                user.join()
        if self._errors:
            raise self._errors[0]

    def rest(self) -> None:
        """End all faults, redrive dead letters, run the finders, and wait until the queues are empty."""
        self.proxy.wild = False
        self.result.requests, self.result.faults = self.proxy.requests, Counter(map(str, self.proxy.faults.elements()))
        self._continue(float("inf"))
        for number, fleet in enumerate(self.fleets):
            for side in fleet.ended():
                raise ProcessFailedError(
                    f"worker {number} of {side} ended with {fleet.workers[side].process.returncode}"
                )
        drill = self.drill
        self._drain()
        self.result.letters = sum(drill.stage.backlog(side)[1] for side in SideName)
        if self.result.letters:
            drill.dualsync("dlq", "redrive", "--all", "--yes", reported=False)
            self._drain()
        for _ in range(FINDER_PASSES):
            for side in SideName:
                drill.stage.fleet.find(side, self.changes, FINDER_SECONDS)
            self._drain()

    def judge(self) -> None:
        """Read the objects of both sides and judge them."""
        ends: dict[str, dict[str, Shown]] = {}
        for side, place in self.places.items():
            for page in place.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=PREFIX):
                for listed in page.get("Contents", ()):
                    got = place.s3.get_object(Bucket=place.bucket, Key=listed["Key"])
                    shown = ends.setdefault(listed["Key"], dict.fromkeys(SIDES))
                    shown[str(side)] = (got["Metadata"].get("w", "?"), digest(got["Body"].read()))
        self.result.verdict = judge_all(self.proxy.records, ends)

    def close(self) -> None:
        """End the processes and the proxy."""
        self._users.set()
        self._continue(float("inf"))
        for fleet in self.fleets[1:]:
            fleet.stop()
        self.proxy.stop()

    def _drain(self) -> None:
        stage = self.drill.stage
        self.drill.until("the queues are empty", lambda: not any(stage.backlog(s)[0] for s in SideName), REST_SECONDS)

    @contextmanager
    def _in_the_background(self) -> Iterator[list[Future[None]]]:
        """Run finders in one thread until all have ended: a finder process ends with the thread that started it."""
        finders: list[Future[None]] = []
        with ThreadPoolExecutor(1) as self._pool:
            yield finders
        for finder in finders:
            finder.result()

    def _find(self, side: SideName) -> None:
        try:
            self.drill.stage.fleet.find(side, self.changes, FINDER_SECONDS)
        except ProcessFailedError:
            self.result.failed_finders += 1

    def _until(self, at: float) -> None:
        """Wait until a time, and meanwhile continue each stopped worker at the end of its stop."""
        while (now := time.monotonic()) < at:
            self._continue(now)
            if self._errors:
                raise self._errors[0]
            time.sleep(min(0.1, at - now))

    def _stop(self, side: SideName, number: int, seconds: float) -> None:
        pid = self.fleets[number].workers[side].process.pid
        if pid not in self._stopped:
            os.kill(pid, signal.SIGSTOP)
            self._stopped[pid] = (time.monotonic() + seconds, side, number)

    def _continue(self, now: float) -> None:
        for pid, (until, _, _) in list(self._stopped.items()):
            if until <= now:
                del self._stopped[pid]
                os.kill(pid, signal.SIGCONT)

    def _replace(self, side: SideName, number: int, fault: ProcessFault) -> None:
        fleet = self.fleets[number]
        running = fleet.workers[side]
        stopped = self._stopped.pop(running.process.pid, None)
        if fault is ProcessFault.KILL:
            running.kill()
        else:
            if stopped is not None:
                os.kill(running.process.pid, signal.SIGCONT)
            running.stop()
        fleet.start(side, self.changes)

    def _user(self, side: SideName, writer: int) -> None:
        try:
            place = self.places[side]
            s3 = client(self.drill.stage.cloud.session(side), "s3", self.proxy.endpoint)
            begun = time.monotonic()
            for action in user_actions(self.seed, side, writer, self.seconds):
                if self._users.wait(max(0.0, begun + action.at - time.monotonic())):
                    return
                self._perform(s3, place.bucket, action)
                self.result.actions[action.kind] += 1
        except BaseException as e:
            self._errors.append(e)

    def _perform(self, s3: Any, bucket: str, action: UserAction) -> None:
        if action.kind is ActionKind.DELETE:
            s3.delete_object(Bucket=bucket, Key=action.key)
            return
        body = content(self.seed, action)
        self.proxy.announce(action.name, body)
        named = {"Bucket": bucket, "Key": action.key}
        if action.kind is not ActionKind.UPLOAD:
            s3.put_object(**named, Body=body, Metadata={"w": action.name})
            return
        upload = s3.create_multipart_upload(**named, Metadata={"w": action.name})["UploadId"]
        part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=body)
        self._users.wait(action.seconds)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)


def chaos(seed: int, seconds: float, *, versioned: bool) -> Result:
    """Run once and return the result. Every process ends with this function."""
    with Drill(CaseReport("chaos", "Chaos"), SETTINGS, {}) as drill:
        run = Chaos(drill, seed, seconds, versioned)
        try:
            run.begin()
            run.run()
            run.rest()
            run.judge()
        finally:
            run.close()
    return run.result
