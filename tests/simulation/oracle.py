"""Judge the end of a history by the guarantees of docs/consistency.md alone: the second judge beside the model.

The oracle shares no code with the simulator's model and keeps less. For each key it keeps the versions that users
wrote, the versions that each of them replaces, and which of them are superseded. A version is superseded when a user
who had seen it replaced or deleted it, or when a worker wrote the winner of a conflict over it. If that winner was
superseded by then, the loser may survive, as if the deletion had come before the conflict. All values here are
immutable, so states can be compared.

The oracle has no exceptions. The model must report exactly the same keys as wrong before it applies its exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")

SIDES = ("cn", "global")
NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Written:
    """A version that a user wrote or restored."""

    number: int
    """Position among the versions of the key, from 0."""
    name: str
    """Name of the version, which every copy has in its metadata."""
    side: str
    """Side where the user wrote it."""
    second: int
    """LastModified on that side, in seconds."""
    etag: str
    """ETag on that side."""
    body: bytes
    """Content."""
    replaces: frozenset[int]
    """Numbers of the versions that it replaces, directly or indirectly."""
    restored: int = 0
    """Latest second that a restored version may count as, which has its old LastModified; 0 for other versions."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The recorded history of one key. Pairs are in the order of `SIDES`."""

    preferred: str = ""
    """The side that wins conflicts; empty if the newest version wins."""
    versions: tuple[Written, ...] = ()
    """Versions that users wrote, by number."""
    superseded: frozenset[int] = NOTHING
    """Numbers of superseded versions, which must not survive."""
    may_survive: frozenset[int] = NOTHING
    """Numbers of superseded versions that may survive: no user replaced them, and the winner was superseded itself."""
    seen: tuple[frozenset[int], frozenset[int]] = (NOTHING, NOTHING)
    """Numbers of the versions that a user's act on the side replaces: the last one shown, and those it replaces."""
    shown: tuple[str, str] = ("", "")
    """Name of the version that each side shows; empty for no object."""
    expired: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    """Names of the versions that a lifecycle rule removed on the side."""
    echoed: bool = False
    """True if a worker wrote a version to a side that already showed it."""

    def find(self, name: str) -> Written | None:
        """Return the latest version of this name, which is the one that a copy of this name copies."""
        return next((version for version in reversed(self.versions) if version.name == name), None)

    def seed(self, side: str, name: str, second: int, etag: str, body: bytes) -> KeyHistory:
        """Record that both sides hold the same version from the start; `second` and `etag` are those of `side`."""
        written = Written(len(self.versions), name, side, second, etag, body, NOTHING)
        both = frozenset((written.number,))
        return replace(self, versions=(*self.versions, written), seen=(both, both), shown=(name, name))

    def user_wrote(self, side: str, name: str, second: int, etag: str, body: bytes, restored: int = 0) -> KeyHistory:
        """Record that a user writes a version over what the side shows, or restores one, which counts as `restored`."""
        seen = self.seen[SIDES.index(side)]
        written = Written(len(self.versions), name, side, second, etag, body, seen, restored)
        return replace(
            self,
            versions=(*self.versions, written),
            superseded=self.superseded | seen,
            may_survive=self.may_survive - seen,
            seen=_with(self.seen, side, seen | {written.number}),
            shown=_with(self.shown, side, name),
        )

    def user_deleted(self, side: str) -> KeyHistory:
        """Record that a user deletes what the side shows."""
        seen = self.seen[SIDES.index(side)]
        return replace(
            self,
            superseded=self.superseded | seen,
            may_survive=self.may_survive - seen,
            shown=_with(self.shown, side, ""),
        )

    def expire(self, side: str) -> KeyHistory:
        """Record that a lifecycle rule removes what the side shows."""
        at = SIDES.index(side)
        gone = self.expired[at] | {self.shown[at]}
        return replace(self, expired=_with(self.expired, side, gone), shown=_with(self.shown, side, ""))

    def worker_wrote(self, side: str, name: str) -> KeyHistory:
        """Record that a worker writes a version over what the side shows; a conflict's loser is superseded by this."""
        new = self.find(name)
        if new is None:
            return self
        at = SIDES.index(side)
        old = self._held(at)
        state = replace(
            self,
            echoed=self.echoed or self.shown[at] == name,
            shown=_with(self.shown, side, name),
            seen=_with(self.seen, side, new.replaces | {new.number}),
        )
        if old is None or old == new or new.number in old.replaces or old.number in new.replaces:
            return state
        if not self.beats(new, old) and not self.beats(replace(new, second=max(new.second, new.restored)), old):
            return state
        settled = replace(new, replaces=new.replaces | old.replaces | {old.number})
        return replace(
            state,
            versions=tuple(settled if version == new else version for version in self.versions),
            superseded=self.superseded | {old.number},
            may_survive=self.may_survive
            | ({old.number} if new.number in self.superseded and old.number not in self.superseded else NOTHING),
            seen=_with(state.seen, side, settled.replaces | {new.number}),
        )

    def _held(self, at: int) -> Written | None:
        """Return the version that a side shows: the latest one of that name among those the side has shown."""
        seen = (v for v in reversed(self.versions) if v.name == self.shown[at] and v.number in self.seen[at])
        return next(seen, None)

    def worker_deleted(self, side: str) -> KeyHistory:
        """Record that a worker deletes what the side shows."""
        return replace(self, shown=_with(self.shown, side, ""))

    def beats(self, a: Written, b: Written) -> bool:
        """Return True if `a` wins a conflict against `b`."""
        return self._rank(a) > self._rank(b)

    def _rank(self, version: Written) -> tuple[bool, int, bool, str]:
        preferred = bool(self.preferred) and version.side == self.preferred
        return preferred, version.second, version.side == "cn", version.etag

    def wrong(
        self, ends: Mapping[str, tuple[str, bytes] | None], *, comparable: bool, echoes: bool = True
    ) -> list[str]:
        """Return the guarantees that do not hold at the end.

        Args:
            ends: Name and content that each side shows.
            comparable: True if the versions' times order them, so that the winner of a conflict is determined.
            echoes: True to report a version that was written to a side that already showed it.
        """
        broken = []
        left = [ends[side] for side in SIDES]
        for at in (0, 1):
            other = left[1 - at]
            if left[at] is None and other is not None and other[0] in self.expired[at]:
                left[at] = other  # the peer keeps it, as the page states
        if left[0] != left[1]:
            broken.append("the sides differ")
        live = [version for version in self.versions if version.number not in self.superseded]
        owed = [v for v in live if v.name not in self.expired[SIDES.index(v.side)]]
        for shown in left:
            if shown is None:
                if owed:
                    broken.append(f"{owed[0].name} is lost")
                continue
            same = [v for v in self.versions if v.name == shown[0]]
            if not any(v.body == shown[1] for v in same):
                broken.append(f"no user wrote this content of {shown[0]}")
            elif not any(v in live or v.number in self.may_survive for v in same):
                broken.append(f"{shown[0]} is back")
            elif comparable and owed and any(v.name != shown[0] and self.beats(v, same[-1]) for v in owed):
                broken.append(f"{shown[0]} should have lost")
        if self.echoed and echoes:
            broken.append("an echo was written")
        return broken


def _with(pair: tuple[T, T], side: str, value: T) -> tuple[T, T]:
    return (value, pair[1]) if side == SIDES[0] else (pair[0], value)
