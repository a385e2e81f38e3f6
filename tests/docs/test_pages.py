"""Test that generated pages are up to date, and that the site builds without warnings and external scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dualsync.components.config.model import SIDE_FACTS
from tests.docs.pages import ROOT
from tools.docs import browser, generate, project_file, reference, site_hooks, site_pictures


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)
def test_what_is_generated_is_up_to_date(page: Path) -> None:
    assert generate.render(page.read_text()) == page.read_text(), "run `python -m tools.docs.generate`"


def test_every_generated_block_is_in_a_page_and_a_stale_one_is_found(tmp_path: Path) -> None:
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


def test_the_project_file_separates_each_key_from_its_text() -> None:
    listed = re.findall(r"^  #   (\w+) ", project_file.facts_comment(), re.MULTILINE)
    assert listed == [key for key in SIDE_FACTS if key not in project_file.SHOWN_FACTS]


def test_a_cell_keeps_its_line() -> None:
    assert reference.table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |\n"


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
    records = ("decisions/", "changes", "engine-demo", "independent-checks", "policy-report")
    assert not [page for page in pages if page.startswith(records)]
    assert boosts["runbook.html"] > boosts["consistency.html"] == 1
    assert boosts["troubleshooting.html"] >= max(boosts.values())


def test_every_search_word_has_a_section(site: Path) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    found = {entry["location"]: tuple(entry["tags"]) for entry in entries if "tags" in entry}
    assert found == site_hooks.WORDS


def test_a_word_of_a_section_that_does_not_exist_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search_index.json").write_text('{"docs": [{"location": "a.html"}]}')
    monkeypatch.setattr(site_hooks, "WORDS", {"a.html#gone": ("word",)})
    with pytest.raises(KeyError, match=r"a\.html#gone"):
        site_hooks.on_post_build({"site_dir": str(tmp_path)})


def test_included_pages_contain_their_files_and_diagrams_are_inlined(site: Path) -> None:
    assert 'id="recipes"' in (site / "contributing.html").read_text()
    assert 'id="levels"' in (site / "tests.html").read_text()
    assert '<svg class="ds ds-inlined"' in (site / "index.html").read_text()
    assert '<svg class="ds ds-inlined"' in (site / "how-it-works.html").read_text()


def test_links_of_an_included_page_are_valid_on_the_site() -> None:
    text = site_hooks.borrowed("CONTRIBUTING.md")
    assert "[Architecture](architecture.md)" in text
    assert "[Tests](tests.md)" in text
    assert "see SECURITY.md" in text


def test_every_page_is_in_the_menu_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r": ([\w-]+\.md)$", text[text.index("nav:") :], re.MULTILINE)
    assert sorted(named) == sorted(page.name for page in generate.FOLDER.glob("*.md"))


def test_every_page_of_the_menu_is_in_the_menu_by_its_name(site: Path) -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r"- ([^:\n]+): ([\w/-]+)\.md$", text[text.index("nav:") :], re.MULTILINE)
    html = (site / "index.html").read_text()
    links = re.findall(r'<a href="([^"]+)\.html" class="md-nav__link[^"]*">(.*?)</a>', html, re.DOTALL)
    shown = {(_words(label), target) for target, label in links}
    assert named
    assert not set(named) - shown


def _words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


ELEMENTS = {
    "a",
    "article",
    "b",
    "blockquote",
    "br",
    "button",
    "circle",
    "code",
    "defs",
    "details",
    "div",
    "dd",
    "dl",
    "dt",
    "em",
    "figure",
    "g",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "hr",
    "i",
    "img",
    "input",
    "label",
    "li",
    "line",
    "marker",
    "nav",
    "ol",
    "p",
    "path",
    "polyline",
    "pre",
    "rect",
    "small",
    "span",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "tspan",
    "ul",
}
"""Elements that pages may contain. Any other is a word in angle brackets that a browser hides."""


def test_no_word_in_angle_brackets_is_taken_for_an_element(site: Path) -> None:
    strange = set()
    for page in site.rglob("*.html"):
        article = re.search(r"<article.*?</article>", page.read_text(), re.DOTALL)
        if article:
            names = {name.lower() for name in re.findall(r"<([a-zA-Z][^\s/>]*)", article[0])}
            strange |= {(page.name, name) for name in names - ELEMENTS}
    assert not strange


def test_the_text_of_a_command_keeps_its_angle_brackets() -> None:
    assert reference.prose("Pulumi.<stack>.yaml, `<id>`, cn->global") == "Pulumi.&lt;stack>.yaml, `<id>`, cn->global"


def test_a_table_of_long_texts_names_the_column_of_each_cell() -> None:
    head = "<tr><th>key</th><th>the <code>default</code></th><th>what it is</th></tr>"
    row = f"<tr><td>a</td><td></td><td>{'long text ' * 5}</td></tr>"
    html = site_hooks.on_page_content(f"<table>{head}{row}</table>")
    assert '<code class="short">default</code>' in html
    assert html.startswith("<table data-cards>")
    assert '<td data-label="key">a</td><td data-label="the default"></td><td data-label="">long' in html
    short = f"<table>{head}{row.replace('long text ', '')}</table>"
    assert "data-" not in site_hooks.on_page_content(short)


def test_a_missing_browser_is_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "path", lambda: None)
    assert site_pictures.main([]) == 2
    assert "apt-get install chromium" in capsys.readouterr().err


def test_the_report_keeps_the_asterisks_of_what_it_quotes(site: Path) -> None:
    html = (site / "policy-report.html").read_text()
    assert "reaches arn:aws:s3:::*/*<" in html
    assert "allows s3:*<" in html
