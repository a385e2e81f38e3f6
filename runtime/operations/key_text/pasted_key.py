"""Find the key that an operator means: relative to the prefix, whole as S3 shows it, or an `s3://` URI."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote

from dualsync.runtime.errors import DualSyncError, FatalError
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.key_text.plain_text import display_key

_URI = re.compile(r"s3://([^/]*)(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """What a text means."""

    key: str
    """The key, relative to the prefix; the whole key when it is outside."""
    note: str = ""
    """How the text was understood; empty when it was the key as such."""
    outside: str = ""
    """Why the key is not synchronised, in a sentence; empty when it is."""


async def find_key(context: OperatorContext, text: str) -> FoundKey:
    """Return the key that `text` means. The text as such goes first if an object or a ledger has that key.

    Raises `FatalError` for a URI of another bucket, or of no object.
    """
    cn, global_ = context.both()
    sides = (cn, global_)
    uri = _URI.fullmatch(text)
    if uri is not None:
        owners = [side for side in sides if side.settings.local_bucket == uri[1]]
        if not owners:
            buckets = " or ".join(side.settings.local_bucket for side in sides)
            raise FatalError(f"{text!r}: bucket {uri[1]!r} is not of this pair; give a key of {buckets}")
        whole, prefix = uri[2] or "", owners[0].settings.local_prefix
        if not whole:
            raise FatalError(f"{text!r}: names a bucket and no object; give s3://{uri[1]}/KEY")
        if whole == prefix:
            shown = display_key(whole)
            return FoundKey(whole, outside=f"{shown} is the synchronised prefix itself, and is not synchronised.")
        if not whole.startswith(prefix):
            return FoundKey(whole, outside=await _outside(sides, whole))
        note = f"read as the key of {uri[1]}" + (f" below the prefix {prefix!r}" if prefix else "")
        return await _in_scope(sides, whole[len(prefix) :], note)
    prefixes = list(dict.fromkeys(side.settings.local_prefix for side in sides if side.settings.local_prefix))
    candidates = _candidates(text, prefixes)
    for key, note in candidates:
        if key and await _is_known(sides, key):
            return await _in_scope(sides, key, note)
    # Nothing has it. Outside of the prefix there may be an object of that name.
    for name in dict.fromkeys([text, text.removeprefix("/")]):
        if name and any(not name.startswith(side.settings.local_prefix) for side in sides):
            outside = await _outside(sides, name, only_if_there=True)
            if outside:
                return FoundKey(name, outside=outside)
    # The longest prefix that fits was most likely pasted with the key.
    key, note = next(((k, n) for k, n in candidates if n and k and "prefix" in n), candidates[0])
    return await _in_scope(sides, key, note)


def _candidates(text: str, prefixes: list[str]) -> list[tuple[str, str]]:
    """Return keys that the text may mean, the most literal first, and how it was read then."""
    found = {text: ""}
    for spelling, how in (
        (text, ""),
        (text.removeprefix("/"), "without the leading slash"),
        (unquote(text), "decoded"),
    ):
        for prefix in prefixes:
            if spelling.startswith(prefix) and len(spelling) > len(prefix):
                words = f"below the prefix {prefix!r}" + (f", {how}" if how else "")
                found.setdefault(spelling[len(prefix) :], f"read as the key {words}")
        if spelling != text and spelling:
            found.setdefault(spelling, f"read as the key {how}")
    return list(found.items())


async def _is_known(sides: tuple[Side, Side], key: str) -> bool:
    heads = await asyncio.gather(*(side.bucket.head(key) for side in sides))
    if any(head is not None for head in heads):
        return True
    return any(await asyncio.gather(*(_has_entry(side, key) for side in sides)))


async def _has_entry(side: Side, key: str) -> bool:
    """Return True if the ledger has an entry of the key, even one that cannot be decoded."""
    try:
        return await side.ledger.get(key) is not None
    except FatalError:
        raise
    except (DualSyncError, ValueError):
        return True


async def _in_scope(sides: tuple[Side, Side], key: str, note: str) -> FoundKey:
    for side in sides:
        if side.settings.carries and side.settings.prefix_list_file and not (await side.scope()).covers(key):
            return FoundKey(
                side.settings.local_prefix + key,
                note,
                f"{display_key(key)} is not below any prefix of {side.name}'s list {side.settings.prefix_list_file!r}:"
                " it is not synchronised. Add its prefix to the list on both sides.",
            )
    return FoundKey(key, note)


async def _outside(sides: tuple[Side, Side], whole: str, *, only_if_there: bool = False) -> str:
    """Return the sentence for a whole key outside of the prefix."""
    there = [
        side
        for side in sides
        if not whole.startswith(side.settings.local_prefix) and await side.whole_bucket.head(whole) is not None
    ]
    if only_if_there and not there:
        return ""
    where = f"it is at {' and '.join(str(side.name) for side in there)}" if there else "it is on neither side"
    prefixes = ", ".join(f"{side.settings.local_prefix!r} at {side.name}" for side in sides)
    return f"{display_key(whole)} is outside the synchronised prefix ({prefixes}): {where}, and is not synchronised."
