"""List a bucket's synchronised keys within a range, prefix by prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from dualsync.runtime.model.key_filter import KeyFilter, KeyRange
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.ports import Bucket


async def list_scope(scope: KeyFilter, bucket: Bucket, within: KeyRange) -> AsyncIterator[Sequence[ListedObject]]:
    """Yield the bucket's synchronised objects in this range, in key order, one page at a time.

    Prefixes outside the range are not listed.
    """
    for prefix in scope.prefixes:
        if within.may_contain(prefix):
            async for rows in bucket.list(within.after, within.until, prefix):
                yield rows
