"""A history as data: what users do and when, and what the world does to the machines. Drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

SIDES = ("cn", "global")
KEYS = ("a", "b", "dir/c d+é", "x//y")


@dataclass(frozen=True, slots=True)
class Op:
    """At `at` seconds from the start, a user of `side` does `kind` to `key`.

    `content` names what is written (unique in the history, unless bytes are repeated on purpose: `bytes_of` names whose
    bytes). `seconds` is how long a multipart upload takes. `source` is the key copied from.
    """

    at: float
    side: str
    kind: str
    key: str = ""
    content: str = ""
    bytes_of: str = ""
    seconds: float = 0.0
    source: str = ""


USER = ("put", "seed", "multipart", "copy", "retouch", "delete", "undelete", "unversion", "purge", "expire")
"""What users (and lifecycle rules) do, and what they did before (`seed`). The other kinds are done to
the system: finder, forget, restore."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is wrong with `side` from `start` to `end` (seconds); `kind` is one of these.

    `outage`, `credentials` (the key was deleted) and `wrong key` (the secret holds another user's): all its calls to
    the peer fail. `denied`: the peer refuses its writes. `paused`: an operator has paused it. `unsubscribed`: its
    bucket sends no events.
    """

    side: str
    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Modes:
    """What the world is like. Chances are a call's or an event's; times in seconds."""

    workers: int = 1
    latency: float = 0.05
    delivery: float = 0.5
    late: float = 0.0
    late_by: float = 60.0
    duplicate: float = 0.0
    lose: float = 0.0
    batch: float = 0.0
    throttle: float = 0.0
    unanswered: float = 0.0
    busy: float = 0.0
    stall: float = 0.0
    crash: float = 0.0
    worker_skew: float = 0.0
    service_skew: float = 0.0
    windows: tuple[Window, ...] = ()
    versioning: tuple[str, str] = ("", "")
    kms: tuple[bool, bool] = (False, False)
    parts: bool = False
    giants: bool = False
    """Parts are messages."""
    policy: str = "newest"
    keep_loser: bool = False
    expiry: str = "ignore"
    expires: bool = False
    """A lifecycle rule is there: the finder takes no absence for a deletion, so a lost deletion is not made good."""
    grace: int = 900
    silent_undelete: bool = False
    absent_204: bool = False
    page: int = 1000
    ranges: int = 0
    """Ranges that a finder compares at once; it then also writes down where it is after every page. 0: as usual."""
    prefix: tuple[str, str] = ("", "")
    settings: tuple[tuple[str, str], ...] = ()
    """Further settings of both sides by name, as text; `cn.NAME` for one side only."""
    seeded: bool = False
    """Both sides hold some keys from before."""
    stop: float = 0.0
    """Chance per call that its process is stopped once the answer is there, before it is read."""
    forge: float = 0.0
    """Chance per delivered message that a forged or replayed one follows."""
    beside: bool = True
    """Another object is on both sides from the start: an empty side would make the finder hold deletions."""

    def faults(self) -> list[str]:
        """Names of what is out of the ordinary here, for the counts."""
        named = {
            "late or reordered": self.late,
            "duplicated": self.duplicate,
            "lost": self.lose,
            "several records": self.batch,
            "throttled": self.throttle,
            "unanswered": self.unanswered,
            "409": self.busy,
            "stalled": self.stall or self.stop,
            "killed": self.crash,
            "skewed clocks": self.worker_skew or self.service_skew,
            "outage": any(w.kind == "outage" for w in self.windows),
            "credentials": any(w.kind == "credentials" for w in self.windows),
            "wrong key": any(w.kind == "wrong key" for w in self.windows),
            "denied": any(w.kind == "denied" for w in self.windows),
            "paused": any(w.kind == "paused" for w in self.windows),
            "unsubscribed": any(w.kind == "unsubscribed" for w in self.windows),
            "seeded": self.seeded,
            "versioned": any(self.versioning),
            "kms": any(self.kms),
            "parts": self.parts,
            "giants": self.giants,
            "several workers": self.workers > 1,
            "a preferred side": self.policy != "newest",
            "losers kept": self.keep_loser,
            "prefixes": any(self.prefix),
            "finders that resume": self.ranges,
            "forged messages": self.forge,
        }
        return [n for n, v in named.items() if v]


@dataclass(frozen=True, slots=True)
class History:
    """Ops in order of time, the world's modes, and the seed of the schedule."""

    ops: tuple[Op, ...]
    modes: Modes
    seed: int
    keys: tuple[str, ...] = ("a", "b")

    @property
    def is_strict(self) -> bool:
        """True if all times are comparable, so that the winner of a conflict is known."""
        blurred = ("multipart", "undelete", "unversion", "expire", "forget", "restore", "copy")
        m = self.modes
        return not m.service_skew and m.policy == "newest" and not any(op.kind in blurred for op in self.ops)


def draw(seed: int, length: int = 30) -> History:
    """The history of this seed."""
    r = Random(seed)
    span = r.choice((2.0, 5.0, 15.0, 60.0, 300.0))
    versioning = tuple(r.choice(("", "", "Enabled", "Suspended")) for _ in SIDES) if r.random() < 0.4 else ("", "")
    versioned = any(versioning)
    calm = r.random() < 0.12

    def chance(p: float, value: float) -> float:
        return value if not calm and r.random() < p else 0.0

    modes = Modes(
        workers=r.choice((1, 1, 2, 3)),
        latency=r.choice((0.005, 0.03, 0.1, 0.4)),
        delivery=r.choice((0.05, 0.3, 1.0)),
        late=chance(0.4, r.choice((0.05, 0.3))),
        late_by=r.choice((5.0, 60.0, 1200.0)),
        duplicate=chance(0.4, r.choice((0.1, 0.5))),
        lose=chance(0.25, r.choice((0.03, 0.2))),
        batch=chance(0.3, 0.3),
        throttle=chance(0.25, r.choice((0.005, 0.05))),
        unanswered=chance(0.25, r.choice((0.003, 0.03))),
        busy=chance(0.2, 0.1),
        stall=chance(0.25, r.choice((0.003, 0.01))),
        crash=chance(0.35, r.choice((0.003, 0.02))),
        worker_skew=chance(0.15, r.choice((-400.0, 3.0, 90.0))),
        service_skew=chance(0.1, r.choice((-2.0, 1.0, 2.0))),
        windows=_windows(r, span) if not calm and r.random() < 0.15 else (),
        versioning=versioning,  # type: ignore[arg-type]
        kms=(r.random() < 0.5, r.random() < 0.5) if r.random() < 0.25 else (False, False),
        parts=r.random() < 0.25,
        silent_undelete=r.random() < 0.3,
        grace=r.choice((0, 60, 900)),
        absent_204=r.random() < 0.5,
        page=r.choice((1, 2, 1000)),
    )
    more = Random(seed ^ 0xC0FFEE)  # of its own, so that what is drawn here does not change what is drawn below
    modes = replace(
        modes,
        policy=more.choice(("prefer-cn", "prefer-global")) if more.random() < 0.1 else "newest",
        keep_loser=more.random() < 0.1,
        expiry="propagate" if more.random() < 0.3 else "ignore",
        prefix=more.choice((("in/", "out/"), ("", "mirror/"))) if more.random() < 0.08 else ("", ""),
    )
    modes = replace(modes, giants=modes.parts and Random(seed ^ 0x61A47).random() < 0.5)
    uploads = r.random() < 0.3
    repeats = r.random() < 0.12
    touches = r.random() < 0.12
    expiry = r.random() < 0.08
    if expiry:
        modes = replace(modes, expires=True, lose=0.0)
    finders = r.random() < 0.3
    ledgers = not calm and not expiry and r.random() < 0.08
    keys = KEYS[: r.choice((1, 2, 2, 3, 4))]
    deletions = r.choice((0.1, 0.3, 0.45))
    both = r.choice((0.5, 0.5, 0.15))
    gap = r.random() < 0.4
    ops: list[Op] = []
    at = 0.0
    written: list[str] = []
    for i in range(length):
        at += r.expovariate(length / span)
        if gap and r.random() < 0.06:
            at += r.choice((40.0, 400.0, 4000.0))
        side = SIDES[r.random() < both]
        key = r.choice(keys)
        content = f"w{i}"
        x = r.random()
        if x < deletions:
            ops.append(Op(at, side, "delete", key))
        elif versioned and x < deletions + 0.08:
            ops.append(Op(at, side, r.choice(("undelete", "undelete", "unversion")), key))
        elif expiry and x < deletions + 0.12:
            ops.append(Op(at, side, "expire", key))
        elif uploads and x < deletions + 0.3:
            ops.append(Op(at, side, "multipart", key, content, seconds=r.expovariate(1 / 3.0)))
        elif x > 0.97 and len(keys) > 1:
            ops.append(Op(at, side, "copy", key, source=r.choice([k for k in keys if k != key])))
        elif touches and x > 0.9:
            ops.append(Op(at, side, "retouch", key, content))
        elif repeats and written and x > 0.8:
            ops.append(Op(at, side, "put", key, content, bytes_of=r.choice(written)))
        else:
            ops.append(Op(at, side, "put", key, content))
        written.append(content)
        if finders and r.random() < 0.08:
            ops.append(Op(at, r.choice(SIDES), "finder"))
        if ledgers and r.random() < 0.06:
            ops.append(Op(at, r.choice(SIDES), r.choice(("forget", "restore"))))
    if versioned and more.random() < 0.2:
        for op in [o for o in ops if o.kind == "put" and more.random() < 0.3]:
            at = op.at + more.expovariate(length / span)
            ops.append(Op(at, SIDES[more.random() < both], "purge", op.key))
        ops.sort(key=lambda o: o.at)
    if any(w.kind == "credentials" for w in modes.windows) and more.random() < 0.4:
        modes = replace(modes, windows=tuple(replace(w, kind="wrong key") for w in modes.windows))
    if (finding := Random(seed ^ 0xF1DE2)).random() < 0.25:
        modes = replace(modes, ranges=finding.choice((1, 2, 3)))
    modes, ops = _standing(Random(seed ^ 0x57A7D), span, modes, ops)
    modes, ops = _seeded(Random(seed ^ 0x5EED), modes, ops, keys)
    if (forging := Random(seed ^ 0xF0126E)).random() < 0.25:
        modes = replace(modes, forge=forging.choice((0.1, 0.5, 1.0)))
    return History(tuple(_below(op, modes) for op in ops), modes, seed, keys)


def _standing(r: Random, span: float, modes: Modes, ops: list[Op]) -> tuple[Modes, list[Op]]:
    """Now and then let a queue stand, or no event come, while the finder runs several times."""
    if r.random() >= 0.12:
        return modes, ops
    side = r.choice(SIDES)
    # With lifecycle rules the finder makes no lost deletion good.
    kind = r.choice(("denied", "paused") if modes.expires else ("denied", "paused", "unsubscribed"))
    # A refused message is tried again and again, each time with all its calls.
    start, length = r.random() * span, r.choice((60.0, 600.0) if kind == "denied" else (60.0, 3000.0, 4 * 3600.0))
    window = Window(side, kind, start, start + length)
    runs = [Op(start + length * n / 4, side, "finder") for n in (1, 2, 3)]
    return replace(modes, windows=(*modes.windows, window)), sorted([*ops, *runs], key=lambda op: op.at)


def _seeded(r: Random, modes: Modes, ops: list[Op], keys: tuple[str, ...]) -> tuple[Modes, list[Op]]:
    """Now and then begin with objects that both sides hold, and with both finders; users follow, soon or later."""
    if r.random() >= 0.12 or modes.expires:
        return modes, ops
    found = modes.grace + 100.0
    later = found + r.choice((0.0, 2.0, 600.0))
    before = [Op(0.0, r.choice(SIDES), "seed", key, f"s{n}") for n, key in enumerate(keys) if r.random() < 0.7]
    runs = [Op(found, side, "finder") for side in SIDES]
    windows = tuple(replace(w, start=w.start + later, end=w.end + later) for w in modes.windows)
    shifted = [replace(op, at=op.at + later) for op in ops]
    return replace(modes, seeded=True, windows=windows), sorted([*before, *runs, *shifted], key=lambda op: op.at)


def _below(op: Op, modes: Modes) -> Op:
    prefix = modes.prefix[SIDES.index(op.side)]
    if not prefix or not op.key:
        return op
    return replace(op, key=prefix + op.key, source=prefix + op.source if op.source else "")


def _windows(r: Random, span: float) -> tuple[Window, ...]:
    side = r.choice(SIDES)
    start = r.random() * span
    length = r.choice((5.0, 60.0, 3 * 3600.0))
    return (Window(side, r.choice(("outage", "credentials")), start, start + length),)
