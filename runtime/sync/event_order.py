"""Say whether a user's deletion happened before the version arrived that it would delete. Pure.

An absent key does not say which deletion emptied it: a lifecycle rule may have removed a version that arrived after the
user's deletion. Sequencers and times tell, as far as they are known and not forged.
"""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.arrival import latest_arrival
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry


@dataclass(frozen=True, slots=True)
class EventOrder:
    """An event beside what a ledger's entry knows of the version that the event would act on."""

    request: SyncRequest
    """The event."""
    entry: LedgerEntry
    """The entry, as read before the event was added to it."""
    expires: bool
    """True if lifecycle rules may remove current objects here."""

    @property
    def is_stale(self) -> bool:
        """Return True if the event is older than the version that it would act on.

        Times tell it if the event happened before the second in which this bucket shows that version. Sequencers tell
        it, unless the event happened after that second: then a forged event has raised the sequencers. Only that of the
        synced version's own last arrival counts, as any other event can be forged. Without it an event of that second
        is not stale: where no lifecycle rule expires objects, a deletion has emptied the key. What has expired was not
        deleted, so that an event before the latest known one was of an earlier version. Where objects expire, a
        multipart object may have arrived long after the second that it shows.
        """
        request, entry, written = self.request, self.entry, self._written
        if written is not None and 0 < int(request.event_time) < written:
            return True
        last = entry.last_event or (entry.sequencer if entry.synced is None else "")
        if not "" < request.sequencer < last:
            return False
        latest = self._latest_arrival if self.expires else written
        return latest is None or int(request.event_time) <= latest

    @property
    def is_unknown(self) -> bool:
        """Return True if the synced version may have arrived after the event and expired, for all that the entry knows.

        The event of its arrival tells, when it has been read.
        """
        request, entry, latest = self.request, self.entry, self._latest_arrival
        if not self.expires or entry.synced is None or latest is None or entry.last_event or not request.sequencer:
            return False
        return int(request.event_time) <= latest

    @property
    def _held(self) -> CopyState | None:
        synced = self.entry.synced or self.entry.expired
        return None if synced is None else synced.local

    @property
    def _written(self) -> int | None:
        return None if self._held is None else self._held.modified

    @property
    def _latest_arrival(self) -> int | None:
        held = self._held
        if held is None or held.modified is None:
            return None
        return latest_arrival(held.etag, held.modified)
