"""Define the program's own error: a value that the operator has given and must change."""

from __future__ import annotations


class ConfigError(ValueError):
    """One line that names the key, the value and the remedy. Raised before anything is registered if possible."""

    def __init__(self, key: str, value: object, problem: str, remedy: str) -> None:
        shown = "" if value is None else f"={value!r}"
        super().__init__(_line(f"{key}{shown}: {problem}; {remedy}"))
        self.key = key
        self._without_value = _line(f"{key}: {problem}; {remedy}")

    def without_value(self) -> str:
        """Return the line without the value, which may be a secret."""
        return self._without_value


def _line(text: str) -> str:
    return text.replace("\n", " ")
