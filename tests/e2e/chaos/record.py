"""Record the changes of each key, and judge its final state by the two judges of the simulation.

The oracle decides. The reference model names the exception of docs/consistency.md that explains a wrong final state.
Both must call the same keys wrong.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.simulation.histories.model import KeyModel, judge, newest
from tests.simulation.oracle import KeyHistory

SIDES = ("cn", "global")

Shown = tuple[str, bytes] | None
"""The object that a side has under a key: name of the version and digest of the content; None for no object."""


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """The version that a side has under a key."""

    name: str
    """Name of the version."""

    etag: str
    """Its ETag on this side."""

    copy: bool
    """True if a worker wrote it here."""


@dataclass(slots=True)
class KeyRecord:
    """One key's history."""

    key: str
    """The key."""

    versioned: frozenset[str]
    """Sides whose bucket keeps versions."""

    history: KeyHistory = field(default_factory=KeyHistory)
    """The history as the oracle reads it."""

    model: KeyModel = field(init=False)
    """The history as the reference model reads it."""

    shown: dict[str, ShownVersion | None] = field(default_factory=lambda: dict.fromkeys(SIDES))
    """The version that each side has now."""

    etags: dict[str, str] = field(default_factory=dict)
    """ETags of versions where users wrote them, by name."""

    comparable: bool = True
    """False after a multipart upload, whose time in S3 is that of its start, so that times do not show the order."""

    lines: list[str] = field(default_factory=list)
    """The history as text for the report."""

    def __post_init__(self) -> None:
        self.model = KeyModel(self.key, newest)

    def user_wrote(
        self, side: str, name: str, digest: bytes, second: int, etag: str, known: str, *, upload: bool
    ) -> None:
        """Record that a user wrote a version. `known` is the ETag that the side's ledger held then, empty for none."""
        self._note_unrecorded(side, known)
        self.comparable = self.comparable and not upload
        self.history = self.history.user_wrote(side, name, second, etag, digest)
        self.model.user(side, name, digest, second, etag)
        self.shown[side] = ShownVersion(name, etag, False)
        self.etags[name] = etag
        self.lines.append(f"{side}: a user {'uploads' if upload else 'writes'} {name} (second {second}, {etag})")

    def gave_way(self, side: str, name: str) -> None:
        """Record that an upload was completed below a later change: the side's object stays."""
        self.lines.append(f"{side}: the upload of {name} gives way to a later change")

    def user_deleted(self, side: str, second: int, known: str) -> None:
        """Record that a user deleted the side's object. Does nothing if there is none."""
        if self.shown[side] is None:
            return
        self._note_unrecorded(side, known)
        self.history = self.history.user_deleted(side)
        self.model.user(side, "", b"", second, "")
        self.shown[side] = None
        self.lines.append(f"{side}: a user deletes (second {second})")

    def worker_wrote(self, side: str, name: str, etag: str) -> None:
        """Record that a worker wrote a version."""
        self.history = self.history.worker_wrote(side, name)
        self.model.worker_wrote(side, name)
        self.shown[side] = ShownVersion(name, etag, True)
        self.lines.append(f"{side}: a worker writes {name} ({etag})")

    def worker_deleted(self, side: str) -> None:
        """Record that a worker deleted the side's object. Does nothing if there is none."""
        if self.shown[side] is None:
            return
        self.history = self.history.worker_deleted(side)
        self.model.worker_deleted(side)
        self.shown[side] = None
        self.lines.append(f"{side}: a worker deletes")

    def _note_unrecorded(self, side: str, known: str) -> None:
        """Mark the version that a user replaces or deletes before the side's ledger has recorded it."""
        before = self.shown[side]
        if before is None or before.etag == known:
            return
        if not before.copy:
            self.model.unrecorded_originals.add(before.name)
            return
        self.model.unrecorded_copies.add(before.name)
        if side not in self.versioned and self.etags.get(before.name) != before.etag:
            self.model.unrecognised.add(before.name)

    def judge(self, ends: Mapping[str, Shown]) -> tuple[list[str], set[str]]:
        """Return what is wrong with the final state, and the documented exceptions that explain it, if any."""
        broken = self.history.wrong(ends, comparable=self.comparable)
        found = judge(self.model, dict(ends), strict=self.comparable)
        if bool(broken) != bool(found):
            return [*broken, f"the two judges disagree: the model finds {[str(one) for one in found]}"], set()
        excused = {one.excused for one in found}
        return broken, set() if "" in excused else excused


@dataclass(slots=True)
class Verdict:
    """The verdict on all keys of a run."""

    judged: int = 0
    """Number of judged keys."""

    changes: int = 0
    """Number of recorded changes of users and workers."""

    excused: Counter[str] = field(default_factory=Counter)
    """Number of keys that an exception explains, by its name."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    """What is wrong with each key that no exception explains, with its history."""


def judge_all(records: Mapping[str, KeyRecord], ends: Mapping[str, Mapping[str, Shown]]) -> Verdict:
    """Judge every key. `ends` holds the final object of both sides per key; a key that no user wrote is wrong."""
    verdict = Verdict()
    for key in sorted(records.keys() | ends.keys()):
        shown = ends.get(key) or dict.fromkeys(SIDES)
        record = records.get(key)
        verdict.judged += 1
        if record is None:
            verdict.wrong[key] = [f"no user wrote this key: {shown}"]
            continue
        verdict.changes += len(record.lines)
        broken, excused = record.judge(shown)
        if broken and not excused:
            ended = ", ".join(f"{side} shows {end[0] if end else 'nothing'}" for side, end in shown.items())
            verdict.wrong[key] = [*broken, *record.lines, f"at the end: {ended}"]
        elif broken:
            verdict.excused.update(excused)
    return verdict


def digest(content: bytes) -> bytes:
    """Return the digest that is recorded instead of the content."""
    return hashlib.sha256(content).digest()
