"""One range of a finder's run: what it came to, and up to where that is settled, so that another run can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.key_ranges import Marks
from dualsync.runtime.finder.report import COUNTS, TALLY, Report
from dualsync.runtime.model.key_filter import Range


class Leg:
    """A range under way. `kept` are its deletions that wait for the end of the run."""

    __slots__ = ("_settled", "kept", "marks", "range", "report", "settled_at")

    def __init__(self, range: Range) -> None:
        self.range = range
        self.report = Report()
        self.kept: list[tuple[str, Difference]] = []
        self.marks = Marks()
        self.settled_at = 0.0
        self.settle(0.0)

    @property
    def rest(self) -> Range:
        """What of the range is still to be compared."""
        return Range(max(self.range.after, self.report.tally.last), self.range.until)

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
            **{name: getattr(tally, name) for name in TALLY},
            **{name: getattr(report, name) for name in COUNTS},
        }

    def data(self) -> dict[str, Any]:
        """What is settled, as JSON values."""
        kept = [[str(difference), key] for key, difference in self.kept[: self._settled["kept"]]]
        return self._settled | {"kept": kept, "after": self.range.after, "until": self.range.until}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Leg:
        """The inverse of `data`. Raises KeyError, TypeError or ValueError for anything else."""
        leg = cls(Range(str(data["after"]), str(data["until"])))
        report = leg.report
        report.tally.last = str(data["last"])
        for name in TALLY:
            setattr(report.tally, name, int(data[name]))
        for name in COUNTS:
            setattr(report, name, int(data[name]))
        report.found.update({Difference(name): int(count) for name, count in data["found"].items()})
        leg.kept = [(str(key), Difference(name)) for name, key in data["kept"]]
        leg.settle(0.0)
        return leg
