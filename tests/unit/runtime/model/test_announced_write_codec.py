"""Test how a announced write is stored in a ledger item."""

from __future__ import annotations

import json

import pytest

from dualsync.runtime.model import announced_write_codec
from dualsync.runtime.model.field_reader import FieldError
from dualsync.runtime.model.ledger_entry import AnnouncedWrite
from dualsync.runtime.model.origin_version import OriginVersion
from tests.support.builders import CN, GLOBAL

OLD, NEW = OriginVersion(CN, 10, "old"), OriginVersion(GLOBAL, 20, "new")


def test_stored_form_is_this_one() -> None:
    stored = {"version": ["global", 20, "new"], "over": ["cn", 10, "old"]}
    assert announced_write_codec.encode(AnnouncedWrite(NEW, OLD)) == stored
    assert announced_write_codec.decode(stored | {"later": 1}) == AnnouncedWrite(NEW, OLD)
    assert announced_write_codec.encode(AnnouncedWrite(NEW, None)) == {"version": ["global", 20, "new"]}


@pytest.mark.parametrize("pending", [AnnouncedWrite(NEW, OLD), AnnouncedWrite(NEW, None)])
def test_announced_write_round_trips_through_json(pending: AnnouncedWrite) -> None:
    assert announced_write_codec.decode(json.loads(json.dumps(announced_write_codec.encode(pending)))) == pending


@pytest.mark.parametrize(
    "item",
    [
        *(None, [], {}),
        *({"version": row} for row in (None, ["cn", 1], ["cn", -1, "e"], ["x", 1, "e"])),
        *({"version": ["cn", 1, "e"], "over": row} for row in ([], ["cn", 1, None])),
    ],
)
def test_malformed_announced_write_is_refused(item: object) -> None:
    with pytest.raises(FieldError):
        announced_write_codec.decode(item)
