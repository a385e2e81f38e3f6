"""What a message of our own asks besides a look: carry some parts of a giant object's upload."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

FIELD = "dualsync-parts"


@dataclass(frozen=True, slots=True)
class Portion:
    """Parts `first` to `last` of upload `upload`, by which `key` is written as `to` on `route`.

    All else is noted in the ledger. `attempt` counts postponements, `since` is when it was first sent, `denied` since
    when each try has been refused (seconds).
    """

    key: str
    route: str
    to: str
    upload: str
    first: int
    last: int
    attempt: int = 0
    since: float = 0.0
    denied: float = 0.0

    def later(self, denied: float = 0.0) -> Portion:
        """The same, after a service did not do its part."""
        return replace(self, attempt=self.attempt + 1, denied=denied)

    def body(self) -> str:
        """The message's body."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({FIELD: {n: v for n, v in fields.items() if v}}, ensure_ascii=False)


_TYPES: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "route": (str,),
    "to": (str,),
    "upload": (str,),
    "first": (int,),
    "last": (int,),
    "attempt": (int,),
    "since": (float, int),
    "denied": (float, int),
}
_NEEDED = ("key", "route", "to", "upload", "first", "last")


def from_fields(fields: Any) -> Portion:
    """The inverse of `Portion.body`, of what stands at `FIELD`. Raises ValueError for anything that is not one."""
    if not isinstance(fields, dict) or not all(fields.get(name) for name in _NEEDED):
        raise ValueError("a message of parts that lacks some field")
    for name, value in fields.items():
        if type(value) not in _TYPES.get(name, ()):
            raise ValueError(f"field {name!r} of a message of parts is {value!r}")
    portion = Portion(**fields)
    if not 1 <= portion.first <= portion.last:
        raise ValueError(f"parts {portion.first} to {portion.last}")
    return portion
