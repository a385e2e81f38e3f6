"""The local cloud emulator with a clock that tests advance. The times of objects, events and messages follow it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dualsync.runtime.platform import SystemClock
from sandbox.cloud.handle import Cloud
from sandbox.environment.processes import ROOT, tied_to_parent

VARIABLE = "EMULATOR_CLOCK"
"""Environment variable with the file that holds by how many seconds the emulator's clock is ahead."""


class EmulatorClock(SystemClock):
    """A clock for the runtime that is ahead by as many seconds as the emulator's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ahead = 0
        self.forward(0)

    def forward(self, seconds: int) -> None:
        """Advance both clocks."""
        self._ahead += seconds
        self._file.write_text(str(self._ahead))

    def now(self) -> float:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead


def start(file: Path) -> Cloud:
    """Start an emulator that reads the clock's file."""
    process = subprocess.Popen(
        tied_to_parent([sys.executable, "-m", "tests.integration.http.cloud"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {VARIABLE: str(file)},
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return Cloud(json.loads(process.stdout.readline())["endpoint"], process)


def _serve() -> None:
    from moto.s3 import models
    from moto.sqs.models import Message

    from sandbox.cloud import server
    from sandbox.cloud.patches import s3_events, s3_multipart
    from sandbox.cloud.patches.replace import replace

    file = Path(os.environ[VARIABLE])

    def ahead() -> int:
        return int(file.read_text() or 0)

    def now(*_: object) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=ahead())

    def text(*_: object) -> str:
        return now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def mark_sent(message: Message, *arguments: Any, **more: Any) -> None:
        # No event counts as later than its message was sent.
        sent(message, *arguments, **more)
        message.sent_timestamp += ahead() * 1000  # type: ignore[assignment, operator]

    sent = replace(Message, "mark_sent", mark_sent)
    for module in (models, s3_multipart):
        replace(module, "utcnow", now)
    replace(s3_events, "iso_8601_datetime_with_milliseconds", text)
    server.main([])


if __name__ == "__main__":
    _serve()
