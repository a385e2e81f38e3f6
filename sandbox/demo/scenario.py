"""The users of the demo: uploads of real files, edits and deletions on both sides, a deliberate conflict."""

from __future__ import annotations

import io
import random
import signal
import sysconfig
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Expected, Side

A, B = SideName.CN, SideName.GLOBAL
T = TypeVar("T")
Report = Callable[[int], None]
"""Called with the number of objects so far."""

CONFLICT_KEY = "shared/plan.txt"
"""Key that both sides write at once."""

ARCHIVE_KEY = "archive/library.tar"
"""Key of the object that is uploaded and copied in parts."""

BEFORE = {A: "from-before/china.txt", B: "from-before/global.txt"}
"""Objects that exist before deployment, one per side."""

WRITERS = 6
"""Threads that upload."""


def library(count: int) -> list[Path]:
    """Return `count` files of Python's standard library, or all of them if it has fewer."""
    root = Path(sysconfig.get_path("stdlib"))
    files = (p for p in sorted(root.rglob("*.py")) if "site-packages" not in p.parts and p.stat().st_size < 512 * 1024)
    return [path for path, _ in zip(files, range(count), strict=False)]


@dataclass
class Scenario:
    """The users of both sides, and the objects that both buckets must hold."""

    sides: dict[SideName, Side]
    """The two buckets."""

    expected: Expected = field(default_factory=Expected)
    """Objects that both buckets must hold once everything is copied."""

    winner: bytes = b""
    """Content of the newer version of the conflict."""

    writes: int = 0
    """Objects written so far."""

    deletions: int = 0
    """Objects deleted so far."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Lock of the state that threads share."""

    def before_set_up(self) -> None:
        """Write one object on each side, for which no event is sent."""
        for side, key in BEFORE.items():
            self._put(side, key, f"written on {side} before anything was set up\n".encode())

    def upload(self, side: SideName, prefix: str, files: Sequence[Path], report: Report) -> None:
        """Upload files under a prefix, several at a time."""
        root = Path(sysconfig.get_path("stdlib"))

        def one(path: Path) -> None:
            self._put(side, f"{prefix}/{path.relative_to(root).as_posix()}", path.read_bytes())

        self._each(one, files, report)

    def upload_archive(self, side: SideName, files: Sequence[Path], size: int) -> None:
        """Upload one object in parts: a tar of files, repeated up to `size` bytes."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in files:
                archive.add(path, arcname=path.name)
        content = (buffer.getvalue() * (size // max(1, buffer.tell()) + 1))[:size]
        self._place(side).s3.upload_fileobj(io.BytesIO(content), self._place(side).bucket, ARCHIVE_KEY)
        self.expected.write(ARCHIVE_KEY, content)
        self.writes += 1

    def odd_keys(self) -> None:
        """Write keys with blanks, `+`, `%`, `=`, `&` and non-ASCII letters, and an empty object, on both sides."""
        for side in SideName:
            for name in ("with space + plus.txt", "späte Grüße/文件.txt", "percent%20sign", "empty-folder/", "a=b&c"):
                self._put(side, f"odd/{side}/{name}", b"" if name.endswith("/") else name.encode())

    def edit(self, side: SideName, keys: Iterable[str], report: Report) -> None:
        """Append a line to objects of either origin."""

        def one(key: str) -> None:
            content = self._place(side).read(key)
            self._put(side, key, (content or b"") + f"# edited on {side}\n".encode())

        self._each(one, list(keys), report)

    def delete(self, side: SideName, keys: Iterable[str], report: Report) -> None:
        """Delete objects of either origin."""

        def one(key: str) -> None:
            self._place(side).s3.delete_object(Bucket=self._place(side).bucket, Key=key)
            with self._lock:
                self.expected.delete(key)
                self.deletions += 1

        self._each(one, list(keys), report)

    def conflict(self, pause: Callable[[signal.Signals], None]) -> None:
        """Write one key on both sides while the workers are paused; B writes one second later and must win."""
        pause(signal.SIGSTOP)
        try:
            self._put(A, CONFLICT_KEY, b"the plan, as seen from A\n")
            second = int(time.time())
            # S3's times are whole seconds, so wait for the next one.
            while int(time.time()) <= second:
                time.sleep(0.02)
            self.winner = b"the plan, as seen from B, a second later\n"
            self._put(B, CONFLICT_KEY, self.winner)
        finally:
            pause(signal.SIGCONT)

    def pick(self, count: int, seed: int, exclude: Iterable[str] = ()) -> list[str]:
        """Choose `count` of the expected keys, the same in each run."""
        keys = sorted(set(self.expected.contents) - set(exclude) - {ARCHIVE_KEY, *BEFORE.values()})
        return random.Random(seed).sample(keys, min(count, len(keys)))

    def _put(self, side: SideName, key: str, content: bytes) -> None:
        place = self._place(side)
        place.s3.put_object(Bucket=place.bucket, Key=key, Body=content, Metadata={"written-on": str(side)})
        with self._lock:
            self.expected.write(key, content)
            self.writes += 1

    def _place(self, side: SideName) -> Side:
        return self.sides[side]

    def _each(self, act: Callable[[T], None], items: Sequence[T], report: Report) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            for n, _ in enumerate(pool.map(act, items), 1):
                report(n)
