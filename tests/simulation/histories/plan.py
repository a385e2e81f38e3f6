"""Draw a history from a seed: the acts of users with their times, and the faults of services and machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

SIDES = ("cn", "global")
KEYS = ("a", "b", "dir/c d+é", "x//y")


@dataclass(frozen=True, slots=True)
class Op:
    """An act of a user, or a change of the system."""

    at: float
    """Seconds from the start of the history."""
    side: str
    """Side on which it happens."""
    kind: str
    """One of `USER`, or `finder`, `forget`, `restore`."""
    key: str = ""
    """Key, with the side's prefix."""
    content: str = ""
    """Name of the content that is written, unique in the history."""
    bytes_of: str = ""
    """Name of the content whose bytes are written again; empty for bytes of its own."""
    seconds: float = 0.0
    """Duration of an upload in parts."""
    source: str = ""
    """Key that is copied."""


USER = ("put", "seed", "multipart", "copy", "retouch", "delete", "undelete", "unversion", "purge", "expire")
"""Acts of users and lifecycle rules; `seed` stands for objects from before the history. The other kinds change the
system: finder, forget, restore."""


@dataclass(frozen=True, slots=True)
class Window:
    """A disturbance of `side` from `start` to `end` (seconds). `kind` is one of these:

    - `outage`, `credentials` (the key was deleted), `wrong key` (the secret holds another user's key): all its calls to
      the peer fail.
    - `denied`: the peer refuses its writes.
    - `paused`: an operator has paused it.
    - `unsubscribed`: its bucket sends no events.
    """

    side: str
    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Modes:
    """Properties of the services, the settings and the faults. Chances are per call or event, times in seconds."""

    workers: int = 1
    """Workers per side."""
    latency: float = 0.05
    """Mean duration of a call."""
    delivery: float = 0.5
    """Mean delay of an event."""
    late: float = 0.0
    """Chance of an event that is delayed further."""
    late_by: float = 60.0
    """Mean of that further delay."""
    duplicate: float = 0.0
    """Chance of an event that is delivered twice."""
    lose: float = 0.0
    """Chance of an event that is not delivered."""
    batch: float = 0.0
    """Chance that an event waits for others, to be delivered in one message with them."""
    throttle: float = 0.0
    """Chance of a call that is throttled."""
    unanswered: float = 0.0
    """Chance of a call whose answer is lost."""
    busy: float = 0.0
    """Chance of a conditional write that is refused with 409."""
    stall: float = 0.0
    """Chance of a call at which the process is stopped for a while."""
    crash: float = 0.0
    """Chance of a call at which the machine is killed."""
    worker_skew: float = 0.0
    """Error of the machines' clocks."""
    service_skew: float = 0.0
    """Difference of the clock of S3 on side `global`."""
    windows: tuple[Window, ...] = ()
    """Disturbances that last for some time."""
    versioning: tuple[str, str] = ("", "")
    """Versioning of each side's bucket, as GetBucketVersioning returns it."""
    kms: tuple[bool, bool] = (False, False)
    """True per side whose bucket encrypts with a KMS key."""
    parts: bool = False
    """True if objects are copied in parts of a few bytes."""
    giants: bool = False
    """True if objects exceed `giantThreshold`, so that all workers share the copy of one: each part is a message."""
    uploads_by_start: bool = False
    """True if an upload in parts gives way to what was written or deleted after its start, as with S3 itself."""
    md5_etags: bool = False
    """True if ETags are known to be MD5 digests, and objects in parts are compared with them."""
    policy: str = "newest"
    """Conflict policy."""
    keep_loser: bool = False
    """Setting `keepLoser`."""
    expiry: str = "ignore"
    """Effect of a lifecycle expiry on the peer."""
    expires: bool = False
    """True with a lifecycle rule. The finder takes no absence for a deletion, so it does not repair a lost deletion."""
    grace: int = 900
    """Age below which a finder skips an object."""
    silent_undelete: bool = False
    """True if the removal of a delete marker raises no event."""
    absent_204: bool = False
    """True if a conditional delete of an absent key succeeds, and an upload can be completed after a 412."""
    page: int = 1000
    """Rows per page of a listing."""
    ranges: int = 0
    """Key ranges that a finder compares at a time, with a checkpoint after each page. 0: the default settings."""
    prefix: tuple[str, str] = ("", "")
    """Prefix of each side."""
    settings: tuple[tuple[str, str], ...] = ()
    """Further settings of both sides by name, as text; `cn.NAME` for one side only."""
    seeded: bool = False
    """True if both sides hold some keys from the start."""
    stop: float = 0.0
    """Chance per call that its process is stopped after the answer arrived and before it is read."""
    forge: float = 0.0
    """Chance per delivered message that a forged or replayed one follows."""
    beside: bool = True
    """True if another object is on both sides from the start; an empty side would make the finder hold deletions."""

    def faults(self) -> list[str]:
        """Return the names of the faults and unusual properties, for the counts."""
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
            "uploads by their start": self.uploads_by_start,
            "MD5 ETags": self.md5_etags,
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
    """Acts in order of time, the modes, and the seed of the schedule."""

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
    """Return the history of this seed."""
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
    more = Random(seed ^ 0xC0FFEE)  # a separate generator, so that its draws do not change those below
    modes = replace(
        modes,
        policy=more.choice(("prefer-cn", "prefer-global")) if more.random() < 0.1 else "newest",
        keep_loser=more.random() < 0.1,
        expiry="propagate" if more.random() < 0.3 else "ignore",
        prefix=more.choice((("in/", "out/"), ("", "mirror/"))) if more.random() < 0.08 else ("", ""),
    )
    modes = replace(modes, giants=modes.parts and Random(seed ^ 0x61A47).random() < 0.5)
    modes = replace(modes, md5_etags=modes.parts and Random(seed ^ 0x46).random() < 0.4)
    modes = replace(modes, uploads_by_start=Random(seed ^ 0x57A27).random() < 0.5)
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
    """Add, in some histories, a window in which a queue is not emptied or no event arrives, and several finder runs."""
    if r.random() >= 0.12:
        return modes, ops
    side = r.choice(SIDES)
    # With lifecycle rules, the finder does not repair a lost deletion.
    kind = r.choice(("denied", "paused") if modes.expires else ("denied", "paused", "unsubscribed"))
    # A refused message is retried often, each time with all its calls.
    start, length = r.random() * span, r.choice((60.0, 600.0) if kind == "denied" else (60.0, 3000.0, 4 * 3600.0))
    window = Window(side, kind, start, start + length)
    runs = [Op(start + length * n / 4, side, "finder") for n in (1, 2, 3)]
    return replace(modes, windows=(*modes.windows, window)), sorted([*ops, *runs], key=lambda op: op.at)


def _seeded(r: Random, modes: Modes, ops: list[Op], keys: tuple[str, ...]) -> tuple[Modes, list[Op]]:
    """Start some histories with objects on both sides and a run of both finders, 0 to 600 seconds before users act."""
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
