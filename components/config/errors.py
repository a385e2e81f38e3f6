"""Define the program's own error: a value that the operator has given and must change."""

from __future__ import annotations


class ConfigError(ValueError):
    """One line that names the key, the value and the remedy. Raised before anything is registered if possible."""

    def __init__(self, key: str, value: object, problem: str, remedy: str) -> None:
        shown = "" if value is None else f"={value!r}"
        super().__init__(f"{key}{shown}: {problem}; {remedy}".replace("\n", " "))
        self.key = key
