"""Check results during a lifecycle: an unexpected result ends the run."""

from __future__ import annotations


class LifecycleError(Exception):
    """A check failed; the text holds the expectation and the result."""


def expect(expectation: str, found: object, wanted: object = True) -> None:
    """Raise `LifecycleError` unless `found` equals `wanted`. `expectation` is the check in words, for the error."""
    if found != wanted:
        raise LifecycleError(f"{expectation}: wanted {wanted!r}, found {found!r}")
