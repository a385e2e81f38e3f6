"""Generate the histories that are explored: sequences of users' acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tests.simulation.histories.plan import SIDES, Op

KEY = "a"
OTHER = "b"
PLAIN = ("put", "same bytes", "retouch", "multipart", "upload", "delete")
"""Acts of users on a key of any bucket. `upload` starts before the previous act and is completed after it."""
UPLOADS = frozenset({"multipart", "upload"})
"""Those of them that upload in parts."""
VERSIONED = ("undelete", "unversion", "bring back")
"""Further acts on a versioned bucket: remove the delete marker, delete the current version permanently, and copy the
version before the current one onto the key."""
TIMES = {"same second": (0, 0), "own second": (1, 0), "seconds apart": (1, 1)}
"""Seconds before and after each act."""


@dataclass(frozen=True, slots=True)
class Step:
    """Acts of one instant."""

    ops: tuple[tuple[str, Op], ...]
    """Pairs of a step (`do`, `begin`, `complete`, `bring back`) and its act."""
    before: int
    """Seconds that pass before it."""
    after: int
    """Seconds that pass after it."""

    def __str__(self) -> str:
        return ", ".join(
            f"{op.side} {op.kind if step == 'do' else step} {op.source} {op.key} {op.content}" for step, op in self.ops
        )


@dataclass(frozen=True, slots=True)
class Acts:
    """The users' acts of one history."""

    name: str
    """Name for reports, such as `cn put, global delete`."""
    steps: tuple[Step, ...]
    strict: bool
    """True if times determine which version is newer."""
    key: str = KEY


def sequences(length: int, *, versioned: bool, copies: bool = False) -> Iterator[tuple[tuple[str, str], ...]]:
    """Return all sequences of (side, kind)."""
    kinds = (*PLAIN, *(VERSIONED if versioned else ()), *(("copy", "put other", "delete other") if copies else ()))
    choices = [(side, kind) for kind in kinds for side in SIDES]
    return product(choices, repeat=length)


def sensible(sequence: tuple[tuple[str, str], ...], *, present: bool) -> bool:
    """Return False if an act has no effect, or if another sequence is equivalent."""
    exists = present
    other = False
    for at, (_, kind) in enumerate(sequence):
        if kind == "upload" and at == 0:
            return False  # equivalent to `multipart`
        if kind == "copy" and not other:
            return False
        if kind == "delete other" and not other:
            return False
        if kind in ("retouch", "delete", "undelete", "unversion", "bring back") and not exists:
            return False
        if kind == "same bytes" and not (present or at):
            return False
        exists = exists or kind in ("put", "same bytes", "multipart", "upload", "copy")
        other = other or kind == "put other"
    return True


def acts(sequence: tuple[tuple[str, str], ...], timing: str) -> Acts:
    """Return a sequence of (side, kind) as acts."""
    before, after = TIMES[timing]
    steps: list[Step] = []
    for at, (side, kind) in enumerate(sequence):
        name = f"w{at + 1}"
        ops: tuple[tuple[str, Op], ...]
        if kind in UPLOADS:
            op = Op(0.0, side, "multipart", KEY, name)
            if kind == "upload":
                last = steps[-1]
                steps[-1] = Step((("begin", op), *last.ops), last.before, last.after)
                ops = (("complete", op),)
            else:
                ops = (("begin", op), ("complete", op))
        elif kind == "same bytes":
            ops = (("do", Op(0.0, side, "put", KEY, name, bytes_of="w1" if at and sequence[0][1] == "put" else "w0")),)
        elif kind == "copy":
            ops = (("do", Op(0.0, side, "copy", KEY, source=OTHER)),)
        elif kind in ("put other", "delete other"):
            verb = kind.partition(" ")[0]
            ops = (("do", Op(0.0, side, verb, OTHER, name if verb == "put" else "")),)
        elif kind == "bring back":
            ops = (("bring back", Op(0.0, side, "put", KEY)),)
        else:
            ops = (("do", Op(0.0, side, kind, KEY, name if kind in ("put", "retouch") else "")),)
        steps.append(Step(ops, before, after))
    kinds = {kind for _, kind in sequence}
    strict = not kinds & {*UPLOADS, "undelete", "unversion", "bring back", "copy"}
    return Acts(", ".join(f"{side} {kind}" for side, kind in sequence), tuple(steps), strict)
