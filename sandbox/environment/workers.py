"""The real runtime as processes: workers that run until they are stopped, finders that run once."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud
from sandbox.demo.journal import Journal
from sandbox.environment.deployed import Job, finder_job, worker_job
from sandbox.environment.processes import ROOT, leashed
from sandbox.environment.workspace import Workspace


class ProcessFailed(Exception):
    """A worker or finder ended when it should not have; the text holds its last words."""


@dataclass
class Running:
    """One process of the runtime."""

    name: str
    process: subprocess.Popen[str]
    reader: threading.Thread
    since: int = 0
    """The journal's mark when it was started: lines before are of another process of that name."""

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, so that it drains; SIGKILL when that takes longer than `seconds`. Its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self._reap()

    def kill(self) -> int:
        """As `kill -9`."""
        self.process.kill()
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait()
        self.reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@dataclass
class Fleet:
    """The workers of both sides, one each, and what they say."""

    cloud: Cloud
    workspace: Workspace
    outputs: Mapping[SideName, Mapping[str, Any]]
    changes: Mapping[str, str] = field(default_factory=dict)
    """Runtime settings (variables) that differ from the deployed ones in this sandbox."""

    journal: Journal = field(default_factory=Journal)
    workers: dict[SideName, Running] = field(default_factory=dict)

    def start(self, side: SideName, changes: Mapping[str, str] | None = None) -> None:
        """Start a side's worker as a new instance would: environment from the boot script, role of its profile."""
        job = worker_job(self.cloud, side, self.outputs[side], f"i-{secrets.token_hex(8)}{'0'}")
        self.workers[side] = self._run(f"worker-{side}", "worker", job, changes or {})

    def find(self, side: SideName, changes: Mapping[str, str], seconds: float = 60) -> dict[str, Any]:
        """Run a side's finder once; the line it ends with. Raises `ProcessFailed`."""
        job = finder_job(self.cloud, side, self.outputs[side])
        name = f"finder-{side}"
        before = len(list(self.journal.lines("finder", process=name)))
        running = self._run(name, "finder", job, changes)
        try:
            running.process.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            raise ProcessFailed(f"{name} was still running after {seconds:.0f} s: {self._words(name)}") from None
        code = running.stop()
        said = list(self.journal.lines("finder", process=name))[before:]
        if code or not said:
            raise ProcessFailed(f"{name} ended with code {code}: {self._words(name)}")
        return said[-1]

    def wait_until_running(self, seconds: float = 60) -> None:
        """Until every worker has proven its credential and receives. Raises `ProcessFailed`."""
        deadline = time.monotonic() + seconds
        for side, running in self.workers.items():
            while not self.said(side, "state", state=State.RUNNING):
                self.check()
                if time.monotonic() > deadline:
                    raise ProcessFailed(
                        f"worker {side} was not running after {seconds:.0f} s: {self._words(running.name)}"
                    )
                time.sleep(0.05)

    def said(self, side: SideName, event: str, **wanted: Any) -> list[dict[str, Any]]:
        """Lines of a side's present worker, and of none before it."""
        running = self.workers[side]
        return list(self.journal.lines(event, since=running.since, process=running.name, **wanted))

    def check(self) -> None:
        """Raises `ProcessFailed` when a worker has ended by itself."""
        for running in self.workers.values():
            code = running.process.poll()
            if code is not None:
                raise ProcessFailed(f"{running.name} ended with code {code}: {self._words(running.name)}")

    def ended(self) -> list[SideName]:
        """Sides whose worker is no more."""
        return [side for side, running in self.workers.items() if running.process.poll() is not None]

    def mourn(self, side: SideName) -> None:
        """What systemd runs after a worker that ended by itself or was killed, so that its end is told and counted."""
        running = self.workers[side]
        code = running.process.returncode
        told = ("signal", "killed", str(-code)) if code < 0 else ("exit-code", "exited", str(code))
        names = dict(zip(("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"), told, strict=True))
        script = ["bash", str(ROOT / "components" / "workers" / "templates" / "ended.sh")]
        done = subprocess.run(script, env=os.environ | names, capture_output=True, text=True, check=True)
        thread = self.journal.follow(done.stdout.splitlines(True), self.workspace.log(running.name), running.name)
        thread.join()

    def stop(self) -> None:
        """Drain and end all workers."""
        for running in self.workers.values():
            if running.process.poll() is None:
                running.process.terminate()
        for running in self.workers.values():
            running.stop()
        self.workers.clear()

    def _run(self, name: str, role: str, job: Job, changes: Mapping[str, str]) -> Running:
        keep = {
            k: os.environ[k]
            for k in ("PATH", "HOME", "LANG", "SYSTEMROOT", "COVERAGE_PROCESS_START")
            if k in os.environ
        }
        environment = {
            **keep,
            **job.environment,
            **self.changes,
            **changes,
            **job.credentials,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
        }
        since = self.journal.mark()
        process = subprocess.Popen(
            leashed([sys.executable, "-m", "dualsync.runtime", role]),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        reader = self.journal.follow(process.stdout, self.workspace.log(name), name)
        return Running(name, process, reader, since)

    def _words(self, name: str) -> str:
        path = self.workspace.log(name)
        lines = path.read_text().strip().splitlines() if path.exists() else []
        return lines[-1][:500] if lines else "it said nothing"
