"""A second judge of a history's end, written from the guarantees of docs/consistency.md alone.

It shares no code with the simulator's model and keeps less: for each key the versions that users wrote, the versions
that each of them replaces, and which of them are dead. A version is dead when a user who saw it replaced or deleted it,
or when a worker wrote the winner of a conflict over it. If that winner was dead by then, the loser may live: it is as
if the deletion had come before the conflict. Everything here is immutable, so a state can be compared.

The oracle knows no exceptions. The model must call exactly the same keys wrong before it applies its exceptions.
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
    """A version that a user wrote, or brought back."""

    number: int
    """Which write of the key this was."""
    name: str
    """Its name, which every copy carries in its metadata."""
    side: str
    """Where the user wrote it."""
    second: int
    """S3's LastModified there."""
    etag: str
    """Its ETag there."""
    body: bytes
    """Its content."""
    replaces: frozenset[int]
    """Numbers of the versions that it replaces, directly or through others."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What was seen of one key. Pairs are in the order of `SIDES`."""

    preferred: str = ""
    """The side that wins conflicts; empty if the newest version wins."""
    versions: tuple[Written, ...] = ()
    """What users wrote, by number."""
    dead: frozenset[int] = NOTHING
    """Numbers of versions that must not survive."""
    spared: frozenset[int] = NOTHING
    """Numbers of dead versions that may survive: no user replaced them, and the winner over them was dead."""
    seen: tuple[frozenset[int], frozenset[int]] = (NOTHING, NOTHING)
    """What a user who acts on the side replaces: what the side showed last, and what that replaces."""
    shown: tuple[str, str] = ("", "")
    """The name that each side shows, empty for no object."""
    expired: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    """Names that a lifecycle rule took on the side."""
    echoed: bool = False
    """True if a worker wrote a version to a side that showed it."""

    def find(self, name: str) -> Written | None:
        """Return the latest version of this name: a copy is of that one."""
        return next((version for version in reversed(self.versions) if version.name == name), None)

    def seed(self, side: str, name: str, second: int, etag: str, body: bytes) -> KeyHistory:
        """Both sides hold the same version from before; `second` and `etag` are those of `side`."""
        written = Written(len(self.versions), name, side, second, etag, body, NOTHING)
        both = frozenset((written.number,))
        return replace(self, versions=(*self.versions, written), seen=(both, both), shown=(name, name))

    def user_wrote(self, side: str, name: str, second: int, etag: str, body: bytes) -> KeyHistory:
        """A user writes a version, or brings one back, over what the side shows."""
        seen = self.seen[SIDES.index(side)]
        written = Written(len(self.versions), name, side, second, etag, body, seen)
        return replace(
            self,
            versions=(*self.versions, written),
            dead=self.dead | seen,
            spared=self.spared - seen,
            seen=_with(self.seen, side, seen | {written.number}),
            shown=_with(self.shown, side, name),
        )

    def user_deleted(self, side: str) -> KeyHistory:
        """A user deletes what the side shows."""
        seen = self.seen[SIDES.index(side)]
        return replace(self, dead=self.dead | seen, spared=self.spared - seen, shown=_with(self.shown, side, ""))

    def expire(self, side: str) -> KeyHistory:
        """A lifecycle rule takes what the side shows."""
        at = SIDES.index(side)
        gone = self.expired[at] | {self.shown[at]}
        return replace(self, expired=_with(self.expired, side, gone), shown=_with(self.shown, side, ""))

    def worker_wrote(self, side: str, name: str) -> KeyHistory:
        """A worker writes a version over what the side shows. The loser of a conflict is dead then."""
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
        if not self.beats(new, old):
            return state
        settled = replace(new, replaces=new.replaces | old.replaces | {old.number})
        return replace(
            state,
            versions=tuple(settled if version == new else version for version in self.versions),
            dead=self.dead | {old.number},
            spared=self.spared | ({old.number} if new.number in self.dead and old.number not in self.dead else NOTHING),
            seen=_with(state.seen, side, settled.replaces | {new.number}),
        )

    def _held(self, at: int) -> Written | None:
        """Return what a side shows: of several versions of that name, the latest one that the side has seen."""
        seen = (v for v in reversed(self.versions) if v.name == self.shown[at] and v.number in self.seen[at])
        return next(seen, None)

    def worker_deleted(self, side: str) -> KeyHistory:
        """A worker deletes what the side shows."""
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
        """Return which promises do not hold at the end.

        Args:
            ends: What each side shows: name and content.
            comparable: The versions' times tell which one is newer.
            echoes: Count a version that was written to a side that showed it.
        """
        broken = []
        left = [ends[side] for side in SIDES]
        for at in (0, 1):
            other = left[1 - at]
            if left[at] is None and other is not None and other[0] in self.expired[at]:
                left[at] = other  # kept at the peer, as promised
        if left[0] != left[1]:
            broken.append("the sides differ")
        alive = [version for version in self.versions if version.number not in self.dead]
        owed = [v for v in alive if v.name not in self.expired[SIDES.index(v.side)]]
        for shown in left:
            if shown is None:
                if owed:
                    broken.append(f"{owed[0].name} is lost")
                continue
            same = [v for v in self.versions if v.name == shown[0]]
            if not any(v.body == shown[1] for v in same):
                broken.append(f"no user wrote this content of {shown[0]}")
            elif not any(v in alive or v.number in self.spared for v in same):
                broken.append(f"{shown[0]} is back")
            elif comparable and owed and any(v.name != shown[0] and self.beats(v, same[-1]) for v in owed):
                broken.append(f"{shown[0]} should have lost")
        if self.echoed and echoes:
            broken.append("an echo was written")
        return broken


def _with(pair: tuple[T, T], side: str, value: T) -> tuple[T, T]:
    return (value, pair[1]) if side == SIDES[0] else (pair[0], value)
