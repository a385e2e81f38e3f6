"""Order two versions of one key that users of both sides wrote without knowing of each other."""

from __future__ import annotations

from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import ConflictPolicy, SideName


def wins(a: OriginVersion, b: OriginVersion, policy: ConflictPolicy) -> bool:
    """Return True if `a` wins over `b`. Both sides see the same identities, so both return the same."""
    if policy is not ConflictPolicy.NEWEST and a.origin is not b.origin:
        preferred = SideName.CN if policy is ConflictPolicy.PREFER_CN else SideName.GLOBAL
        return a.origin is preferred
    return is_newer(a, b)


def is_newer(a: OriginVersion, b: OriginVersion) -> bool:
    """Return True if `a` wins over `b` by time: whole seconds of S3's clocks; ties go to `cn`, then to the higher ETag.

    Only values that both sides see decide, so that both return the same.
    """
    return _rank(a) > _rank(b)


def _rank(identity: OriginVersion) -> tuple[int, bool, str]:
    return identity.modified, identity.origin is SideName.CN, identity.etag
