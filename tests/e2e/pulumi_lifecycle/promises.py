"""The checks of a transcript: a result that is not the expected one ends the run."""

from __future__ import annotations


class LifecycleError(Exception):
    """A check failed; the text holds the expectation and the result."""


def hold(promise: str, seen: object, wanted: object = True) -> None:
    """Raise `LifecycleError` unless the result is the expected one."""
    if seen != wanted:
        raise LifecycleError(f"{promise}: wanted {wanted!r}, saw {seen!r}")
