"""Provide pages of a listing whose rows are made one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dualsync.runtime.model.objects import ListedObject

PAGE = 1000
"""Rows per page, as S3 has them."""


def paged(rows: Iterable[ListedObject]) -> Iterator[list[ListedObject]]:
    """Yield the rows in pages; the last page may be empty."""
    page: list[ListedObject] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    yield page
