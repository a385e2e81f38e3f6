"""The reference: what every user wrote, and had seen when writing. It judges what is left, and knows no algorithm.

A user's act on a key (a write, a deletion) *replaces* what the user's side showed at that moment. A worker's write
that settles a conflict rightly makes the loser *replaced* by the winner. What no act replaces is a tip; only tips may
survive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

PEER = {"cn": "global", "global": "cn"}
BESIDE = "~beside"
"""The object that is on both sides from the start."""


class Excuse(StrEnum):
    """The exceptions that docs/consistency.md shows to be unavoidable, each only for the contents that it befell."""

    SAME_BYTES = "same bytes written again"
    """A condition on an ETag can't tell them apart."""
    EXPIRED = "expired before its copy was made"
    """What a lifecycle rule took before any worker saw it can't be copied; what the peer has instead stays."""
    UNRECOGNISED = "copy deleted before its echo was read, its ETag another and no version kept"
    """Nothing then says which version it was that a user deleted or replaced."""
    NO_LATER = "replaced by what would lose a conflict, before the echo was read"
    """An upload bears the time of its beginning, and two versions may have the same second: without the echo, time says
    the other order. Or one side is preferred and has lost its ledger."""
    EVENT_LOST = "event lost while the version was written twice"
    """Of its first copy or of its deletion: the second arrival looks like the first."""
    LEDGERS_LOST = "both ledgers lost the key"
    NEVER_MET = "deleted before the first contact"
    """No ledger proves that both sides held what they were seeded with: what a user did to it on one side is a
    conflict with what the other side holds."""
    UNPROVEN = "copy deleted before its echo was read, and no version kept"
    """Only events tell then that it was here, and events can be forged: they delete nothing. The other side's finder
    has the proof, unless a lifecycle rule forbids it to delete; a second copy looks like the first."""
    CROSSED = "deleted while the copies crossed"
    """A deletion is read when the other side's copy is here already: then only its event says when it was. A ledger
    that holds the crossed copy holds nothing of what was there before."""
    FORGED_EXPIRY = "expired, and a forged event of its deletion"
    """Only the event says who removed it: a lifecycle rule, or a user whose deletion is carried across."""
    FORGED = "written again after a forged event"
    """A forged event that a user copied a replica over itself makes a worker write the same content again. Or one has
    raised the order of the key's events: then no event proves that a copy was written again after its deletion."""


class Failure(StrEnum):
    """How a history can go wrong."""

    DIVERGED = "diverged"
    EDIT_LOST = "edit lost"
    STALE_BACK = "stale version back"
    UNDONE = "deletion undone"
    WRONG_WINNER = "wrong winner"
    FOREIGN = "content that no user wrote"
    ECHO = "echo written"
    NOT_KEPT = "loser not kept"
    RESTLESS = "never at rest"
    DEAD_LETTER = "dead letter"
    ERROR = "unexpected error"
    DISAGREEMENT = "the two judges disagree"
    """The model and the oracle do not call the same keys wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing gone wrong. `excused` names the documented exception it falls under, empty for none."""

    failure: Failure
    key: str
    text: str
    excused: str = ""

    def __str__(self) -> str:
        return f"{self.failure}: {self.text}" + (f" [{self.excused}]" if self.excused else "")


class Act:
    """What a user did: wrote `content`, or with an empty one deleted. `time` is S3's, in whole seconds."""

    __slots__ = ("body", "by", "content", "etag", "number", "side", "time")

    def __init__(self, number: int, side: str, content: str, body: bytes, time: int, etag: str) -> None:
        self.number = number
        self.side = side
        self.content = content
        self.body = body
        self.time = time
        self.etag = etag
        self.by: list[Act] = []

    def __repr__(self) -> str:
        return f"{self.side}:{self.content or 'deletion'}"


Rule = Callable[[Act, Act], bool]


def newest(a: Act, b: Act) -> bool:
    """Does `a` win over `b`? By S3's time, ties to `cn`, then to the higher ETag."""
    return (a.time, a.side == "cn", a.etag) > (b.time, b.side == "cn", b.etag)


class KeyModel:
    """All acts on one key, and which of them each side shows."""

    __slots__ = (
        "acts",
        "contents",
        "crossed",
        "echoes",
        "expired",
        "expires",
        "forged",
        "forgotten",
        "held",
        "key",
        "losers",
        "misled",
        "overruled",
        "present",
        "rule",
        "seen",
        "spared",
        "twice",
        "uncopied",
        "unheard",
        "unmet",
        "unread",
        "unrecognised",
        "unrecorded",
    )

    def __init__(self, key: str, rule: Rule, *, expires: bool = False) -> None:
        self.key = key
        self.rule = rule
        self.expires = expires
        """Lifecycle rules forbid the finder to delete."""
        self.acts: list[Act] = []
        self.contents: dict[str, list[Act]] = {}
        self.seen: dict[str, Act | None] = {"cn": None, "global": None}
        self.present = {"cn": False, "global": False}
        self.expired: dict[str, set[str]] = {"cn": set(), "global": set()}
        self.losers: set[str] = set()
        self.spared: set[str] = set()
        """Losers of a conflict against a version that users had replaced or deleted before its copy was written: they
        may survive, as if that had come before the conflict."""
        self.echoes: list[tuple[str, str]] = []
        self.held: dict[str, set[str]] = {"cn": set(), "global": set()}
        self.twice: set[str] = set()
        """Contents that a worker wrote to a side which had held them before."""
        self.unheard: set[str] = set()
        """Contents of whose arrival or removal an event was lost."""
        self.unread: set[str] = set()
        """Contents whose copy a user replaced or deleted before the side's ledger knew it."""
        self.unmet: set[str] = set()
        """Seeded contents that a user replaced or deleted before the side's ledger knew them."""
        self.overruled: dict[str, Excuse] = {}
        """Contents over which a worker wrote what they had replaced, and the exception that this falls under."""
        self.unrecognised: set[str] = set()
        self.unrecorded: set[str] = set()
        """Contents that a user replaced or deleted where they were written, before the side's ledger knew a copy."""
        self.crossed: set[str] = set()
        """Contents of a side that the other one showed while this side showed one of the other's."""
        self.misled: set[str] = set()
        """Contents that a user replaced or deleted where a forged event had raised the order of the key's events."""
        self.uncopied: set[str] = set()
        """Contents that expired while the peer had never held them."""
        self.forged = False
        """Forged events named the key."""
        self.forgotten: set[str] = set()
        """Sides whose ledger lost what it knew of the key."""

    def user(self, side: str, content: str, body: bytes, time: int, etag: str) -> None:
        """A user writes (or, with empty content, deletes) what is on this side now (an upload: then)."""
        act = Act(len(self.acts), side, content, body, time, etag)
        last = self.seen[side]
        if last is not None:
            last.by.append(act)
            self.spared -= {each.content for each in self.acts if each is last or reaches(each, last)}
        if content:
            self.contents.setdefault(content, []).append(act)
            self.held[side].add(content)
        self.acts.append(act)
        self.seen[side] = act
        self.present[side] = bool(content)

    def seed(self, side: str, content: str, body: bytes, time: int, etag: str) -> None:
        """Both sides hold the same object from before. `side` is where the rule looks for its time."""
        act = Act(len(self.acts), side, content, body, time, etag)
        self.contents[content] = [act]
        self.acts.append(act)
        for each in PEER:
            self.held[each].add(content)
            self.seen[each] = act
            self.present[each] = True

    def expire(self, side: str) -> None:
        """A lifecycle rule takes the object from this side: no user's act."""
        seen = self.seen[side]
        if seen is not None:
            self.expired[side].add(seen.content)
            if seen.content not in self.held[PEER[side]]:
                self.uncopied.add(seen.content)
        self.present[side] = False

    def worker_wrote(self, side: str, content: str) -> None:
        """A worker wrote a version over what this side shows."""
        acts = self.contents.get(content)
        if not acts:
            return
        if content in self.held[side]:
            self.twice.add(content)
        self.held[side].add(content)
        act = acts[-1]
        last = self.seen[side]
        if self.present[side] and last is not None and last is not act:
            if last.content == content:
                self.echoes.append((content, side))
            elif not reaches(last, act) and not reaches(act, last) and self.rule(act, last):
                known = any(reaches(a, act) for a in self.acts if a.body == last.body)
                if last.side != act.side and not known and not last.by:
                    # Of the other side, not replaced there, and not overwritten by a user who knew these bytes.
                    self.losers.add(last.content)
                if act.by and not last.by:
                    self.spared.add(last.content)
                last.by.append(act)
            elif reaches(act, last) and (why := self._why_overruled(act, last)):
                self.overruled[last.content] = why
        elif self.present[side] and last is act:
            self.echoes.append((content, side))
        self.seen[side] = act
        self.present[side] = True
        there = self.seen[PEER[side]]
        if there is not None and self.present[PEER[side]] and act.side != side == there.side:
            self.crossed |= {content, there.content}

    def _why_overruled(self, act: Act, last: Act) -> Excuse | None:
        """Return why `act` may win over `last`, which a user wrote over it."""
        there = Act(act.number, PEER[last.side], act.content, act.body, act.time, act.etag)
        if act.content in self.unmet and self.rule(there, last):  # both sides held it: it is the other side's as well
            return Excuse.NEVER_MET
        return Excuse.NO_LATER if act.content in self.unread and _loses(self, act, last) else None

    def worker_deleted(self, side: str) -> None:
        """A worker deleted what this side shows. Who then writes here has seen it gone."""
        self.present[side] = False

    def tips(self) -> list[Act]:
        """The acts that nothing replaced (or only what they replace in turn: times of uploads may run in circles)."""
        return [a for a in self.acts if all(reaches(b, a) for b in descendants(a))]


def descendants(act: Act) -> set[Act]:
    """All acts that replace `act`, directly or not."""
    found: set[Act] = set()
    todo = list(act.by)
    while todo:
        a = todo.pop()
        if a not in found:
            found.add(a)
            todo.extend(a.by)
    return found


def reaches(a: Act, b: Act) -> bool:
    """Return True if `a` was replaced by `b`, directly or not."""
    if not a.by:
        return False
    return b in a.by or b in descendants(a)


def judge(model: KeyModel, shown: dict[str, tuple[str, bytes] | None], *, strict: bool) -> list[Finding]:
    """What is wrong with what the sides show in the end: (content, body) or None.

    `strict`: times are comparable (no skew, no uploads), so that the winner among the tips is known.
    """
    key = model.key
    sides = dict(shown)
    for side, peer in (("cn", "global"), ("global", "cn")):
        other = sides[peer]
        if sides[side] is None and other is not None and other[0] in model.expired[side]:
            sides[side] = other  # expired here, kept there: what a user asked for
    tips = model.tips()
    excused = _excuse(model, tips, shown)
    story = f"{key!r}: cn={name(shown['cn'])} global={name(shown['global'])}, tips {tips}"
    found = []
    if sides["cn"] != sides["global"]:
        # With the same bytes on both only metadata differs; with lifecycle rules no finder removes what stands alone.
        alike = len({s[1] if s else None for s in sides.values()}) == 1 or (model.expires and None in sides.values())
        found.append(
            Finding(Failure.DIVERGED, key, story, "" if excused == Excuse.SAME_BYTES and not alike else excused)
        )
    for side in ("cn", "global"):
        left = sides[side]
        finding = _judge_one(model, tips, left, story, excused, strict)
        if finding is not None:
            found.append(finding)
            break
    for content, side in () if key == BESIDE else model.echoes:
        bodies = [a.body for a in model.acts]
        twice = Excuse.SAME_BYTES if bodies.count(model.contents[content][-1].body) > 1 else ""
        if not twice and model.forged:
            twice = Excuse.FORGED
        found.append(Finding(Failure.ECHO, key, f"{key!r}: {content} written to {side}, which held it", twice))
    return found


def judge_kept(base: KeyModel, key: str, shown: dict[str, tuple[str, bytes] | None]) -> list[Finding]:
    """What is wrong with a conflict's kept loser, which no user wrote under this name."""
    found = []
    if shown["cn"] != shown["global"]:
        text = f"{key!r}: cn={name(shown['cn'])} global={name(shown['global'])}"
        found.append(Finding(Failure.DIVERGED, key, text))
    for held in shown.values():
        if held is not None and not any(a.body == held[1] for a in base.contents.get(held[0], ())):
            found.append(Finding(Failure.FOREIGN, key, f"{key!r}: {name(held)}"))
    return found


def _excuse(model: KeyModel, tips: list[Act], shown: dict[str, tuple[str, bytes] | None]) -> str:
    """The documented exception that a key's history falls under, empty for none."""
    stale = {s[0] for s in shown.values() if s} - {a.content for a in tips}
    if any(a.content in model.uncopied for a in tips) or (stale and stale <= model.uncopied):
        return Excuse.EXPIRED
    involved = {s[1] for s in shown.values() if s} | {a.body for a in tips if a.content}
    if any(sum(a.body == body for a in model.acts) > 1 for body in involved):
        return Excuse.SAME_BYTES
    if stale and stale <= model.unrecognised:
        return Excuse.UNRECOGNISED
    if stale and stale <= model.unread and all(_no_later(model, content, tips) for content in stale):
        return Excuse.NO_LATER
    if stale and stale <= (model.unread if model.expires else model.unread & model.twice):
        return Excuse.UNPROVEN
    if model.forged and any(tip.content in model.expired[side] for tip in tips for side in PEER):
        return Excuse.FORGED_EXPIRY
    gone = not any(tip.content for tip in tips)
    both = {tip.side for tip in tips} == {"cn", "global"}
    if stale and gone and stale <= model.crossed | (model.unread | model.unrecorded if both else set()):
        return Excuse.CROSSED
    if stale and stale <= model.misled & model.twice:
        return Excuse.FORGED
    if stale and stale <= model.unheard & model.twice:
        return Excuse.EVENT_LOST
    if stale and stale <= model.unmet:
        return Excuse.NEVER_MET
    lost = {a.content for a in tips if a.content} - {s[0] for s in shown.values() if s}
    if lost and lost <= model.overruled.keys():
        return model.overruled[min(lost)]
    if stale and len(model.forgotten) == 2 and all(_copy_replaced(model, content) for content in stale):
        return Excuse.LEDGERS_LOST
    return ""


def _copy_replaced(model: KeyModel, content: str) -> bool:
    """Was it the copy that a user replaced or deleted? Of an original the other side's copy bears the proof."""
    act = model.contents[content][-1]
    return any(b.side != act.side for b in act.by)


def _no_later(model: KeyModel, content: str, tips: list[Act]) -> bool:
    """Return True if all that replaced it, and are left, would lose against it had they not known it."""
    act = model.contents[content][-1]
    over = [tip for tip in tips if tip.content and reaches(act, tip)]
    return bool(over) and all(_loses(model, act, tip) for tip in over)


def _loses(model: KeyModel, act: Act, tip: Act) -> bool:
    """Return True if `tip`, which replaced `act`, would lose a conflict against it."""
    return tip.time <= act.time or (bool(model.forgotten) and model.rule(act, tip))


def _judge_one(
    model: KeyModel, tips: list[Act], left: tuple[str, bytes] | None, story: str, excused: str, strict: bool
) -> Finding | None:
    key = model.key
    writes = [a for a in tips if a.content and a.content not in model.expired[a.side]]
    if left is None:
        return Finding(Failure.EDIT_LOST, key, story, excused) if writes else None
    content, body = left
    acts = model.contents.get(content, [])
    if not any(a.body == body for a in acts):
        return Finding(Failure.FOREIGN, key, f"{story}: {content!r} with body {body[:24]!r}", excused)
    if content not in model.spared and not any(a.content == content for a in tips):
        after = descendants(acts[-1])
        over = [a for a in tips if a in after]
        gone = over and not any(a.content for a in over)
        return Finding(Failure.UNDONE if gone else Failure.STALE_BACK, key, story, excused)
    if strict and writes:
        best = writes[0]
        for a in writes[1:]:
            if model.rule(a, best):
                best = a
        if best.content != content:
            return Finding(Failure.WRONG_WINNER, key, f"{story}: {best} should have won", excused)
    return None


def name(shown: tuple[str, bytes] | None) -> str:
    """For messages."""
    return shown[0] if shown else "nothing"
