"""Convert the content of the fakes to values that can be compared and numbered, and back."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from dualsync.runtime.model.records import Record
from tests.simulation.exploration.automaton import Raised
from tests.simulation.histories.model import Act, KeyModel, Rule, newest
from tests.simulation.histories.users import Users
from tests.support.fakes.bucket import FakeObjectReader
from tests.support.fakes.ledger import Table
from tests.support.fakes.store import Store
from tests.support.fakes.upload import Upload
from tests.support.fakes.version import Version

T = TypeVar("T")
SIDES = ("cn", "global")
_MODEL = KeyModel("", newest)
FLAGS = tuple(name for name in KeyModel.__slots__ if isinstance(getattr(_MODEL, name), set))
"""Attributes of a key's model that are sets."""


class Pool(Generic[T]):
    """Numbers of values. Equal values have the same number."""

    __slots__ = ("_numbers", "values")

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.values: list[T] = []

    def number(self, key: Hashable, value: T) -> int:
        """Return the number of the value that `key` identifies."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.values)
            self.values.append(value)
        return found

    def __len__(self) -> int:
        return len(self.values)


def answer_key(value: Any) -> Hashable:
    """Return a key by which answers are compared."""
    if isinstance(value, Raised):
        return ("raised", type(value.error), str(value.error))
    if isinstance(value, FakeObjectReader):
        return ("reader", value.head, value._body)
    if isinstance(value, Record):
        return record_key(value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(answer_key(each) for each in value)
    return value  # type: ignore[no-any-return]


def record_key(record: Record) -> Hashable:
    """Return a key by which records are compared."""
    return (record.kind, record.id, record.time, record.key, repr(sorted(record.data.items())), record.expires)


class Versions:
    """One Python object per equal version, so that buckets can be compared quickly."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Version] = {}

    def one(self, version: Version, *, ordered: bool = False) -> Version:
        """Return the first version that is equal to this one, with `ordered` also in the position of its request."""
        received = version.received if ordered else -1
        key = (version.version_id, version.seen, version.body, version.marker, tuple(version.parts), received)
        return self._known.setdefault(key, version)

    def freeze_store(self, store: Store) -> Hashable:
        """Return a bucket as a value."""
        ordered = store.precedes_by_start
        keys = tuple(
            (key, tuple(self.one(version, ordered=ordered) for version in store.keys[key]))
            for key in sorted(store.keys)
        )
        deleted = tuple(sorted(store.deleted.items())) if ordered else ()
        uploads = tuple(
            (
                upload_id,
                upload.key,
                upload.attributes,
                upload.stamp,
                upload.initiated,
                upload.initiator,
                tuple(sorted(upload.parts.items())),
                upload.spent,
                upload.checksum,
                tuple(sorted(upload.checksums.items())),
                upload.received,
            )
            for upload_id, upload in sorted(store.uploads.items())
        )
        return (store._count, keys, uploads, deleted)


def thaw_store(store: Store, frozen: Any) -> None:
    """Restore a bucket."""
    store._count, keys, uploads, deleted = frozen
    store.deleted = dict(deleted)
    store.keys = {key: list(versions) for key, versions in keys}
    store.uploads = {}
    for upload_id, key, attributes, stamp, initiated, initiator, parts, spent, checksum, checksums, received in uploads:
        upload = store.uploads[upload_id] = Upload(key, attributes, stamp, initiated, initiator)
        upload.parts = dict(parts)
        upload.spent = spent
        upload.checksum = checksum
        upload.checksums = dict(checksums)
        upload.received = received


def freeze_table(table: Table) -> tuple[Hashable, Any]:
    """Return a key by which tables are compared, and a copy of the table."""
    entries = tuple(table.entries[key] for key in sorted(table.entries))
    records = tuple(table.records[each] for each in sorted(table.records))
    return (entries, tuple(map(record_key, records))), (entries, records)


def thaw_table(table: Table, frozen: Any) -> None:
    """Restore a table."""
    entries, records = frozen
    table.entries = {entry.key: entry for entry in entries}
    table.records = {(record.kind, record.id): record for record in records}


def freeze_judges(users: Users) -> Hashable:
    """Return the state of both judges."""
    models = tuple(_freeze_model(users.models[key]) for key in sorted(users.models))
    return (models, tuple(sorted(users.oracle.items(), key=lambda item: item[0])))


def thaw_judges(users: Users, frozen: Any) -> None:
    """Restore both judges."""
    models, oracle = frozen
    users.models = {each[0]: _thaw_model(each, users.rule) for each in models}
    users.oracle = dict(oracle)


def _freeze_model(model: KeyModel) -> tuple[Any, ...]:
    acts = tuple(
        (a.side, a.content, a.body, a.time, a.etag, a.restored, tuple(sorted({b.number for b in a.replaced_by})))
        for a in model.acts
    )
    seen = tuple(None if (act := model.seen[side]) is None else act.number for side in SIDES)
    return (
        model.key,
        model.expires,
        acts,
        seen,
        tuple(model.present[side] for side in SIDES),
        tuple(frozenset(model.expired[side]) for side in SIDES),
        tuple(frozenset(model.held[side]) for side in SIDES),
        tuple(sorted(set(model.echoes))),
        tuple(frozenset(getattr(model, flag)) for flag in FLAGS),
    )


def _thaw_model(frozen: tuple[Any, ...], rule: Rule) -> KeyModel:
    key, expires, acts, seen, present, expired, held, echoes, flags = frozen
    model = KeyModel(key, rule, expires=expires)
    for side, content, body, time, etag, restored, _ in acts:
        act = Act(len(model.acts), side, content, body, time, etag, restored)
        model.acts.append(act)
        if content:
            model.contents.setdefault(content, []).append(act)
    for act, each in zip(model.acts, acts, strict=True):
        act.replaced_by = [model.acts[number] for number in each[6]]
    for at, side in enumerate(SIDES):
        model.seen[side] = None if seen[at] is None else model.acts[seen[at]]
        model.present[side] = present[at]
        model.expired[side] = set(expired[at])
        model.held[side] = set(held[at])
    model.echoes = list(echoes)
    for flag, value in zip(FLAGS, flags, strict=True):
        setattr(model, flag, set(value))
    return model
