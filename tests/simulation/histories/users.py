"""Perform the acts of users on both buckets, and record in both judges what each user saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dualsync.runtime.model.arrival import is_in_parts
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync.conflict_copy import is_conflict_name
from tests.simulation.histories.findings import Failure, Finding
from tests.simulation.histories.model import BESIDE, PEER, KeyModel, Rule, judge, judge_kept, newest
from tests.simulation.histories.plan import Modes, Op
from tests.simulation.histories.world import DEDICATED, ROLES, USERS, SimulatedWorld
from tests.simulation.oracle import KeyHistory
from tests.support.fakes.notification import Event
from tests.support.fakes.store import Store
from tests.support.fakes.version import Version

SEEDED_PART = 10
"""Bytes per part of seeded objects, which another tool uploaded."""
WORKERS = frozenset((*DEDICATED.values(), *(f"{r}:i-0" for r in ROLES.values())))


def preferring(side: str) -> Rule:
    """Return the conflict rule by which versions of one side win."""
    return lambda a, b: a.side == side if a.side != b.side else newest(a, b)


RULES: dict[str, Rule] = {
    "newest": newest,
    "prefer-cn": preferring("cn"),
    "prefer-global": preferring("global"),
}


class Users:
    """Users of both sides. The metadata `w` names the content, whose bytes are made of the name."""

    def __init__(self, world: SimulatedWorld, modes: Modes) -> None:
        self.world = world
        self.rule = RULES[modes.policy]
        self.models: dict[str, KeyModel] = {}
        self.oracle: dict[str, KeyHistory] = {}
        """Histories for the oracle, the second judge, which must report the same keys as wrong."""
        self._preferred = modes.policy.removeprefix("prefer-") if modes.policy != "newest" else ""
        self.changed: dict[str, tuple[str, str]] = {}
        self.event_subjects: dict[tuple[str, str], tuple[str, str]] = {}
        self.seeded: set[tuple[str, str]] = set()
        """Keys and contents that both sides held before."""
        self._restores = False
        """True while a user removes a version, or a marker, over an older one."""
        self.writes = 0
        self.deletes = 0
        self._copies = 3 if modes.parts else 1
        for side, store in world.stores.items():
            store.watch = self._watcher(side, store)
            if modes.beside:
                store.put(world.prefix(side) + BESIDE, b"keep", USERS[side], named("keep"))

    def do(self, op: Op) -> None:
        """Perform one act at the current time."""
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
                self._restores = True
                store.remove_version(op.key, versions[-1].version_id, user)
                self._restores = False
        else:
            raise ValueError(f"unknown act {op.kind!r}")

    def _seed(self, op: Op) -> None:
        """Write the same object to both buckets without an event, on the peer in parts if the mode `parts` is set."""
        relative = self.world.relative(op.side, op.key)
        if relative is None:
            raise ValueError(f"key={op.key!r}: is outside the prefix")
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
        """Record a user's delete marker on an expired object, which deletes what the other side still shows."""
        store, relative = self.world.stores[side], self.world.relative(side, key)
        if relative is None or store.current(key) is not None or not store.keys.get(key):
            return
        model = self.model(relative)
        seen = model.seen[side]
        if seen is not None and seen.content in model.expired[side]:
            model.user(side, "", b"", store.now(), "")
            self.oracle[relative] = self.history(relative).user_deleted(side)

    def begin(self, op: Op) -> str:
        """Start an upload and return its id."""
        return self.world.stores[op.side].create_upload(op.key, named(op.content))

    def complete(self, op: Op, upload: str) -> None:
        """Upload two parts and complete the upload, which replaces the object that is there at that time."""
        store = self.world.stores[op.side]
        body = self.body(op)
        half = len(body) // 2
        store.put_part(upload, 1, body[:half])
        store.put_part(upload, 2, body[half:])
        store.complete_upload(upload, USERS[op.side])

    def body(self, op: Op) -> bytes:
        """Return the content of a write. All have one size, so that the size distinguishes none."""
        return f"<{op.bytes_of or op.content:>6}>".encode() * self._copies

    def model(self, key: str) -> KeyModel:
        """Return the reference model of a key."""
        found = self.models.get(key)
        if found is None:
            found = self.models[key] = KeyModel(key, self.rule, expires=self.world.modes.expires)
            found.forged = bool(self.world.modes.forge)
        return found

    def history(self, key: str) -> KeyHistory:
        """Return the oracle's history of a key."""
        return self.oracle.get(key) or KeyHistory(self._preferred)

    def judge(self, *, strict: bool) -> list[Finding]:
        """Return what is wrong now."""
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
            self._note_forged_order(self.model(key))
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
        """Return the model of the key whose conflict copy this is; None if it is none, or users wrote this key."""
        if not is_conflict_name(key) or (key in self.models and self.models[key].acts):
            return None
        return self.models.get(key.rpartition(".conflict-")[0])

    def _note_unrecorded(self, side: str, key: str, model: KeyModel, before: Version) -> None:
        """Record whether the side's ledger has the version that a user replaces or deletes, and whether S3 keeps it.

        A ledger whose sequencer is higher than S3's last one took a forged event for a real one. A ledger that knows a
        copy by a write's answer alone can't tell it from a second one.
        """
        stamp = before.seen.stamp
        removed = self.world.stores[side].version(key, before.version_id) is None
        gone = removed or before.version_id == "null"
        if stamp is not None and gone:
            model.deleted_copies.add((side, content_of(before), before.seen.modified))
        entry = self.world.tables[side].entries.get(model.key)
        writer = self.world.tables[PEER[side]].entries.get(model.key)
        if stamp is not None and (writer is None or writer.synced is None or writer.synced.version != stamp.version):
            model.unrecorded_writes.add(content_of(before))
        if removed and before.version_id not in ("", "null"):
            model.removed_by_id.add(content_of(before))
        synced = entry.synced if entry is not None else None
        if entry is not None and self._is_raised(side, entry):
            model.forged_order.add(content_of(before))
        soon = is_in_parts(before.seen.etag) or int(self.world.stores[side].now()) <= before.seen.modified
        if model.forged and model.expires and soon:
            model.forged_arrival.add(content_of(before))
        if synced is None and (model.key, content_of(before)) in self.seeded:
            model.seeded_unrecorded.add(content_of(before))
        opaque = stamp is not None and stamp.version.etag_and_modified[0] != before.seen.etag
        if entry is not None and synced is not None and synced.local.etag == before.seen.etag:
            timed = synced.local.modified is not None and not opaque
            if stamp is None or entry.first_event or timed:
                return
        if stamp is None:
            model.unrecorded_originals.add(content_of(before))
            return
        model.unrecorded_copies.add(content_of(before))
        if gone and opaque:
            model.unrecognised.add(content_of(before))

    def _note_forged_order(self, model: KeyModel) -> None:
        """Record what users replaced or deleted where a forged event has raised the order of the key's events.

        It may have been read after their act, and before the act's own event.
        """
        for side, table in self.world.tables.items():
            entry = table.entries.get(model.key)
            if model.forged and entry is not None and self._is_raised(side, entry):
                model.forged_order |= {a.content for a in model.acts for b in a.replaced_by if b.side == side}

    def _is_raised(self, side: str, entry: LedgerEntry) -> bool:
        """Return True if the entry took a forged event for a real one: its sequencer is higher than any of S3's."""
        return max(entry.sequencer, entry.last_deletion) > normalise(self.world.stores[side].last_sequencer)

    def record_lost_events(self, side: str, events: Iterable[Event]) -> None:
        """Record that these events are not delivered."""
        for model, content in self._subjects(side, events):
            model.event_lost.add(content)

    def record_late_events(self, side: str, events: Iterable[Event]) -> None:
        """Record that these events are delivered minutes later."""
        for model, content in self._subjects(side, events):
            model.event_late.add(content)

    def _subjects(self, side: str, events: Iterable[Event]) -> Iterator[tuple[KeyModel, str]]:
        """Yield the model of the key that each event names, and the content that the event is about."""
        for event in events:
            key, content = self.event_subjects[side, event.sequencer]
            if key:
                yield self.model(key), content

    def record_event(self, side: str, event: Event) -> None:
        """Record the version that an event of the change just made is about."""
        self.event_subjects[side, event.sequencer] = self.changed[side]

    def record_lost_ledger(self, side: str, before: dict[str, LedgerEntry], after: dict[str, LedgerEntry]) -> None:
        """Record that a side's ledger was emptied, or replaced by a backup."""
        for key, entry in before.items():
            if after.get(key) != entry:
                self.model(key).ledger_lost.add(side)

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
            if before is now:
                return  # the key shows the same: only a version below changed, or a later request takes precedence
            if principal in WORKERS:
                if now is not None:
                    self.writes += 1
                    if (side, content_of(now), now.seen.modified) in model.deleted_copies:
                        model.one_second.add(content_of(now))
                    model.worker_wrote(side, content_of(now))
                    self.oracle[relative] = history.worker_wrote(side, content_of(now))
                elif before is not None:
                    self.deletes += 1
                    model.worker_deleted(side)
                    self.oracle[relative] = history.worker_deleted(side)
                return
            if before is not None:
                self._note_unrecorded(side, key, model, before)
            if principal == "s3.amazonaws.com" and not propagate:
                model.expire(side)
                self.oracle[relative] = history.expire(side)
            elif now is not None:
                seen, second = now.seen, second_of(model, side, before, now)
                restored = int(store.now()) + 1 if self._restores else 0
                model.user(side, content_of(now), now.body, second, seen.etag, restored)
                self.oracle[relative] = history.user_wrote(side, content_of(now), second, seen.etag, now.body, restored)
            elif before is not None:
                model.user(side, "", b"", store.now(), "")
                self.oracle[relative] = history.user_deleted(side)

        return watch


def second_of(model: KeyModel, side: str, before: Version | None, now: Version) -> int:
    """Return the second of a user's write. A change of metadata alone counts as made one second later.

    S3 shows it with the same ETag and the same time as the version that it replaced.
    """
    second, replaced = now.seen.modified, model.seen[side]
    if before is None or replaced is None or (before.seen.etag, before.seen.modified) != (now.seen.etag, second):
        return second
    return max(second, replaced.time) + 1


def named(content: str) -> Attributes:
    """Return attributes with the name of a write."""
    return Attributes(content_type="text/plain", metadata=(("w", content),))


def content_of(version: Version) -> str:
    """Return the name of the write that made a version."""
    for name, value in version.seen.attributes.metadata:
        if name == "w":
            return value
    return "?"


def show(version: Version | None) -> tuple[str, bytes] | None:
    """Return name and content of a version, as the judges take them."""
    return (content_of(version), version.body) if version else None
