"""Forge and replay messages, as an attacker does who may send to a queue and read everything, but holds no key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName
from tests.simulation.histories.world import DEDICATED, PEER, ROLES, USERS, SimulatedWorld

NAMES = (
    "ObjectCreated:Put",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
)
EXPIRIES = ("LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated")
"""Names of forged expiries, in separate histories, so that the others keep their random choices."""
LOWEST, HIGHEST = "1", "f" * 32
KEPT = 40


class Forger:
    """Draws forged messages for a side's queue, from the messages of that queue and the objects of both buckets."""

    def __init__(self, world: SimulatedWorld, seed: int, chance: float, names: Sequence[str] = NAMES) -> None:
        """Take the chance of a forged message after a delivered one, and the names of forged events."""
        self._world = world
        self._random = Random(seed ^ 0xF0126F)
        self._chance = chance
        self._names = names
        self._observed: dict[str, list[str]] = {side: [] for side in PEER}

    def observe(self, side: str, body: str) -> None:
        """Keep a message that was sent to the queue of this side."""
        observed = self._observed[side]
        observed.append(body)
        del observed[:-KEPT]

    def delay(self) -> float | None:
        """Return after how many seconds a forged message follows; None for no message."""
        if not self._chance or self._random.random() >= self._chance:
            return None
        return self._random.expovariate(0.5)

    def forge(self, side: str, keys: Sequence[str]) -> str:
        """Return a forged message for the side's queue about one of these keys."""
        key = self._world.prefix(side) + self._random.choice(keys)
        choice = self._random.random()
        observed = self._observed[side]
        if choice < 0.25 and observed:
            return self._random.choice(observed)
        if choice < 0.4 and observed:
            return self._tampered(self._random.choice(observed))
        if choice < 0.75:
            return json.dumps({"Records": [self._record(side, key)]})
        return self._own(side, key)

    def _tampered(self, body: str) -> str:
        document = json.loads(body)
        if "Records" not in document:
            inner = document.get(sync_request_codec.MEMBER)
            if isinstance(inner, dict):
                inner |= self._random.choice(
                    ({"deletion": True}, {"sequencer": HIGHEST}, {"attempt": 9}, {"actor": "echo"}, {"careful": False})
                )
            return json.dumps(document, ensure_ascii=False)
        changed: dict[str, Any] = deepcopy(self._random.choice(document["Records"]))
        fields = changed["s3"]["object"]
        change = self._random.randrange(5)
        if change == 0:
            fields["sequencer"] = self._random.choice((LOWEST, HIGHEST))
        elif change == 1:
            changed["userIdentity"]["principalId"] = "AWS:" + self._who()
        elif change == 2:
            changed["eventName"] = self._random.choice(self._names)
        elif change == 3:
            changed["eventTime"] = self._random.choice(("1971-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"))
        else:
            changed["s3"]["bucket"]["name"] = "another-bucket"
        return json.dumps({"Records": [changed]})

    def _who(self) -> str:
        return self._random.choice((*DEDICATED.values(), *USERS.values(), *(f"{role}:i-0" for role in ROLES.values())))

    def _etag(self, side: str, key: str) -> str:
        """Return an ETag that one of the buckets holds or held at the key."""
        world = self._world
        relative = world.relative(side, key) or ""
        found = [
            version.seen.etag
            for name, store in world.stores.items()
            for version in store.keys.get(world.prefix(name) + relative, ())
        ]
        return self._random.choice(found) if found else "0" * 32

    def _record(self, side: str, key: str) -> dict[str, Any]:
        fields: dict[str, Any] = {"key": key.replace("+", "%2B").replace(" ", "+"), "eTag": self._etag(side, key)}
        fields["sequencer"] = self._random.choice((LOWEST, HIGHEST, f"{self._random.getrandbits(64):X}"))
        ids = [v.version_id for v in self._world.stores[side].keys.get(key, ()) if v.version_id]
        if ids and self._random.random() < 0.5:
            fields["versionId"] = self._random.choice(ids)
        return {
            "eventName": self._random.choice(self._names),
            "eventTime": self._random.choice(
                ("1971-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "2027-01-15T08:00:00.000Z")
            ),
            "userIdentity": {"principalId": f"AWS:{self._who()}"},
            "s3": {"bucket": {"name": f"bucket-{side}"}, "object": fields},
        }

    def _own(self, side: str, key: str) -> str:
        random = self._random
        relative = self._world.relative(side, key) or key
        if random.random() < 0.2:
            return part_request_codec.encode(PartRequest(relative, "local>remote", relative, "upload-1", 1, 2))
        etag = self._etag(side, key)
        held = CopyState(etag, self._world.stores[side].now())
        version = OriginVersion(SideName(random.choice(tuple(PEER))), self._world.stores[side].now(), etag)
        request = SyncRequest(
            relative,
            random.choice(tuple(Cause)),
            random.choice(tuple(Actor)),
            sequencer=random.choice(("", HIGHEST)),
            etag=etag,
            version_removed=random.random() < 0.2,
            attempt=random.choice((0, 9)),
            full_check=random.random() < 0.5,
            may_delete=random.random() < 0.5,
            unrecorded=SyncedVersion(version, held, held) if random.random() < 0.5 else None,
        )
        body = sync_request_codec.encode(request)
        return json.dumps({"redrive": body}) if random.random() < 0.2 else body
