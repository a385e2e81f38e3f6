"""One range of a finder's run: what it came to, and up to where that is settled, so that another run can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.key_ranges import KeySampler
from dualsync.runtime.finder.report import Report
from dualsync.runtime.model.field_reader import MAX_COUNT, FieldError, FieldReader
from dualsync.runtime.model.key_filter import KeyRange


class RangeProgress:
    """A range under way. `kept` are its deletions that wait for the end of the run."""

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
        """What of the range is still to be compared."""
        return KeyRange(max(self.range.after, self.report.tally.last), self.range.until)

    @property
    def settled_keys(self) -> int:
        """How many keys of both sides are settled."""
        return int(self._settled["here"]) + int(self._settled["there"])

    def settle(self, now: float) -> None:
        """Whatever was found so far has been acted on, or is kept: from here on another run may continue."""
        report, tally = self.report, self.report.tally
        self.settled_at = now
        self._settled: dict[str, Any] = {
            "last": tally.last,
            "kept": len(self.kept),
            "found": {str(k): v for k, v in report.found.items()},
            "here": tally.here,
            "there": tally.there,
            "equal": tally.equal,
            "queued": report.queued,
            "agreed": report.agreed,
            "young": report.young,
            "unseeded": report.unseeded,
            "archived": report.archived,
            "deletions": report.deletions,
        }

    def data(self) -> dict[str, Any]:
        """What is settled, as JSON values."""
        kept = [[str(difference), key] for key, difference in self.kept[: self._settled["kept"]]]
        return self._settled | {"kept": kept, "after": self.range.after, "until": self.range.until}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> RangeProgress:
        """Return the progress of what `data` made. Raises ValueError for anything else."""
        fields = FieldReader(data, "range of a checkpoint")
        leg = cls(KeyRange(fields.text("after"), fields.text("until")))
        report, tally = leg.report, leg.report.tally
        tally.last = fields.text("last")
        tally.here, tally.there, tally.equal = (fields.integer(name) for name in ("here", "there", "equal"))
        report.queued, report.agreed = fields.integer("queued"), fields.integer("agreed")
        report.young, report.unseeded = fields.integer("young"), fields.integer("unseeded")
        report.archived, report.deletions = fields.integer("archived"), fields.integer("deletions")
        found = FieldReader(fields.mapping("found"), "differences of a checkpoint")
        report.found.update({Difference(name): found.integer(name) for name in fields.mapping("found")})
        for row in fields.sequence("kept", longest=MAX_COUNT):
            if not isinstance(row, (list, tuple)) or len(row) != 2 or type(row[1]) is not str:
                raise FieldError("range of a checkpoint: a kept deletion is not a pair of difference and key")
            leg.kept.append((row[1], Difference(row[0])))
        leg.settle(0.0)
        return leg
