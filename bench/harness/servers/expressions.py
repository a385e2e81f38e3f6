"""DynamoDB's expressions, as far as the ledger and the peers use them ("Expressions in DynamoDB", Developer Guide)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

Item = dict[str, dict[str, Any]]
"""An item in DynamoDB's form: values by attribute name, each under its type."""

Test = Callable[[Item, Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?[A-Za-z_][\w.]*)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ExpressionError(Exception):
    """The expression uses what this server does not support."""


def matches(expression: str, item: Item, values: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    """Return whether a condition holds for an item, which is empty if there is none."""
    return _condition(expression, tuple(sorted(names.items())))(item, values)


def update(expression: str, item: Item, values: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Apply an update expression of one SET clause to an item."""
    tokens = _tokens(expression, dict(names))
    if not tokens or tokens[0].upper() != "SET":
        raise ExpressionError(f"an update of {expression!r}")
    at = 1
    while at < len(tokens):
        name, sign, at = tokens[at], tokens[at + 1], at + 2
        value = _operand(tokens[at], item, values)
        at += 1
        if sign != "=":
            raise ExpressionError(f"an update of {expression!r}")
        if at < len(tokens) and tokens[at] in "+-":
            other = _operand(tokens[at + 1], item, values)
            total = Decimal((value or {}).get("N", 0)) + Decimal((other or {}).get("N", 0)) * (
                1 if tokens[at] == "+" else -1
            )
            value, at = {"N": str(total)}, at + 2
        if value is None:
            raise ExpressionError(f"an update of {expression!r}: an attribute is missing")
        item[name] = value
        at += 1  # the comma


def _tokens(expression: str, names: Mapping[str, str]) -> list[str]:
    tokens, at, text = [], 0, expression.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(f"{text[at : at + 20]!r} in an expression")
        tokens.append(names.get(found[1], found[1]))
        at = found.end()
    return tokens


def _operand(token: str, item: Item, values: Mapping[str, Any]) -> Any:
    return values[token] if token.startswith(":") else item.get(token)


@lru_cache(256)
def _condition(expression: str, names: tuple[tuple[str, str], ...]) -> Test:
    parser = _Parser(_tokens(expression, dict(names)))
    test = parser.either()
    if parser.left():
        raise ExpressionError(f"{parser.left()[0]!r} in a condition")
    return test


class _Parser:
    """A condition of comparisons and existence checks with AND, OR, NOT and parentheses."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def left(self) -> list[str]:
        return self._tokens[self._at :]

    def either(self) -> Test:
        tests = [self._both()]
        while self._word("OR"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda item, values: any(test(item, values) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._word("AND"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item, values: all(test(item, values) for test in tests)

    def _one(self) -> Test:
        if self._word("NOT"):
            inner = self._one()
            return lambda item, values: not inner(item, values)
        if self._word("("):
            inner = self.either()
            self._need(")")
            return inner
        first = self._next()
        if first in ("attribute_exists", "attribute_not_exists"):
            self._need("(")
            name = self._next()
            self._need(")")
            wanted = first == "attribute_exists"
            return lambda item, values: (name in item) is wanted
        sign, second = self._next(), self._next()

        def compare(item: Item, values: Mapping[str, Any]) -> bool:
            a, b = _operand(first, item, values), _operand(second, item, values)
            if a is None or b is None:
                return sign == "<>" and a is not b
            same = _number(a) == _number(b)
            if sign in ("=", "<>"):
                return same is (sign == "=")
            return _COMPARE[sign](_number(a), _number(b))

        if sign not in ("=", "<>", *_COMPARE):
            raise ExpressionError(f"{sign!r} in a condition")
        return compare

    def _word(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].upper() == word:
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._word(word):
            raise ExpressionError(f"{word!r} is missing in a condition")

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise ExpressionError("a condition ends early")
        self._at += 1
        return self._tokens[self._at - 1]


def _number(value: Mapping[str, Any]) -> Any:
    """Return a value that compares as DynamoDB compares it: numbers by size, the rest by their bytes."""
    ((kind, held),) = value.items()
    return Decimal(held) if kind == "N" else (kind, held)
