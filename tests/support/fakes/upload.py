"""A multipart upload under way in the fake bucket."""

from __future__ import annotations

from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.origin_version import Stamp


class Upload:
    """A multipart upload under way."""

    __slots__ = (
        "attributes",
        "checksum",
        "checksums",
        "initiated",
        "initiator",
        "key",
        "parts",
        "received",
        "spent",
        "stamp",
    )

    def __init__(self, key: str, attributes: Attributes, stamp: Stamp | None, initiated: int, initiator: str) -> None:
        self.key = key
        self.attributes = attributes
        self.stamp = stamp
        self.initiated = initiated
        self.initiator = initiator
        self.received = 0
        """Position of its start among the requests of the bucket."""
        self.parts: dict[int, tuple[str, bytes]] = {}
        self.spent = False
        self.checksum = ""
        """Kind of checksum of the content (`crc32`), or of the parts' checksums (`crc32-`)."""
        self.checksums: dict[int, str] = {}
