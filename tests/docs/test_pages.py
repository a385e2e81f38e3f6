"""Pages are what the program says now, and the site builds without a warning and without anybody else's scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dualsync.components.config.model import SIDE_FACTS
from tests.docs.pages import ROOT
from tools.docs import generate, reference, site_hooks


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)
def test_what_is_generated_is_up_to_date(page: Path) -> None:
    assert generate.render(page.read_text()) == page.read_text(), "run `python -m tools.docs.generate`"


def test_every_block_is_somewhere_and_a_stale_one_is_found(tmp_path: Path) -> None:
    text = "".join(page.read_text() for page in generate.pages())
    assert all(f"<!-- begin {block} -->" in text and f"<!-- end {block} -->" in text for block in generate.BLOCKS)
    page = tmp_path / "page.md"
    page.write_text("<!-- begin exit-codes -->\nold\n<!-- end exit-codes -->\n")
    assert generate.stale([page]) == [page]
    page.write_text(generate.render(page.read_text()))
    assert generate.stale([page]) == []
    assert "old" not in page.read_text()


def test_the_sides_keys_are_all_described() -> None:
    text = reference.side_facts()
    assert all(f"| `{key}` | " in text for key in SIDE_FACTS)


def test_a_cell_keeps_its_line() -> None:
    assert reference.table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("built") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 12
    for page in pages:
        html = page.read_text()
        foreign = re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+"', html)
        foreign += re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//[^"]+"', html)
        assert not foreign, page


def test_the_search_puts_operations_first_and_leaves_records_out(site: Path) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    boosts = {entry["location"]: entry.get("boost", 1) for entry in entries}
    pages = {location.partition("#")[0] for location in boosts}
    assert not [page for page in pages if page.startswith(("decisions/", "changes", "engine-demo", "policy-report"))]
    assert boosts["runbook.html"] > boosts["consistency.html"] == 1
    assert boosts["troubleshooting.html"] >= max(boosts.values())


@pytest.mark.parametrize(
    "words", ["uninstall", "slack", "troubleshooting", "stuck", "rotate", "AccessDenied", "rollback"]
)
def test_the_search_knows_the_words_people_type(site: Path, words: str) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    hits = [entry for entry in entries if words.lower() in f"{entry['title']} {entry['text']}".lower()]
    assert max(entry.get("boost", 1) for entry in hits) > 1


def test_borrowed_pages_hold_their_files_and_diagrams_are_inlined(site: Path) -> None:
    assert 'id="recipes"' in (site / "contributing.html").read_text()
    assert 'id="levels"' in (site / "tests.html").read_text()
    assert '<svg class="ds ds-inlined"' in (site / "index.html").read_text()
    assert '<svg class="ds ds-inlined"' in (site / "how-it-works.html").read_text()


def test_links_of_a_borrowed_page_lead_from_the_site() -> None:
    text = site_hooks.borrowed("CONTRIBUTING.md")
    assert "[Architecture](architecture.md)" in text
    assert "[Tests](tests.md)" in text
    assert "see SECURITY.md" in text


def test_every_page_is_in_the_menu_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r": ([\w-]+\.md)$", text[text.index("nav:") :], re.MULTILINE)
    assert sorted(named) == sorted(page.name for page in generate.FOLDER.glob("*.md"))
