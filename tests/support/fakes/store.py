"""Provide a bucket in memory: versions, delete markers, uploads, requests of users, and an event per change.

Requests of users take no time. The runtime uses a store through `FakeBucket`. The behaviour is that of the Amazon S3
User Guide and API Reference; comments name the page where one decides.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from dualsync.runtime.model.checksums import CONTENT_MD5
from dualsync.runtime.model.objects import Attributes, ListedObject, ObjectHead, Part, PutResult
from dualsync.runtime.model.origin_version import Stamp
from tests.support.fakes.clock import Time
from tests.support.fakes.notification import Event
from tests.support.fakes.upload import Upload
from tests.support.fakes.version import Version, Versioning

EVENTS_OF_REMOVAL = {True: "ObjectRemoved:DeleteMarkerCreated", False: "ObjectRemoved:Delete"}
EVENTS_OF_EXPIRY = {True: "LifecycleExpiration:DeleteMarkerCreated", False: "LifecycleExpiration:Delete"}
LIFECYCLE = "s3.amazonaws.com"
"""The principal of an expiry ("Supported event types", Amazon S3 User Guide)."""


class Store:
    """A bucket. `emit` receives all events; `busy` returns True if a conditional write must fail with 409."""

    def __init__(
        self,
        name: str,
        region: str,
        time: Time,
        *,
        versioning: Versioning = Versioning.NEVER,
        kms: bool = False,
        skew: float = 0.0,
        random: Random | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.name = name
        self.region = region
        self.time = time
        self.versioning = versioning
        self.kms = kms
        self.skew = skew
        self.random = random or Random(0)
        self.emit = emit
        self.busy: Callable[[str], bool] | None = None
        self.watch: Callable[[str, Version | None, Version | None, str], None] | None = None
        self.keys: dict[str, list[Version]] = {}
        self.uploads: dict[str, Upload] = {}
        self.absent_delete_is_404 = True
        self.spent_by_412 = True
        self.precedes_by_start = False
        """True if a completed upload in parts gives way to what was written or deleted after its start, so that it may
        never be shown ("Concurrent multipart upload operations", Amazon S3 User Guide)."""
        self.deleted: dict[str, int] = {}
        """Position of each key's last deletion that left no marker, while uploads of the key are under way."""
        self.marker_removal_raises_event = True
        self.md5_etags = False
        """True if ETags are known to be made of MD5 digests, as with S3 itself; never with SSE-KMS."""
        self.shows_parts = True
        """True if the checksums of parts are returned."""
        self.unsupported_checksums: set[str] = set()
        """Kinds of checksums that are not supported."""
        self.own_checksum = ""
        """Kind of checksum that is computed for each upload, whatever the request names; empty for the named one."""
        self.refuses_declared_checksums = False
        """True if checksums are accepted when an upload is created, but its parts are then refused."""
        self._count = 0

    # -- reads

    def now(self) -> int:
        """Return the service's clock in whole seconds, as LastModified shows it."""
        return int(self.time.now + self.skew)

    def current(self, key: str) -> Version | None:
        """Return the current version, None when there is none or it is a delete marker."""
        versions = self.keys.get(key)
        if not versions:
            return None
        newest = versions[-1]
        return None if newest.marker else newest

    def version(self, key: str, version_id: str) -> Version | None:
        """Return that version, None when there is none or it is a delete marker."""
        for version in self.keys.get(key, ()):
            if version.version_id == version_id and not version.marker:
                return version
        return None

    def rows(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[ListedObject]:
        """Return one page of ListObjectsV2: current objects in UTF-8 binary order, keys greater than `after`."""
        keys = [k for k in self.keys if k.startswith(prefix) and self.current(k)]
        keys.sort(key=str.encode)
        edge = after.encode()
        found = []
        for key in keys:
            if key.encode() > edge or not after:
                seen = self.keys[key][-1].seen
                found.append(ListedObject(key, seen.etag, seen.size, seen.modified, seen.archived))
                if len(found) == limit:
                    break
        return found

    # -- archives

    def archive(self, key: str) -> None:
        """Apply a lifecycle transition: no new version, no subscribed event, the same time."""
        self._set_archived(key, True)

    def thaw(self, key: str) -> None:
        """Complete a RestoreObject: the class stays, the content can be read."""
        self._set_archived(key, False)

    def _set_archived(self, key: str, archived: bool) -> None:
        version = self.current(key)
        if version is None:
            raise ValueError(f"there is no {key!r}")
        attributes = replace(version.seen.attributes, storage_class="GLACIER")
        version.seen = replace(version.seen, attributes=attributes, archived=archived)

    # -- requests that change something

    def put(
        self,
        key: str,
        body: bytes,
        principal: str,
        attributes: Attributes | None = None,
        stamp: Stamp | None = None,
        *,
        event: str = "ObjectCreated:Put",
    ) -> PutResult:
        """Write an object (PutObject). Only the kind of a given checksum is used."""
        given = attributes or Attributes()
        kind = given.checksum.partition(":")[0]
        given = replace(given, checksum=checksum_of(kind, body) if kind else "")
        return self._create(key, body, principal, given, stamp, event, self._etag(body), self.now())

    def copy(
        self,
        source: str,
        key: str,
        principal: str,
        attributes: Attributes | None = None,
    ) -> PutResult | None:
        """Copy an object (CopyObject), with its metadata and stamp unless `attributes` replace them."""
        version = self.current(source)
        if version is None:
            return None
        seen = version.seen
        stamp = seen.stamp if attributes is None else None
        return self.put(key, version.body, principal, attributes or seen.attributes, stamp, event="ObjectCreated:Copy")

    def create_upload(
        self,
        key: str,
        attributes: Attributes | None = None,
        stamp: Stamp | None = None,
        principal: str = "",
        checksum: str = "",
    ) -> str:
        """Create an upload (CreateMultipartUpload); `checksum` as in `UploadRecord`."""
        self._count += 1
        upload_id = f"upload-{self._count}"
        self.uploads[upload_id] = Upload(key, attributes or Attributes(), stamp, self.now(), principal)
        self.uploads[upload_id].checksum = checksum
        self.uploads[upload_id].received = self._count
        return upload_id

    def put_part(self, upload_id: str, number: int, body: bytes) -> Part:
        """Write a part (UploadPart)."""
        etag = self._etag(body)
        upload = self.uploads[upload_id]
        upload.parts[number] = (etag, body)
        kind, dash, _ = upload.checksum.partition("-")
        upload.checksums[number] = checksum_of(kind, body) if dash else ""
        return Part(number, etag, len(body), upload.checksums[number])

    def complete_upload(self, upload_id: str, principal: str) -> PutResult:
        """Complete an upload of all parts; LastModified is the initiation ("HeadObject", API Reference).

        The answer is the same if a later request takes precedence.
        """
        upload = self.uploads.pop(upload_id)
        parts = [upload.parts[n] for n in sorted(upload.parts)]
        body = b"".join(b for _, b in parts)
        etag = f"{self._etag(b''.join(bytes.fromhex(e) for e, _ in parts))}-{len(parts)}"
        event = "ObjectCreated:CompleteMultipartUpload"
        return self._create(
            upload.key,
            body,
            principal,
            replace(upload.attributes, checksum=self.checksum(upload)),
            upload.stamp,
            event,
            etag,
            upload.initiated,
            [(len(upload.parts[n][1]), upload.checksums[n]) for n in sorted(upload.parts)],
            upload.received if self.precedes_by_start else None,
        )

    def checksum(self, upload: Upload) -> str:
        """Return the checksum of the uploaded parts.

        A composite one is the checksum of the parts' checksums as bytes ("Checking object integrity for data uploads").
        """
        kind, dash, _ = upload.checksum.partition("-")
        if not dash:
            return checksum_of(kind, b"".join(upload.parts[n][1] for n in sorted(upload.parts))) if kind else ""
        sums = [b64decode(upload.checksums[n].partition(":")[2]) for n in sorted(upload.parts)]
        return f"{checksum_of(kind, b''.join(sums))}-{len(sums)}"

    def delete(self, key: str, principal: str, names: dict[bool, str] = EVENTS_OF_REMOVAL) -> None:
        """Delete the object, or add a delete marker ("Working with delete markers")."""
        versions = self.keys.get(key)
        before = self.current(key)
        if self.versioning is Versioning.NEVER:
            if any(upload.key == key for upload in self.uploads.values()):
                self.deleted[key] = self._count
            if versions:
                del self.keys[key]
                self._changed(key, before, None, principal, names[False], "")
            return
        marker = Version(self._version_id(), ObjectHead("", 0, self.now()), b"", True, self._count)
        self._add(key, marker)
        self._changed(key, before, None, principal, names[True], marker.version_id)

    def expire(self, key: str) -> None:
        """Expire the current version, as a lifecycle rule does."""
        if self.current(key):
            self.delete(key, LIFECYCLE, EVENTS_OF_EXPIRY)

    def remove_version(self, key: str, version_id: str, principal: str) -> bool:
        """Delete one version permanently; if it was the newest, the one below becomes current."""
        versions = self.keys.get(key, [])
        for i, version in enumerate(versions):
            if version.version_id == version_id:
                before = self.current(key)
                del versions[i]
                if not versions:
                    del self.keys[key]
                raised = not version.marker or self.marker_removal_raises_event
                event = "ObjectRemoved:Delete" if raised else ""
                self._changed(key, before, self.current(key), principal, event, version_id)
                return True
        return False

    # -- storage

    def _create(
        self,
        key: str,
        body: bytes,
        principal: str,
        attributes: Attributes,
        stamp: Stamp | None,
        event: str,
        etag: str,
        modified: int,
        parts: Sequence[tuple[int, str]] = (),
        received: int | None = None,
    ) -> PutResult:
        before = self.current(key)
        version_id = self._version_id()
        shown = version_id if self.versioning is not Versioning.NEVER else ""
        md5 = self.md5_etags and not self.kms
        head = ObjectHead(etag, len(body), modified, stamp, attributes, shown, opaque=self.kms, md5_etag=md5)
        version = Version(version_id, head, body, False, self._count if received is None else received)
        version.parts = parts or version.parts
        if received is None or not self._add_late(key, version):
            self._add(key, version)
        self._changed(key, before, self.current(key), principal, event, shown, head)
        return PutResult(etag, shown, md5)

    def _add(self, key: str, version: Version) -> None:
        versions = self.keys.get(key)
        if versions is None:
            self.keys[key] = [version]
            return
        if version.version_id == "null":
            versions[:] = [v for v in versions if v.version_id != "null"]
        versions.append(version)

    def _add_late(self, key: str, version: Version) -> bool:
        """Add the version of an upload below what was received after its start; return False if there is nothing."""
        if self.deleted.get(key, -1) >= version.received:
            return True
        versions = self.keys.get(key, [])
        later = [v for v in versions if v.received >= version.received]
        if not later:
            return False
        earlier = versions[: -len(later)]
        if version.version_id == "null":
            if any(v.version_id == "null" for v in later):
                return True
            earlier = [v for v in earlier if v.version_id != "null"]
        versions[:] = [*earlier, version, *later]
        return True

    def _changed(
        self,
        key: str,
        before: Version | None,
        now: Version | None,
        principal: str,
        event: str,
        version_id: str,
        written: ObjectHead | None = None,
    ) -> None:
        if self.watch:
            self.watch(key, before, now, principal)
        if event and self.emit:
            seen = written or (now.seen if now else _NO_OBJECT)
            who = principal if principal == LIFECYCLE else f"AWS:{principal}"
            self.emit(
                Event(
                    event,
                    self.time.now + self.skew,
                    who,
                    self.name,
                    self.region,
                    key,
                    self._sequencer(),
                    seen.etag,
                    seen.size,
                    version_id if self.versioning is not Versioning.NEVER else "",
                )
            )

    def _etag(self, body: bytes) -> str:
        """Return the MD5 of the content, or a random ETag with SSE-KMS ("Common response headers", ETag)."""
        if self.kms:
            return f"{self.random.getrandbits(128):032x}"
        return hashlib.md5(body, usedforsecurity=False).hexdigest()

    def _version_id(self) -> str:
        if self.versioning is Versioning.ENABLED:
            self._count += 1
            return f"v{self._count:05d}"
        return "null"

    def _sequencer(self) -> str:
        """Return a higher sequencer, sometimes with leading zeros ("Event message structure": compare padded)."""
        self._count += 1
        digits = self.last_sequencer
        return "00" + digits if self._count % 7 == 3 else digits

    @property
    def last_sequencer(self) -> str:
        """Return a sequencer that is at least the highest one so far."""
        return f"{0x5A17C3B2D5F60000 + self._count * 0x11:X}"

    def suspend(self) -> None:
        """Suspend versioning (PutBucketVersioning)."""
        self.versioning = Versioning.SUSPENDED

    def enable(self) -> None:
        """Enable versioning (PutBucketVersioning). Existing objects keep the version id `null`."""
        self.versioning = Versioning.ENABLED
        for versions in self.keys.values():
            for version in versions:
                version.seen = replace(version.seen, version_id=version.version_id)


def checksum_of(kind: str, body: bytes) -> str:
    """Return a checksum as text; for a kind that Python does not implement, another digest takes its place."""
    if kind == "crc32":
        digest = zlib.crc32(body).to_bytes(4, "big")
    elif kind == CONTENT_MD5:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
    elif kind in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(kind, body, usedforsecurity=False).digest()
    else:
        digest = hashlib.sha256(kind.encode() + body).digest()[:8]
    return f"{kind}:{b64encode(digest).decode()}"


_NO_OBJECT = ObjectHead("", 0, 0)
