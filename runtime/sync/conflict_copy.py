"""Keep a conflict's loser: a copy under a conflict name on both sides, which never overwrites anything."""

from __future__ import annotations

import re

from dualsync.runtime.errors import PermanentError, PreconditionFailedError, UploadGoneError
from dualsync.runtime.model.identify import is_unchanged
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.ports import Bucket
from dualsync.runtime.sync import actions
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.transfer.multipart import SourceChangedError

MAX_KEY_BYTES = 1024
_CONFLICT_NAME = re.compile(r"\.conflict-(cn|global)-[0-9]+-[0-9a-f]{8}$")


def conflict_name(key: str, loser: OriginVersion, *prefixes: str) -> str:
    """Return the loser's conflict name, for example `report.csv.conflict-cn-1700000000-5d41402a`.

    Both sides make the same name. It is empty when too long for S3 under one of the sides' prefixes.
    """
    name = f"{key}.conflict-{loser.origin}-{loser.modified}-{loser.etag[:8].lower()}"
    longest = max((len(prefix.encode()) for prefix in prefixes), default=0)
    return name if longest + len(name.encode()) <= MAX_KEY_BYTES else ""


def is_conflict_name(key: str) -> bool:
    """Return True for a kept loser, whose own conflicts are resolved without keeping anything more."""
    return _CONFLICT_NAME.search(key) is not None


async def keep_loser(context: SyncContext, key: str, loser: ObservedVersion, holder: Bucket) -> None:
    """Copy `loser`, which `holder` holds at `key`, to its conflict name on both sides; what is there already stays.

    Raises `PreconditionFailedError` when the loser is no longer there: check again. Raises `PermanentError` for one
    that is archived.
    """
    name = conflict_name(key, loser.version, context.settings.local_prefix, context.settings.remote_prefix)
    if not name or is_conflict_name(key):
        context.log.line("WARNING", "conflict", key=key, reason="loser not kept: no conflict name possible")
        return
    for target in (context.remote, context.local):
        reader = await holder.read(key)
        if reader is None or not is_unchanged(reader.head, loser.head):
            if reader is not None:
                await reader.close()
            raise PreconditionFailedError(f"the conflict's loser at {key!r} was replaced while it was kept")
        if reader.head.archived:
            await reader.close()
            raise PermanentError("loser archived", f"the conflict's loser at {key!r} can't be kept: restore it first")
        try:
            await actions.copy_to_new_key(
                context, key, holder=holder, target=target, reader=reader, loser=loser.version, to=name
            )
        except (SourceChangedError, UploadGoneError):
            raise
        except PreconditionFailedError:
            if await target.head(name) is None:
                raise  # another condition does not hold: what the message has read is too old
