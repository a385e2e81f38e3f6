"""Write a key prefix where AWS reads text in a syntax of its own: notification filters and policy documents."""

from __future__ import annotations

import re
import string
from urllib.parse import unquote_plus

FILTER_LENGTH = 1024
"""Characters of a notification filter's value, encoded (S3 API Reference, FilterRule)."""

_FILTER_SAFE = frozenset(string.ascii_letters + string.digits + "/!-_.*'()")
"""Characters that S3 lists as safe in keys (S3 User Guide, "Naming Amazon S3 objects")."""

_OUTSIDE_POLICIES = re.compile("[^\t\n\r\u0020-\u00ff]")
"""Characters that a policy document may not hold (IAM API Reference, CreatePolicy, PolicyDocument)."""

_POLICY_SYNTAX = re.compile(r"[*?$]")


def filter_value(prefix: str) -> str:
    """Return the prefix as a notification filter wants it: URL-encoded, a blank as `+`.

    S3 accepts a raw value without an error and then matches no key (S3 User Guide, "Configuring event notifications
    using object key name filtering"; the same text for the China regions).
    """
    encoded = []
    for character in prefix:
        if character in _FILTER_SAFE:
            encoded.append(character)
        elif character == " ":
            encoded.append("+")
        else:
            encoded.extend(f"%{byte:02X}" for byte in character.encode())
    return "".join(encoded)


def prefix_of_filter(value: str) -> str:
    """Return the prefix that S3 compares keys with for a filter's value."""
    return unquote_plus(value)


def policy_patterns(text: str) -> tuple[str, ...]:
    """Return the resource patterns by which a policy names keys that begin with `text`, without the closing `*`.

    `*`, `?` and `$` are written as `${*}`, `${?}` and `${$}`, so that none of them is read as a wildcard or begins a
    policy variable (IAM User Guide, "IAM policy elements: Variables and tags").

    A policy document takes characters up to U+00FF only. Each character above is replaced by `?`, the narrowest
    wildcard. AWS does not document what unit `?` matches, so there is one pattern for each unit in use: characters,
    UTF-16 units and UTF-8 bytes. One of them matches the prefix; text without such characters has one exact pattern.
    """
    escaped = _POLICY_SYNTAX.sub(lambda found: f"${{{found[0]}}}", text)
    characters = _OUTSIDE_POLICIES.sub("?", escaped)
    utf_16 = _OUTSIDE_POLICIES.sub(lambda found: "?" * (len(found[0].encode("utf-16-le")) // 2), escaped)
    utf_8 = _OUTSIDE_POLICIES.sub(lambda found: "?" * len(found[0].encode()), escaped)
    return tuple(dict.fromkeys((characters, utf_16, utf_8)))


def is_exact_in_policies(text: str) -> bool:
    """Return whether a policy can name exactly the keys that begin with `text`."""
    return _OUTSIDE_POLICIES.search(text) is None
