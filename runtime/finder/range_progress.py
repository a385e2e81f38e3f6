"""One range of a finder run: its counts, and up to which key they are settled, so that another run can resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.key_ranges import KeySampler
from dualsync.runtime.finder.report import Report
from dualsync.runtime.model.field_reader import MAX_COUNT, FieldError, FieldReader
from dualsync.runtime.model.key_filter import KeyRange


class RangeProgress:
    """A range that is being compared. `kept` are its deletions, which wait for the end of the run."""

    __slots__ = ("_settled", "kept", "marks", "range", "report", "settled_at")

    def __init__(self, range: KeyRange) -> None:
        self.range = range
        self.report = Report()
        self.kept: list[tuple[str, Difference]] = []
        self.marks = KeySampler()
        self.settled_at = 0.0
        self.settle(0.0)

    @property
    def rest(self) -> KeyRange:
        """The part of the range that is still to be compared."""
        return KeyRange(max(self.range.after, self.report.counters.last), self.range.until)

    @property
    def settled_keys(self) -> int:
        """Number of settled keys of both sides."""
        return int(self._settled["here"]) + int(self._settled["there"])

    def settle(self, now: float) -> None:
        """Mark everything found so far as queued or kept, so that another run may resume here.

        `now` in seconds of `Clock.monotonic`.
        """
        report, counters = self.report, self.report.counters
        self.settled_at = now
        self._settled: dict[str, Any] = {
            "last": counters.last,
            "kept": len(self.kept),
            "found": {str(k): v for k, v in report.found.items()},
            "here": counters.here,
            "there": counters.there,
            "equal": counters.equal,
            "queued": report.queued,
            "agreed": report.agreed,
            "young": report.young,
            "unseeded": report.unseeded,
            "archived": report.archived,
            "deletions": report.deletions,
            "waiting": report.waiting,
        }

    def data(self) -> dict[str, Any]:
        """Return what is settled, as JSON values."""
        kept = [[str(difference), key] for key, difference in self.kept[: self._settled["kept"]]]
        return self._settled | {"kept": kept, "after": self.range.after, "until": self.range.until}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RangeProgress:
        """Return the progress that `data` wrote. Raises ValueError for anything else."""
        fields = FieldReader(data, "range of a checkpoint")
        progress = cls(KeyRange(fields.text("after"), fields.text("until")))
        report, counters = progress.report, progress.report.counters
        counters.last = fields.text("last")
        counters.here, counters.there, counters.equal = (fields.integer(name) for name in ("here", "there", "equal"))
        report.queued, report.agreed = fields.integer("queued"), fields.integer("agreed")
        report.young, report.unseeded = fields.integer("young"), fields.integer("unseeded")
        report.archived, report.deletions = fields.integer("archived"), fields.integer("deletions")
        report.waiting = fields.integer("waiting", 0)
        found = FieldReader(fields.mapping("found"), "differences of a checkpoint")
        report.found.update({Difference(name): found.integer(name) for name in fields.mapping("found")})
        for row in fields.sequence("kept", longest=MAX_COUNT):
            if not isinstance(row, (list, tuple)) or len(row) != 2 or type(row[1]) is not str:
                raise FieldError("range of a checkpoint: a kept deletion is not a pair of difference and key")
            progress.kept.append((row[1], Difference(row[0])))
        progress.settle(0.0)
        return progress
