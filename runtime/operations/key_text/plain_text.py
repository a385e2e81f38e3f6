"""Text from outside (keys, reasons, names) as terminals, pages and documents may show it.

A key may hold any character: line breaks, escape sequences, marks that turn the direction of writing, lone surrogates.
Shown raw, they move the cursor, hide what follows, or make one key look like another.
"""

from __future__ import annotations

import html
import re

CONFIG_KEY = re.compile(r"\bDUALSYNC_([A-Z][A-Z_]*[A-Z])\b")


def is_plain(text: str) -> bool:
    """Return whether every character shows itself and nothing else."""
    return text.isprintable()


def escape_invisible(text: str) -> str:
    r"""Return one line in which every character that is not visible as itself is escaped: `\x1b`, `\u202e`."""
    if is_plain(text):
        return text
    return "".join("\\\\" if c == "\\" else c if c.isprintable() else _escape(c) for c in text)


def html_text(text: str) -> str:
    """Return one line for a page: escaped as `escape_invisible` does, and as HTML."""
    return html.escape(escape_invisible(text))


def display_key(key: str) -> str:
    """Return a key as it can be read, and pasted into a shell (bash, zsh): raw, or as `$'…'` with escapes.

    The quoted form is used only for keys that hold a character that does not show itself.
    """
    if is_plain(key):
        return key
    return "$'" + "".join("\\" + c if c in "\\'" else c if c.isprintable() else _escape(c) for c in key) + "'"


def shell_word(key: str) -> str:
    """Return a key as one word of a command line."""
    if not is_plain(key):
        return display_key(key)
    return key if key and re.fullmatch(r"[\w@%+=:,./-]+", key) else "'" + key.replace("'", "'\\''") + "'"


def use_config_names(text: str) -> str:
    """Return a service's text with the configuration's names for its variables: `deletionLimit`."""
    return CONFIG_KEY.sub(lambda found: _camel_case(found[1]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"  # in bash, \x80 and above are bytes, not characters
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _camel_case(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)
