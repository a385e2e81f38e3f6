"""Read the fields of a stored or received document, with a check of type, range and length per field.

Every decoder of a wire or storage format goes through `FieldReader`. It ignores fields that a decoder does not ask for,
so that a newer version may add some.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from dualsync.runtime.model.sequencer import normalise

E = TypeVar("E", bound=StrEnum)

_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")

MAX_KEY_BYTES = 1024
"""Bytes of a key in UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""
MAX_ETAG_CHARACTERS = 256
"""Characters of an ETag, including what an undeleted version's name adds. S3's own have at most 40."""
MAX_TEXT_CHARACTERS = 2048
"""Characters of any other text, for example a version id (S3: up to 1,024 bytes)."""
MAX_SECONDS = 253_402_300_799
"""Seconds since the epoch; the end of the year 9999, the latest that Python's dates reach."""
MAX_BYTES = 1 << 60
"""Bytes of an object; far above S3's limit."""
MAX_COUNT = 1 << 53
"""Any other count; the largest integer that JSON readers agree on."""


class FieldError(ValueError):
    """A field is missing or has a wrong type, range or length."""


class FieldReader:
    """Typed access to the fields of one document.

    Each method returns the default for an absent field. Raises `FieldError` for a wrong value, and for an absent field
    without a default.
    """

    def __init__(self, document: object, what: str) -> None:
        """Create a reader. `what` names the document in error messages, for example "sync request"."""
        self._what = what
        if not isinstance(document, Mapping):
            raise FieldError(f"{what}: {type(document).__name__} instead of an object")
        self._document: Mapping[str, object] = document

    def text(self, name: str, default: str | None = None, *, longest: int = MAX_TEXT_CHARACTERS) -> str:
        """Return a text of at most `longest` characters without unpaired surrogates."""
        value = self._value(name, default)
        if type(value) is not str or len(value) > longest or not is_encodable(value):
            self._refuse(name, value, f"a text of at most {longest} characters")
        return value

    def sequencer(self, name: str) -> str:
        """Return an event's order, normalised; empty if absent."""
        value = self.text(name, "", longest=64)
        if value and not set(value) <= _HEXADECIMAL:
            self._refuse(name, value, "hexadecimal digits")
        return normalise(value)

    def key(self, name: str) -> str:
        """Return an object's key: not empty, at most 1,024 bytes in UTF-8."""
        value = self._value(name, None)
        if type(value) is not str or not value or not is_encodable(value) or len(value.encode()) > MAX_KEY_BYTES:
            self._refuse(name, value, f"a key of 1 to {MAX_KEY_BYTES} bytes")
        return value

    def integer(self, name: str, default: int | None = None, *, low: int = 0, high: int = MAX_COUNT) -> int:
        """Return an integer from `low` to `high`; true and false are none."""
        value = self._value(name, default)
        if type(value) is not int or not low <= value <= high:
            self._refuse(name, value, f"an integer from {low} to {high}")
        return value

    def seconds(self, name: str, default: float | None = None) -> float:
        """Return a finite, not negative number of seconds since the epoch."""
        value = self._value(name, default)
        if type(value) not in (int, float) or not 0 <= value <= MAX_SECONDS:  # type: ignore[operator]
            self._refuse(name, value, f"seconds from 0 to {MAX_SECONDS}")
        return float(value)  # type: ignore[arg-type]

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._value(name, default)
        if type(value) is not bool:
            self._refuse(name, value, "true or false")
        return value

    def member(self, name: str, kind: type[E], default: E | None = None) -> E:
        """Return a member of the enumeration `kind`."""
        value = self._value(name, default)
        try:
            return kind(value)  # type: ignore[arg-type]
        except (ValueError, TypeError):
            self._refuse(name, value, f"one of {', '.join(kind)}")

    def sequence(self, name: str, default: Sequence[Any] | None = None, *, longest: int) -> Sequence[Any]:
        """Return a list of at most `longest` elements, whose types are not checked."""
        value = self._value(name, default)
        if not isinstance(value, (list, tuple)) or len(value) > longest:
            self._refuse(name, value, f"a list of at most {longest} elements")
        return value

    def mapping(self, name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return an object, whose fields are not checked."""
        value = self._value(name, default)
        if not isinstance(value, Mapping):
            self._refuse(name, value, "an object")
        return value

    def _value(self, name: str, default: object) -> object:
        if name in self._document:
            return self._document[name]
        if default is None:
            raise FieldError(f"{self._what}: field {name!r} is missing")
        return default

    def _refuse(self, name: str, value: object, wanted: str) -> NoReturn:
        raise FieldError(f"{self._what}: field {name!r} is {shorten(value)}, not {wanted}")


def is_encodable(text: str) -> bool:
    """Return True if the text has no unpaired surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(value: object) -> str:
    """Return the value's representation, at most 80 characters of it, for an error message."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_COUNT:
        return "a huge integer"
    text = repr(value) if not isinstance(value, str) or is_encodable(value) else ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def parse_json(text: str) -> Any:
    """Parse JSON without the extensions NaN and Infinity. Raises ValueError, also for nesting that is too deep."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is out of range")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
