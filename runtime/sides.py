"""The two sides of a pair, and the directions in which it copies. The settings give both to everything else."""

from __future__ import annotations

from enum import StrEnum


class SideName(StrEnum):
    """The two sides of a pair. The order is also the tie-break of equal times: `cn` wins."""

    CN = "cn"
    """The side in the China partition."""
    GLOBAL = "global"
    """The other side."""

    @property
    def peer(self) -> SideName:
        return SideName.GLOBAL if self is SideName.CN else SideName.CN


class Direction(StrEnum):
    """The directions in which a pair copies."""

    BOTH = "both"
    """Each side's changes are copied to the other."""
    CN_TO_GLOBAL = "cn-to-global"
    """`global` mirrors `cn`. Nothing is written at `cn`."""
    GLOBAL_TO_CN = "global-to-cn"
    """`cn` mirrors `global`. Nothing is written at `global`."""

    @property
    def source(self) -> SideName | None:
        """The side whose objects apply on both sides; None if both sides' changes are copied."""
        return None if self is Direction.BOTH else SideName(self.split("-to-")[0])

    @property
    def one_way(self) -> bool:
        """Return whether only one side's changes are copied."""
        return self.source is not None

    def carries(self, side: SideName) -> bool:
        """Return whether this side's changes are copied to the other."""
        return self.source in (None, side)

    def receives(self, side: SideName) -> bool:
        """Return whether the other side's changes are copied here, so that the peer needs a user here."""
        return self.source != side
