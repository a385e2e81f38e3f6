"""Those who write to the buckets: they act, and the reference model is told what they saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync.conflict_copy import is_conflict_name
from tests.simulation.histories.model import BESIDE, Failure, Finding, KeyModel, Rule, judge, judge_kept, newest
from tests.simulation.histories.plan import Modes, Op
from tests.simulation.histories.world import DEDICATED, ROLES, USERS, SimulatedWorld
from tests.simulation.oracle import KeyHistory
from tests.support.fakes.notification import Event
from tests.support.fakes.store import Store, Version

SEEDED_PART = 10
"""Bytes of a part of what was uploaded before by another tool."""
WORKERS = frozenset((*DEDICATED.values(), *(f"{r}:i-0" for r in ROLES.values())))


def preferring(side: str) -> Rule:
    """The rule where a side is preferred."""
    return lambda a, b: a.side == side if a.side != b.side else newest(a, b)


RULES: dict[str, Rule] = {
    "newest": newest,
    "prefer-cn": preferring("cn"),
    "prefer-global": preferring("global"),
}


class Users:
    """Acts of users on both sides. Content is named in the metadata `w`, and its bytes are made of the name."""

    def __init__(self, world: SimulatedWorld, modes: Modes) -> None:
        self.world = world
        self.rule = RULES[modes.policy]
        self.models: dict[str, KeyModel] = {}
        self.oracle: dict[str, KeyHistory] = {}
        """The second judge, which must find the same keys wrong."""
        self._preferred = modes.policy.removeprefix("prefer-") if modes.policy != "newest" else ""
        self.changed: dict[str, tuple[str, str]] = {}
        self.told: dict[tuple[str, str], tuple[str, str]] = {}
        self.seeded: set[tuple[str, str]] = set()
        """Keys and contents that both sides held before."""
        self.writes = 0
        self.deletes = 0
        self._copies = 3 if modes.parts else 1
        for side, store in world.stores.items():
            store.watch = self._watcher(side, store)
            if modes.beside:
                store.put(world.prefix(side) + BESIDE, b"keep", USERS[side], named("keep"))

    def do(self, op: Op) -> None:
        """One act, in an instant."""
        store = self.world.stores[op.side]
        user = USERS[op.side]
        if op.kind == "put":
            store.put(op.key, self.body(op), user, named(op.content))
        elif op.kind == "seed":
            self._seed(op)
        elif op.kind == "copy":
            store.copy(op.source, op.key, user)
        elif op.kind == "retouch":
            store.copy(op.key, op.key, user, named(op.content))
        elif op.kind == "delete":
            self._delete_expired(op.side, op.key)
            store.delete(op.key, user)
        elif op.kind == "purge":
            former = [v for v in store.keys.get(op.key, ())[:-1] if not v.marker]
            if former:
                store.remove_version(op.key, former[-1].version_id, user)
        elif op.kind == "expire":
            store.expire(op.key)
        elif op.kind in ("undelete", "unversion"):
            versions = store.keys.get(op.key)
            if versions and versions[-1].marker == (op.kind == "undelete"):
                store.remove_version(op.key, versions[-1].version_id, user)
        else:
            raise ValueError(f"unknown act {op.kind!r}")

    def _seed(self, op: Op) -> None:
        """Fill both buckets with the same object without any event, as before the pair; the peer's in parts."""
        relative = self.world.relative(op.side, op.key)
        if relative is None:
            raise ValueError(f"{op.key!r} is outside of the prefix")
        attributes = replace(named(op.content), checksum="crc64nvme:" if any(self.world.modes.kms) else "")
        body = self.body(op)
        for side, store in self.world.stores.items():
            key, watch, emit = self.world.prefix(side) + relative, store.watch, store.emit
            store.watch = store.emit = None
            if side == op.side or not self.world.modes.parts:
                store.put(key, body, USERS[side], attributes)
            else:
                upload = store.create_upload(key, attributes, checksum=attributes.checksum.rstrip(":"))
                for number, at in enumerate(range(0, len(body), SEEDED_PART), 1):
                    store.put_part(upload, number, body[at : at + SEEDED_PART])
                store.complete_upload(upload, USERS[side])
            store.watch, store.emit = watch, emit
        current = self.world.stores[op.side].current(self.world.prefix(op.side) + relative)
        if current is not None:
            seen = current.seen
            self.model(relative).seed(op.side, op.content, current.body, seen.modified, seen.etag)
            self.oracle[relative] = self.history(relative).seed(
                op.side, op.content, seen.modified, seen.etag, current.body
            )
            self.seeded.add((relative, op.content))

    def _delete_expired(self, side: str, key: str) -> None:
        """Who puts a delete marker over what a lifecycle rule took deletes what the other side still shows."""
        store, relative = self.world.stores[side], self.world.relative(side, key)
        if relative is None or store.current(key) is not None or not store.keys.get(key):
            return
        model = self.model(relative)
        seen = model.seen[side]
        if seen is not None and seen.content in model.expired[side]:
            model.user(side, "", b"", store.now(), "")
            self.oracle[relative] = self.history(relative).user_deleted(side)

    def begin(self, op: Op) -> str:
        """Start an upload: its id."""
        return self.world.stores[op.side].create_upload(op.key, named(op.content))

    def complete(self, op: Op, upload: str) -> None:
        """Two parts and the completion, which replaces what is there then, as on any bucket."""
        store = self.world.stores[op.side]
        body = self.body(op)
        half = len(body) // 2
        store.put_part(upload, 1, body[:half])
        store.put_part(upload, 2, body[half:])
        store.complete_upload(upload, USERS[op.side])

    def body(self, op: Op) -> bytes:
        """All bodies have one size: nothing can be told from it."""
        return f"<{op.bytes_of or op.content:>6}>".encode() * self._copies

    def model(self, key: str) -> KeyModel:
        """What is known of this key."""
        found = self.models.get(key)
        if found is None:
            found = self.models[key] = KeyModel(key, self.rule, expires=self.world.modes.expires)
            found.forged = bool(self.world.modes.forge)
        return found

    def history(self, key: str) -> KeyHistory:
        """Return what the second judge has seen of this key."""
        return self.oracle.get(key) or KeyHistory(self._preferred)

    def judge(self, *, strict: bool) -> list[Finding]:
        """What is wrong now."""
        findings = []
        stores = self.world.stores
        kept: dict[str, set[str]] = {}
        held = (self.world.relative(side, key) for side, store in stores.items() for key in store.keys)
        for key in sorted({key for key in held if key is not None} | set(self.models)):
            shown = {side: show(store.current(self.world.prefix(side) + key)) for side, store in stores.items()}
            base = self._kept_for(key)
            if base is not None:
                kept.setdefault(base.key, set()).update(s[0] for s in shown.values() if s)
                findings.extend(judge_kept(base, key, shown))
                continue
            found = judge(self.model(key), shown, strict=strict)
            findings.extend(found)
            broken = self.history(key).wrong(shown, comparable=strict, echoes=key != BESIDE)
            if bool(found) != bool(broken):
                text = f"{key!r}: the model finds {[str(f) for f in found]}, the oracle {broken}"
                findings.append(Finding(Failure.DISAGREEMENT, key, text))
        if self.world.modes.keep_loser:
            for model in self.models.values():
                missing = model.losers - kept.get(model.key, set())
                findings.extend(Finding(Failure.NOT_KEPT, model.key, f"{model.key!r}: {c}") for c in sorted(missing))
        return findings

    def _kept_for(self, key: str) -> KeyModel | None:
        """The model of the key whose conflict's loser this is, if no user ever wrote here."""
        if not is_conflict_name(key) or (key in self.models and self.models[key].acts):
            return None
        return self.models.get(key.rpartition(".conflict-")[0])

    def _note_unread(self, side: str, key: str, model: KeyModel, before: Version) -> None:
        """A user replaced or deleted a copy: note whether its side's ledger knew it, and whether more can be learnt.

        A ledger with a sequencer that S3 has not reached yet has believed a forged event.
        """
        stamp = before.seen.stamp
        entry = self.world.tables[side].entries.get(model.key)
        agreed = entry.synced if entry is not None else None
        if entry is not None and entry.sequencer > normalise(self.world.stores[side].last_sequencer):
            model.misled.add(content_of(before))
        if agreed is None and (model.key, content_of(before)) in self.seeded:
            model.unmet.add(content_of(before))
        if agreed is not None and agreed.local.etag == before.seen.etag:
            return
        if stamp is None:
            model.unrecorded.add(content_of(before))
            return
        model.unread.add(content_of(before))
        gone = before.version_id == "null" or self.world.stores[side].version(key, before.version_id) is None
        if gone and stamp.version.shown[0] != before.seen.etag:
            model.unrecognised.add(content_of(before))

    def lost(self, side: str, events: Iterable[Event]) -> None:
        """Lose these events."""
        for event in events:
            key, content = self.told[side, event.sequencer]
            if key:
                self.model(key).unheard.add(content)

    def tell(self, side: str, event: Event) -> None:
        """An event of the change just made: remember which version it is about."""
        self.told[side, event.sequencer] = self.changed[side]

    def forgot(self, side: str, before: dict[str, LedgerEntry], after: dict[str, LedgerEntry]) -> None:
        """A side's ledger was lost, or replaced by an old copy."""
        for key, entry in before.items():
            if after.get(key) != entry:
                self.model(key).forgotten.add(side)

    def _watcher(self, side: str, store: Store):  # type: ignore[no-untyped-def]
        world = self.world
        propagate = world.modes.expiry == "propagate"

        def watch(key: str, before: Version | None, now: Version | None, principal: str) -> None:
            relative = world.relative(side, key)
            version = now or before
            self.changed[side] = (relative or "", content_of(version) if version else "")
            if relative is None:
                return
            model = self.model(relative)
            history = self.history(relative)
            if principal in WORKERS:
                if now is not None:
                    self.writes += 1
                    model.worker_wrote(side, content_of(now))
                    self.oracle[relative] = history.worker_wrote(side, content_of(now))
                elif before is not None:
                    self.deletes += 1
                    model.worker_deleted(side)
                    self.oracle[relative] = history.worker_deleted(side)
                return
            if before is now:
                return  # a former version or marker was removed: nothing to see
            if before is not None:
                self._note_unread(side, key, model, before)
            if principal == "s3.amazonaws.com" and not propagate:
                model.expire(side)
                self.oracle[relative] = history.expire(side)
            elif now is not None:
                seen, second = now.seen, second_of(model, side, before, now)
                model.user(side, content_of(now), now.body, second, seen.etag)
                self.oracle[relative] = history.user_wrote(side, content_of(now), second, seen.etag, now.body)
            elif before is not None:
                model.user(side, "", b"", store.now(), "")
                self.oracle[relative] = history.user_deleted(side)

        return watch


def second_of(model: KeyModel, side: str, before: Version | None, now: Version) -> int:
    """When a user wrote what is there now. What only its metadata tells from what it replaced counts as a second later.

    S3 shows both with the same ETag and the same time.
    """
    second, replaced = now.seen.modified, model.seen[side]
    if before is None or replaced is None or (before.seen.etag, before.seen.modified) != (now.seen.etag, second):
        return second
    return max(second, replaced.time) + 1


def named(content: str) -> Attributes:
    """Attributes that say which write this is."""
    return Attributes(content_type="text/plain", metadata=(("w", content),))


def content_of(version: Version) -> str:
    """The write's name."""
    for name, value in version.seen.attributes.metadata:
        if name == "w":
            return value
    return "?"


def show(version: Version | None) -> tuple[str, bytes] | None:
    """As the model's judge wants it."""
    return (content_of(version), version.body) if version else None
