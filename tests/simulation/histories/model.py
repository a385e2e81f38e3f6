"""The reference model: what every user wrote, and had seen when writing. It judges the end without any sync algorithm.

A user's act on a key (a write or a deletion) *replaces* what the user's side showed at that moment. A worker's write
that correctly resolves a conflict makes the loser *replaced* by the winner. An act that no other act replaces is a
tip. Only tips may survive.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.histories.findings import Excuse, Failure, Finding

PEER = {"cn": "global", "global": "cn"}
BESIDE = "~beside"
"""Key of an object that is on both sides from the start."""


class Act:
    """An act of a user: a write of `content`, or a deletion if it is empty. `time` is S3's, in whole seconds.

    A restored version has its old time there. `restored` is the latest second that it may count as, 0 for other acts.
    """

    __slots__ = ("body", "content", "etag", "number", "replaced_by", "restored", "side", "time")

    def __init__(
        self, number: int, side: str, content: str, body: bytes, time: int, etag: str, restored: int = 0
    ) -> None:
        self.number = number
        self.side = side
        self.content = content
        self.body = body
        self.time = time
        self.etag = etag
        self.restored = restored
        self.replaced_by: list[Act] = []

    def __repr__(self) -> str:
        return f"{self.side}:{self.content or 'deletion'}"


Rule = Callable[[Act, Act], bool]


def newest(a: Act, b: Act) -> bool:
    """Return True if `a` wins over `b`: by S3's time, then side `cn`, then the higher ETag."""
    return (a.time, a.side == "cn", a.etag) > (b.time, b.side == "cn", b.etag)


class KeyModel:
    """All acts on one key, and the act whose result each side shows."""

    __slots__ = (
        "acts",
        "contents",
        "crossed",
        "deleted_copies",
        "echoes",
        "event_late",
        "event_lost",
        "expired",
        "expires",
        "forged",
        "forged_arrival",
        "forged_order",
        "held",
        "key",
        "ledger_lost",
        "losers",
        "may_survive",
        "one_second",
        "overruled",
        "present",
        "removed_by_id",
        "rule",
        "seeded",
        "seeded_unrecorded",
        "seen",
        "uncopied",
        "unrecognised",
        "unrecorded_copies",
        "unrecorded_originals",
        "unrecorded_writes",
        "written_twice",
    )

    def __init__(self, key: str, rule: Rule, *, expires: bool = False) -> None:
        self.key = key
        self.rule = rule
        self.expires = expires
        """True if lifecycle rules forbid the finder to delete."""
        self.acts: list[Act] = []
        self.contents: dict[str, list[Act]] = {}
        self.seen: dict[str, Act | None] = {"cn": None, "global": None}
        self.present = {"cn": False, "global": False}
        self.expired: dict[str, set[str]] = {"cn": set(), "global": set()}
        self.losers: set[str] = set()
        self.may_survive: set[str] = set()
        """Losers against a version that users had replaced or deleted before its copy was written. They may survive, as
        if that had happened before the conflict."""
        self.echoes: list[tuple[str, str]] = []
        self.held: dict[str, set[str]] = {"cn": set(), "global": set()}
        self.written_twice: set[str] = set()
        """Contents that a worker wrote to a side that had held them before."""
        self.event_late: set[str] = set()
        """Contents of which an event was delivered minutes later."""
        self.event_lost: set[str] = set()
        """Contents of which an event was lost, of their arrival or their removal."""
        self.unrecorded_copies: set[str] = set()
        """Contents whose copy a user replaced or deleted before the side's ledger recorded it."""
        self.seeded: set[str] = set()
        """Contents that both sides hold from the start."""
        self.seeded_unrecorded: set[str] = set()
        """Seeded contents that a user replaced or deleted before the side's ledger recorded them."""
        self.overruled: dict[str, Excuse] = {}
        """Contents over which a worker wrote a version that they had replaced, with the exception that applies."""
        self.unrecorded_writes: set[str] = set()
        """Contents whose copy a user replaced or deleted before the ledger of the side that wrote it recorded it."""
        self.unrecognised: set[str] = set()
        self.unrecorded_originals: set[str] = set()
        """Contents that a user replaced or deleted on their own side before its ledger recorded a copy."""
        self.crossed: set[str] = set()
        """Contents of both sides that were shown by the respective other side at the same time."""
        self.forged_order: set[str] = set()
        """Contents that a user replaced or deleted where a forged event has raised the key's highest sequencer."""
        self.deleted_copies: set[tuple[str, str, int]] = set()
        """Copies that users deleted or replaced where no version of them is kept: side, content and LastModified."""
        self.one_second: set[str] = set()
        """Contents of `deleted_copies` that a worker wrote again with the same LastModified."""
        self.forged_arrival: set[str] = set()
        """Contents that a user replaced or deleted before their time proved that they had arrived, where objects expire
        and events may be forged."""
        self.uncopied: set[str] = set()
        """Contents that expired before the peer held them."""
        self.removed_by_id: set[str] = set()
        """Contents whose current version a user removed by its id."""
        self.forged = False
        """True if forged events may name the key."""
        self.ledger_lost: set[str] = set()
        """Sides whose ledger lost its entry of the key."""

    def user(self, side: str, content: str, body: bytes, time: int, etag: str, restored: int = 0) -> None:
        """Record that a user writes over what this side shows or, with empty content, deletes it.

        For a version that the user restored, `restored` is the latest second that it may count as.
        """
        act = Act(len(self.acts), side, content, body, time, etag, restored)
        last = self.seen[side]
        if last is not None:
            last.replaced_by.append(act)
            self.may_survive -= {each.content for each in self.acts if each is last or reaches(each, last)}
        if content:
            self.contents.setdefault(content, []).append(act)
            self.held[side].add(content)
        self.acts.append(act)
        self.seen[side] = act
        self.present[side] = bool(content)

    def seed(self, side: str, content: str, body: bytes, time: int, etag: str) -> None:
        """Record that both sides hold the same object from the start; the rule takes `time` as that of `side`."""
        act = Act(len(self.acts), side, content, body, time, etag)
        self.contents[content] = [act]
        self.seeded.add(content)
        self.acts.append(act)
        for each in PEER:
            self.held[each].add(content)
            self.seen[each] = act
            self.present[each] = True

    def expire(self, side: str) -> None:
        """Record that a lifecycle rule deletes the object on this side, which is not an act of a user."""
        seen = self.seen[side]
        if seen is not None:
            self.expired[side].add(seen.content)
            if seen.content not in self.held[PEER[side]]:
                self.uncopied.add(seen.content)
        self.present[side] = False

    def worker_wrote(self, side: str, content: str) -> None:
        """Record that a worker wrote a version over what this side shows."""
        acts = self.contents.get(content)
        if not acts:
            return
        if content in self.held[side]:
            self.written_twice.add(content)
        self.held[side].add(content)
        act = acts[-1]
        last = self.seen[side]
        if self.present[side] and last is not None and last is not act:
            if last.content == content:
                self.echoes.append((content, side))
            elif not reaches(last, act) and not reaches(act, last) and self.may_win(act, last):
                known = any(reaches(a, act) for a in self.acts if a.body == last.body)
                if last.side != act.side and not known and not last.replaced_by:
                    # Of the other side, not replaced there, and not overwritten by a user who had seen its bytes.
                    self.losers.add(last.content)
                if act.replaced_by and not last.replaced_by:
                    self.may_survive.add(last.content)
                last.replaced_by.append(act)
            elif reaches(act, last) and (why := self._why_overruled(act, last)):
                self.overruled[last.content] = why
        elif self.present[side] and last is act:
            self.echoes.append((content, side))
        self.seen[side] = act
        self.present[side] = True
        there = self.seen[PEER[side]]
        if there is not None and self.present[PEER[side]] and act.side != side == there.side:
            self.crossed |= {content, there.content}

    def may_win(self, a: Act, b: Act) -> bool:
        """Return True if `a` may win over `b`: a restored version counts with its old time, or as written just then."""
        if self.rule(a, b):
            return True
        return bool(a.restored) and self.rule(Act(a.number, a.side, a.content, a.body, a.restored, a.etag), b)

    def _why_overruled(self, act: Act, last: Act) -> Excuse | None:
        """Return why `act` may win over `last`, which a user wrote over it."""
        there = Act(act.number, PEER[last.side], act.content, act.body, act.time, act.etag)
        # Both sides held a seeded object, so it also counts as the peer's.
        if act.content in self.seeded_unrecorded and self.rule(there, last):
            return Excuse.NEVER_MET
        return Excuse.NO_LATER if act.content in self.unrecorded_copies and _loses(self, act, last) else None

    def worker_deleted(self, side: str) -> None:
        """Record that a worker deleted what this side shows. A user who writes here later has seen the deletion."""
        self.present[side] = False

    def tips(self) -> list[Act]:
        """Return the acts that only acts replaced which they replace in turn: times of uploads allow cycles."""
        return [a for a in self.acts if all(reaches(b, a) for b in descendants(a))]


def descendants(act: Act) -> set[Act]:
    """Return all acts that replace `act`, directly or indirectly."""
    found: set[Act] = set()
    todo = list(act.replaced_by)
    while todo:
        a = todo.pop()
        if a not in found:
            found.add(a)
            todo.extend(a.replaced_by)
    return found


def reaches(a: Act, b: Act) -> bool:
    """Return True if `a` was replaced by `b`, directly or indirectly."""
    if not a.replaced_by:
        return False
    return b in a.replaced_by or b in descendants(a)


def judge(model: KeyModel, shown: dict[str, tuple[str, bytes] | None], *, strict: bool) -> list[Finding]:
    """Return what is wrong with what the sides show at the end: (content, body), or None for no object.

    `strict` is True if times are comparable (no skew, no uploads), so that the winner among the tips is determined.
    """
    key = model.key
    sides = dict(shown)
    for side, peer in (("cn", "global"), ("global", "cn")):
        other = sides[peer]
        if sides[side] is None and other is not None and other[0] in model.expired[side]:
            sides[side] = other  # expired on this side and kept at the peer, as documented
    tips = model.tips()
    excused = _excuse(model, tips, shown)
    story = f"{key!r}: cn={name(shown['cn'])} global={name(shown['global'])}, tips {tips}"
    found = []
    if sides["cn"] != sides["global"]:
        # With equal bytes, only metadata differs. With lifecycle rules, no finder removes an object of one side alone.
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
    """Return what is wrong with a conflict copy, which no user wrote under this name."""
    found = []
    if shown["cn"] != shown["global"]:
        text = f"{key!r}: cn={name(shown['cn'])} global={name(shown['global'])}"
        found.append(Finding(Failure.DIVERGED, key, text))
    for held in shown.values():
        if held is not None and not any(a.body == held[1] for a in base.contents.get(held[0], ())):
            found.append(Finding(Failure.FOREIGN, key, f"{key!r}: {name(held)}"))
    return found


def _excuse(model: KeyModel, tips: list[Act], shown: dict[str, tuple[str, bytes] | None]) -> str:
    """Return the documented exception that applies to a key's history; empty for none."""
    stale = {s[0] for s in shown.values() if s} - {a.content for a in tips}
    if any(a.content in model.uncopied for a in tips) or (stale and stale <= model.uncopied):
        return Excuse.EXPIRED
    involved = {s[1] for s in shown.values() if s} | {a.body for a in tips if a.content}
    if any(sum(a.body == body for a in model.acts) > 1 for body in involved):
        return Excuse.SAME_BYTES
    if stale and stale <= model.unrecognised:
        return Excuse.UNRECOGNISED
    if stale and all(
        (content in model.unrecorded_copies | model.unrecorded_writes or _proof_lost(model, content))
        and _no_later(model, content, tips)
        for content in stale
    ):
        return Excuse.NO_LATER
    unproven = model.unrecorded_copies & model.written_twice
    if model.expires:
        unproven = model.unrecorded_copies | model.unrecorded_originals
    if stale and stale <= unproven:
        return Excuse.UNPROVEN
    if model.forged and any(tip.content in model.expired[side] for tip in tips for side in PEER):
        return Excuse.FORGED_EXPIRY
    gone = not any(tip.content for tip in tips)
    both = {tip.side for tip in tips} == {"cn", "global"}
    if stale and gone and both and stale <= model.crossed | model.unrecorded_copies | model.unrecorded_originals:
        return Excuse.CROSSED
    if stale and stale <= model.removed_by_id & model.written_twice:
        return Excuse.REMOVED_BY_ID
    if stale and stale <= model.one_second:
        return Excuse.ONE_SECOND
    believed = model.forged_order
    if model.forged:
        believed = set(model.contents) if model.ledger_lost else believed | model.event_late
    if stale and stale <= believed & (model.written_twice | model.unrecorded_originals):
        return Excuse.FORGED
    if stale and stale <= model.forged_arrival:
        return Excuse.FORGED_ARRIVAL
    if stale and stale <= model.written_twice and all(_event_lost(model, content) for content in stale):
        return Excuse.EVENT_LOST
    if stale and stale <= model.seeded_unrecorded:
        return Excuse.NEVER_MET
    lost = {a.content for a in tips if a.content} - {s[0] for s in shown.values() if s}
    if lost and lost <= model.overruled.keys():
        return model.overruled[min(lost)]
    if stale and len(model.ledger_lost) == 2 and all(_copy_replaced(model, content) for content in stale):
        return Excuse.LEDGERS_LOST
    return ""


def _event_lost(model: KeyModel, content: str) -> bool:
    """Return True if an event of the content was lost, or one of what replaced it."""
    after = {act.content for act in descendants(model.contents[content][-1])}
    return bool(model.event_lost & (after | {content}))


def _proof_lost(model: KeyModel, content: str) -> bool:
    """Return True if the content's own side has lost its ledger; both sides own what they hold from the start."""
    return bool(model.ledger_lost) if content in model.seeded else model.contents[content][-1].side in model.ledger_lost


def _copy_replaced(model: KeyModel, content: str) -> bool:
    """Return True if a user replaced or deleted the copy. For an original, the other side's copy is the proof.

    An object that both sides held from the start is no worker's copy on either.
    """
    act = model.contents[content][-1]
    return any(b.side != act.side or content in model.seeded for b in act.replaced_by)


def _no_later(model: KeyModel, content: str, tips: list[Act]) -> bool:
    """Return True if all tips that replaced the content would lose a conflict against it."""
    act = model.contents[content][-1]
    over = [tip for tip in tips if tip.content and reaches(act, tip)]
    return bool(over) and all(_loses(model, act, tip) for tip in over)


def _loses(model: KeyModel, act: Act, tip: Act) -> bool:
    """Return True if `tip`, which replaced `act`, would lose a conflict against it."""
    return tip.time <= act.time or model.rule(act, tip)


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
    if content not in model.may_survive and not any(a.content == content for a in tips):
        after = descendants(acts[-1])
        over = [a for a in tips if a in after]
        gone = over and not any(a.content for a in over)
        return Finding(Failure.UNDONE if gone else Failure.STALE_BACK, key, story, excused)
    if strict and writes:
        best = writes[0]
        for a in writes[1:]:
            if model.rule(a, best):
                best = a
        if best.content != content and not any(a.content == content and not model.rule(best, a) for a in writes):
            return Finding(Failure.WRONG_WINNER, key, f"{story}: {best} should have won", excused)
    return None


def name(shown: tuple[str, bytes] | None) -> str:
    """Return the content's name, for messages."""
    return shown[0] if shown else "nothing"
