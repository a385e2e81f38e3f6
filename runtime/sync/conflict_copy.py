"""Keeping a conflict's loser: a copy under a conflict name on both sides, which never overwrites anything."""

from __future__ import annotations

import re

from dualsync.runtime.errors import Changed, GiveUp, UploadGone
from dualsync.runtime.model.objects import NOTHING
from dualsync.runtime.model.origin_version import Identity
from dualsync.runtime.ports import Bucket
from dualsync.runtime.sync.context import Context
from dualsync.runtime.sync.decision import Sighting
from dualsync.runtime.transfer.multipart import SourceChanged

MAX_KEY_BYTES = 1024
_CONFLICT_NAME = re.compile(r"\.conflict-(cn|global)-[0-9]+-[0-9a-f]{8}$")


def conflict_name(key: str, loser: Identity, *prefixes: str) -> str:
    """`report.csv.conflict-cn-1700000000-5d41402a`, the same whoever makes it; empty when too long for S3 under one of
    the sides' prefixes."""
    name = f"{key}.conflict-{loser.origin}-{loser.modified}-{loser.etag[:8].lower()}"
    longest = max((len(prefix.encode()) for prefix in prefixes), default=0)
    return name if longest + len(name.encode()) <= MAX_KEY_BYTES else ""


def is_conflict_name(key: str) -> bool:
    """Is this a kept loser? Its own conflicts are resolved without keeping anything more."""
    return _CONFLICT_NAME.search(key) is not None


async def keep_loser(context: Context, key: str, loser: Sighting, holder: Bucket) -> None:
    """Copy `loser`, which `holder` holds at `key`, to its conflict name on both sides; what is there already stays.

    Raises `Changed` when the loser is no longer there: look again. Raises `GiveUp` for one that is archived.
    """
    name = conflict_name(key, loser.identity, context.settings.local_prefix, context.settings.remote_prefix)
    if not name or is_conflict_name(key):
        context.log.line("WARNING", "conflict", key=key, reason="loser not kept: no conflict name possible")
        return
    stamp = context.stamp(name, loser.identity, loser.seen.size)
    for target in (context.remote, context.local):
        reading = await holder.read(key)
        if reading is None or reading.seen.etag != loser.seen.etag:
            if reading is not None:
                await reading.close()
            raise Changed(f"the conflict's loser at {key!r} was replaced while it was kept")
        if reading.seen.archived:
            await reading.close()
            raise GiveUp("loser archived", f"the conflict's loser at {key!r} can't be kept: restore it first")
        try:
            await context.copier.copy(context.route(holder, target), reading, key, stamp, NOTHING, to=name)
        except (SourceChanged, UploadGone):
            raise
        except Changed:
            continue  # kept already
