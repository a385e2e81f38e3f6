"""The documentation as text: its pages, and the commands that it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tools.docs.generate import FOLDER as FOLDER

ROOT = FOLDER.parent

OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md", "examples/README.md")
"""Markdown files outside `docs/` that are held to the code as well."""


def sources() -> list[Path]:
    """Return every page of the site, and the Markdown files outside `docs/` that users and contributors read."""
    return [*(ROOT / file for file in OUTSIDE), *sorted(FOLDER.rglob("*.md"))]


def name(page: Path) -> str:
    """A page's name in a test's id."""
    return str(page.relative_to(ROOT))


def shown(text: str) -> Iterator[str]:
    """Everything shown as code: lines of blocks, and what stands between backticks."""
    blocks = re.findall(r"^```[^\n`]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for block in blocks:
        yield from block.splitlines()
    rest = re.sub(r"^```[^\n`]*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (line[4:] for line in rest.splitlines() if line.startswith("    "))
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest))


def words(line: str) -> list[str]:
    """A shell line's words without comments and without what is chained to it; empty for what is none."""
    try:
        found = shlex.split(line, comments=True)
    except ValueError:
        return []
    for end in ("&&", "|", ";", "…"):
        if end in found:
            found = found[: found.index(end)]
    return found


def operator_lines() -> list[tuple[str, list[str]]]:
    """Every call of the operator's commands that is shown: (page, arguments)."""
    calls = []
    for page in sources():
        for line in shown(page.read_text()):
            for start in (
                "dualsync ",
                ".venv/bin/dualsync ",
                ".venv/bin/python -m dualsync.runtime ",
                "python -m dualsync.runtime ",
            ):
                if line.startswith(start):
                    calls.append((name(page), words(line)[start.count(" ") :]))
    return calls


def parts(line: str) -> list[str]:
    """The commands of a line that are chained by `&&`."""
    return [part.strip() for part in line.split("&&")]
