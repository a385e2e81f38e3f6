"""Hooks of the documentation's site (`mkdocs.yml`): borrowed pages, inlined diagrams, and the search's weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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

TERMINALS = ("demo.svg", "status.svg")
"""Pictures of terminals, which scroll on a narrow screen instead of shrinking to an unreadable size."""

EXCLUDED = ("decisions/", "changes.md", "engine-demo.md", "policy-report.md")
"""Pages, or folders, that the search leaves out: records and transcripts, which mention everything."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page's Markdown, of a borrowed page that of its file, and set the page's weight in the search."""
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


def on_page_content(html: str, **_: Any) -> str:
    """Make diagrams and pictures of terminals scroll on a narrow screen; put diagrams into the page itself."""
    html = re.sub(_image(INLINED), lambda found: _scrolling(_diagram(found["name"])), html)
    return re.sub(_image(TERMINALS), lambda found: _scrolling(found["image"]), html)


def _image(names: tuple[str, ...]) -> str:
    alternatives = "|".join(re.escape(name) for name in names)
    return rf'<p>\s*(?P<image><img alt="[^"]*" src="[^"]*images/(?P<name>{alternatives})"\s*/?>)\s*</p>'


def _scrolling(inner: str) -> str:
    return f'<div class="diagram" tabindex="0">{inner}</div>'


def _diagram(name: str) -> str:
    text = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
    return text.replace('class="ds"', 'class="ds ds-inlined"', 1)
