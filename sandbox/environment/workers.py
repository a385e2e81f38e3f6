"""The real runtime as processes: workers run until they are stopped, finders run once."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud
from sandbox.environment.deployed import Job, finder_job, worker_job
from sandbox.environment.journal import Journal
from sandbox.environment.processes import ROOT, tied_to_parent
from sandbox.environment.workspace import Workspace


class ProcessFailedError(Exception):
    """A worker or finder ended unexpectedly; the text holds its last output line."""


@dataclass
class Running:
    """One process of the runtime."""

    name: str
    """`worker-SIDE` or `finder-SIDE`."""

    process: subprocess.Popen[str]
    """The process."""

    reader: threading.Thread
    """Reads its output into the journal."""

    since: int = 0
    """Number of lines in the journal at its start; earlier lines are of another process of that name."""

    def stop(self, seconds: float = 30) -> int:
        """Send SIGTERM, and SIGKILL after `seconds`; return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self._reap()

    def kill(self) -> int:
        """Send SIGKILL and return the exit code."""
        self.process.kill()
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait()
        self.reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@dataclass(frozen=True)
class Release:
    """A version of the runtime."""

    module: str
    """Module that `python -m` starts."""

    folder: Path
    """Folder that contains the module."""

    variables: frozenset[str] | None = None
    """Settings (variables) that the version accepts; it refuses others. None for all that are deployed."""

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of an environment that the version accepts."""
        return {
            name: value
            for name, value in given.items()
            if self.variables is None or not name.startswith("DUALSYNC_") or name in self.variables
        }


@dataclass
class Fleet:
    """The workers of both sides, one each, and their log lines."""

    cloud: Cloud
    """Local cloud emulator into which they were deployed."""

    workspace: Workspace
    """Folder of the sandbox, in which log files are written."""

    outputs: Mapping[SideName, Mapping[str, Any]]
    """Outputs of the deployed stacks."""

    changes: Mapping[str, str] = field(default_factory=dict)
    """Runtime settings (variables) that differ from the deployed ones in this sandbox."""

    journal: Journal = field(default_factory=Journal)
    """Log lines of all processes."""

    release: Release = field(default_factory=lambda: Release("dualsync.runtime", ROOT))
    """The version of the runtime that runs."""

    workers: dict[SideName, Running] = field(default_factory=dict)
    """The current worker of each side."""

    def worker_job(self, side: SideName, instance: str) -> Job:
        """Return the process that an instance of a side's group runs."""
        return worker_job(self.cloud, side, self.outputs[side], instance)

    def finder_job(self, side: SideName) -> Job:
        """Return the process that a task of a side's finder runs."""
        return finder_job(self.cloud, side, self.outputs[side])

    def start(self, side: SideName, changes: Mapping[str, str] | None = None) -> None:
        """Start a side's worker with the environment of the boot script and the role of the instance profile."""
        job = self.worker_job(side, f"i-{secrets.token_hex(8)}{'0'}")
        self.workers[side] = self._run(f"worker-{side}", "worker", job, changes or {})

    def find(self, side: SideName, changes: Mapping[str, str], seconds: float = 60) -> dict[str, Any]:
        """Run a side's finder once and return its last line. Raises `ProcessFailedError`."""
        job = self.finder_job(side)
        name = f"finder-{side}"
        before = len(list(self.journal.lines("finder", process=name)))
        running = self._run(name, "finder", job, changes)
        try:
            running.process.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            raise ProcessFailedError(
                f"{name} was still running after {seconds:.0f} s: {self._last_line(name)}"
            ) from None
        code = running.stop()
        logged = list(self.journal.lines("finder", process=name))[before:]
        if code or not logged:
            raise ProcessFailedError(f"{name} ended with code {code}: {self._last_line(name)}")
        return logged[-1]

    def wait_until_running(self, seconds: float = 60) -> None:
        """Wait until every worker has verified its credential and receives. Raises `ProcessFailedError`."""
        deadline = time.monotonic() + seconds
        for side, running in self.workers.items():
            while not self.lines(side, "state", state=State.RUNNING):
                self.check()
                if time.monotonic() > deadline:
                    raise ProcessFailedError(
                        f"worker {side} was not running after {seconds:.0f} s: {self._last_line(running.name)}"
                    )
                time.sleep(0.05)

    def lines(self, side: SideName, event: str, **wanted: Any) -> list[dict[str, Any]]:
        """Return the lines of a side's current worker, without those of earlier ones."""
        running = self.workers[side]
        return list(self.journal.lines(event, since=running.since, process=running.name, **wanted))

    def check(self) -> None:
        """Raise `ProcessFailedError` when a worker has ended by itself."""
        for running in self.workers.values():
            code = running.process.poll()
            if code is not None:
                raise ProcessFailedError(f"{running.name} ended with code {code}: {self._last_line(running.name)}")

    def ended(self) -> list[SideName]:
        """Return the sides whose worker has ended."""
        return [side for side, running in self.workers.items() if running.process.poll() is not None]

    def log_exit(self, side: SideName) -> None:
        """Run the script that systemd runs after a worker ended, which logs the end for the metric filter."""
        running = self.workers[side]
        code = running.process.returncode
        values = ("signal", "killed", str(-code)) if code < 0 else ("exit-code", "exited", str(code))
        names = dict(zip(("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"), values, strict=True))
        script = ["bash", str(ROOT / "components" / "workers" / "templates" / "ended.sh")]
        done = subprocess.run(script, env=os.environ | names, capture_output=True, text=True, check=True)
        thread = self.journal.follow(done.stdout.splitlines(True), self.workspace.log(running.name), running.name)
        thread.join()

    def stop(self) -> None:
        """Stop all workers."""
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
            **self.release.environment({**job.environment, **self.changes, **changes}),
            **job.credentials,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (self.release.folder, ROOT))),
        }
        since = self.journal.mark()
        process = subprocess.Popen(
            tied_to_parent([sys.executable, "-m", self.release.module, role]),
            cwd=self.release.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        reader = self.journal.follow(process.stdout, self.workspace.log(name), name)
        return Running(name, process, reader, since)

    def _last_line(self, name: str) -> str:
        path = self.workspace.log(name)
        lines = path.read_text().strip().splitlines() if path.exists() else []
        return lines[-1][:500] if lines else "no output"
