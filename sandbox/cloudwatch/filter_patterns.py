"""Filter patterns over JSON log lines, as CloudWatch Logs evaluates them.

Source: Amazon CloudWatch Logs User Guide, "Filter pattern syntax for metric filters": JSON. What this program's filters
do not use (arrays, regular expressions) is refused rather than guessed.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Line = Mapping[str, Any]
Test = Callable[[Line], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<path>\$(?:\.[A-Za-z_][\w-]*)+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"""
    r"""|(?P<sign>&&|\|\||!=|<=|>=|[=<>(){}])|(?P<word>IS|NOT|EXISTS|TRUE|FALSE|NULL)\b)"""
)
_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_MISSING = object()


def compile_pattern(text: str) -> Test:
    """Compile a pattern into a test of a line. Raises `ValueError` for an unsupported pattern."""
    return _Parser(text).whole()


def value_at(line: Line, path: str) -> Any:
    """Return the value at `$.a.b`, None when there is none."""
    found = _at(line, path)
    return None if found is _MISSING else found


def _at(line: Line, path: str) -> Any:
    found: Any = line
    for name in path.split(".")[1:]:
        if not isinstance(found, Mapping) or name not in found:
            return _MISSING
        found = found[name]
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0

    def _split(self, text: str) -> list[str]:
        tokens, at = [], 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(text[at:])
            tokens.append(match[0].strip())
            at = match.end()
        return tokens

    def whole(self) -> Test:
        self._take("{")
        test = self._either()
        self._take("}")
        if self._next != len(self._tokens):
            raise self._error(self._tokens[self._next])
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == "||":
            self._take("||")
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda line: any(test(line) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek() == "&&":
            self._take("&&")
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda line: all(test(line) for test in tests)

    def _one(self) -> Test:
        if self._peek() == "(":
            self._take("(")
            test = self._either()
            self._take(")")
            return test
        path = self._take()
        if not path.startswith("$"):
            raise self._error(path)
        sign = self._take()
        if sign == "IS":
            wanted = {"TRUE": True, "FALSE": False, "NULL": None}[self._take()]
            return lambda line: _at(line, path) is wanted
        if sign == "NOT":
            self._take("EXISTS")
            return lambda line: _at(line, path) is _MISSING
        return _compared(path, sign, self._take())

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._peek()
        if not token or (wanted and token != wanted):
            raise self._error(token or "its end")
        self._next += 1
        return token

    def _error(self, at: str) -> ValueError:
        return ValueError(f"filter pattern {self._text!r}: not understood from {at!r} on")


def _compared(path: str, sign: str, given: str) -> Test:
    if sign in _NUMBERS:
        limit, compare = float(given), _NUMBERS[sign]
        return lambda line: _number(_at(line, path)) is not None and compare(_at(line, path), limit)
    if sign not in ("=", "!="):
        raise ValueError(f"filter pattern: unknown operator {sign!r}")
    same = _same_text(given[1:-1]) if given.startswith('"') else _same_number(float(given))
    if sign == "=":
        return lambda line: same(_at(line, path))
    return lambda line: _at(line, path) is not _MISSING and not same(_at(line, path))


def _same_text(wanted: str) -> Callable[[Any], bool]:
    pattern = re.compile(fnmatch.translate(wanted.replace("[", "[[]").replace("?", "[?]")))
    return lambda found: isinstance(found, str) and pattern.fullmatch(found) is not None


def _same_number(wanted: float) -> Callable[[Any], bool]:
    return lambda found: _number(found) == wanted


def _number(found: Any) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
