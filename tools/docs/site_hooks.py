"""Hooks of the site (`mkdocs.yml`): borrowed pages, diagrams and tables, the search's weights and words."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).resolve().parents[2]

BORROWED = {"changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "tests.md": "tests/README.md"}
"""Pages whose contents are files outside `docs/`, which a reader of the repository expects elsewhere."""

INLINED = ("pair.svg", "life.svg")
"""Diagrams that are put into the page, so that its colours apply. On GitHub they are plain images."""

BOOST = {
    "troubleshooting.md": 5.0,
    "runbook.md": 4.0,
    "operations.md": 4.0,
    "commands.md": 3.0,
    "uninstall.md": 3.0,
    "getting-started.md": 2.0,
    "notifications.md": 2.0,
    "glossary.md": 2.0,
}
"""Weight of a page in the search results. Pages that are not listed have 1."""

WORDS = {
    "cost.html": ("price", "bill", "budget", "dollars"),
    "getting-started.html": ("install", "quick start"),
    "migration.html": ("dth",),
    "operations.html#dead-letters": ("dead letter", "redrive"),
    "operations.html#held-deletions": ("approve deletions", "held deletions"),
    "operations.html#pause-a-direction": ("pause", "resume"),
    "operations.html#rotate-a-key": ("rotate key", "rotation", "credentials"),
    "operations.html#update": ("upgrade", "new version", "rollback", "downgrade"),
    "runbook.html#a-key-was-stolen": ("stolen", "leaked", "compromised"),
    "runbook.html#accessdeniederror": ("403", "forbidden", "access denied", "permission denied"),
    "runbook.html#no-worker": ("no worker", "worker missing"),
    "troubleshooting.html#1-the-deployment-fails": ("pulumi up fails",),
    "troubleshooting.html#2-nothing-travels": ("stuck", "hangs", "not syncing"),
    "troubleshooting.html#3-one-object-is-missing-or-wrong": ("file missing", "not copied"),
    "troubleshooting.html#4-it-is-slow": ("slow", "behind", "backlog"),
    "troubleshooting.html#6-stop-everything": ("stop", "disable", "emergency"),
    "troubleshooting.html#7-the-commands-do-not-work": ("sso", "login", "expired token", "command not found"),
    "uninstall.html": ("uninstall", "remove", "destroy", "decommission"),
}
"""Search words by the section that should be found first for them, whether it contains them or not."""

WIDE = ("demo.svg", "status.svg", "benchmarks.svg", "dashboard.png")
"""Pictures that scroll on a narrow screen instead of shrinking to an unreadable size."""

CARD_COLUMNS, CARD_CHARACTERS = 3, 36
"""Columns, and characters in a cell, from which a table shows its rows as cards on a narrow screen."""

SHORT_CODE = 26
"""Characters up to which code in a table breaks at hyphens and spaces only."""

EXCLUDED = ("decisions/", "changes.md", "engine-demo.md", "independent-checks.md", "policy-report.md")
"""Pages, or folders, that the search leaves out: records and transcripts, which mention everything."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page's Markdown (a borrowed page's is that of its file), and set its weight in the search."""
    path = page.file.src_uri
    if path in BORROWED:
        markdown = borrowed(BORROWED[path])
    if path.startswith(EXCLUDED):
        page.meta.setdefault("search", {"exclude": True})
    elif path in BOOST:
        page.meta.setdefault("search", {"boost": BOOST[path]})
    return markdown


def borrowed(file: str) -> str:
    """Return the Markdown of a file outside `docs/`, with its links as they are seen from `docs/`."""
    text = (ROOT / file).read_text(encoding="utf-8")
    pages = {source: page for page, source in BORROWED.items()}

    def link(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        if "://" in target or target.startswith("#"):
            return found[0]
        path, _, anchor = target.partition("#")
        path = str(((ROOT / file).parent / path).resolve().relative_to(ROOT))
        if path.startswith("docs/"):
            path = path.removeprefix("docs/")
        elif path in pages:
            path = pages[path]
        else:
            return text
        return f"[{text}]({path}{'#' + anchor if anchor else ''})"

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def on_page_content(content: str, **_: Any) -> str:
    """Put diagrams into the page itself, and prepare wide pictures and tables for a narrow screen."""
    content = re.sub(_image(INLINED), lambda found: _scrolling(_diagram(found["name"])), content)
    content = re.sub(_image(WIDE), lambda found: _scrolling(found["image"]), content)
    return re.sub(r"<table>.*?</table>", lambda found: _cards(_short_code(found[0])), content, flags=re.DOTALL)


@event_priority(-100)
def on_post_build(config: Any, **_: Any) -> None:
    """Add the search words to the search's index. Raises `KeyError` for a section that does not exist."""
    file = Path(config["site_dir"]) / "search" / "search_index.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    entries = {entry["location"]: entry for entry in index["docs"]}
    for location, words in WORDS.items():
        entries[location]["tags"] = words
    file.write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")


def _cards(table: str) -> str:
    """Return the table with its columns' names at its cells, from which `extra.css` makes cards on a narrow screen."""
    names = [_text(name) for name in re.findall(r"<th[^>]*>(.*?)</th>", table, re.DOTALL)]
    # A description needs no name.
    names = ["" if name.startswith("what ") else name for name in names]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table, re.DOTALL)
    if len(names) < CARD_COLUMNS or max((len(_text(cell)) for cell in cells), default=0) <= CARD_CHARACTERS:
        return table

    def row(found: re.Match[str]) -> str:
        labels = iter(names)
        return re.sub(r"<td", lambda _: f'<td data-label="{html.escape(next(labels))}"', found[0])

    table = re.sub(r"<tr>.*?</tr>", row, table, flags=re.DOTALL)
    return table.replace("<table>", "<table data-cards>", 1)


def _short_code(table: str) -> str:
    """Return the table with a mark at its short code."""

    def code(found: re.Match[str]) -> str:
        return f'<code class="short">{found[1]}</code>' if len(_text(found[1])) <= SHORT_CODE else found[0]

    return re.sub(r"<code>([^<]+)</code>", code, table)


def _text(content: str) -> str:
    """Return the text of a cell."""
    return html.unescape(re.sub(r"<[^>]+>", "", content)).strip()


def _image(names: tuple[str, ...]) -> str:
    alternatives = "|".join(re.escape(name) for name in names)
    return rf'<p>\s*(?P<image><img alt="[^"]*" src="[^"]*images/(?P<name>{alternatives})"\s*/?>)\s*</p>'


def _scrolling(inner: str) -> str:
    return f'<div class="diagram" tabindex="0">{inner}</div>'


def _diagram(name: str) -> str:
    text = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
    return text.replace('class="ds"', 'class="ds ds-inlined"', 1)
