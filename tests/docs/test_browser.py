"""Test the site in a browser: width on phone and desktop, system colours, copy buttons, search results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.docs import browser
from tools.docs.browser import DESKTOP, PHONE, Browser, Screen

pytestmark = pytest.mark.skipif(browser.path() is None, reason=browser.ABSENT)

LEAST_SCALE = 0.6
"""Least ratio of a picture's shown size to its own, below which its text can not be read."""

TOO_WIDE = "document.scrollingElement.scrollWidth > WIDTH"
"""Whether the page as a whole scrolls sideways."""

CUT = """
[...document.querySelectorAll("article table[data-cards], article p, article li, article h1, article h2, article h3")]
  .filter(one => one.getBoundingClientRect().right > WIDTH && !one.closest("table:not([data-cards])"))
  .map(one => one.textContent.slice(0, 60))
"""
"""Texts, and tables shown as cards, that continue beyond the screen's edge."""

SHRUNK = f"""
[...document.querySelectorAll("article img, article svg.ds")]
  .filter(one => one.getBoundingClientRect().width < {LEAST_SCALE} * (one.naturalWidth || one.viewBox.baseVal.width))
  .map(one => one.src || one.querySelector("title").textContent)
"""
"""Pictures that are shown too small to be read."""

MISSING = "[...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src)"
"""Pictures that were not loaded."""

BROKEN = """
[...document.querySelectorAll("article td code")]
  .filter(one => /^[^\\s\\/-]{1,26}$/.test(one.textContent) && one.getClientRects().length > 1)
  .map(one => one.textContent)
"""
"""Short code in tables that is broken inside a word."""

COPIED = """
[...document.querySelectorAll("article .md-code__button, article .md-clipboard")]
  .filter(one => one.getClientRects().length)
  .map(one => one.closest("div.highlight").className)
"""
"""Classes of the code blocks that have a visible copy button."""

SEARCH = """
(async () => {
  const options = JSON.parse(document.getElementById("__config").textContent)
  const worker = new Worker(new URL(options.search, location))
  const ask = message => new Promise(done => {
    worker.onmessage = answer => done(answer.data)
    worker.postMessage(message)
  })
  const index = await (await fetch("search/search_index.json")).json()
  await ask({type: 0, data: {...index, options: {suggest: false}}})
  const found = {}
  for (const words of WORDS) {
    const answer = await ask({type: 2, data: words})
    found[words] = answer.data.items.map(page => page.map(entry => entry.location))
  }
  return found
})()
"""
"""What the site's search answers to each of these words: its pages, best first, each with its sections, best first."""

OPERATIONS = {
    "operations.html",
    "runbook.html",
    "troubleshooting.html",
    "commands.html",
    "uninstall.html",
    "notifications.html",
}
"""Pages that an operator wants to find."""

WORDS = {
    "stuck": "troubleshooting.html#2-nothing-travels",
    "not syncing": "troubleshooting.html#2-nothing-travels",
    "slow": "troubleshooting.html#4-it-is-slow",
    "stop": "troubleshooting.html#6-stop-everything",
    "dead letter": "operations.html#dead-letters",
    "deletion approve": "operations.html#held-deletions",
    "held deletions": "operations.html#held-deletions",
    "rotate key": "operations.html#rotate-a-key",
    "upgrade": "operations.html#update",
    "rollback": "operations.html#update",
    "pause": "operations.html#pause-a-direction",
    "403": "runbook.html#accessdeniederror",
    "AccessDenied": "runbook.html#accessdeniederror",
    "access denied": "runbook.html#accessdeniederror",
    "no worker": "runbook.html#no-worker",
    "alarm": "runbook.html#alarms",
    "cost": "cost.html",
    "price": "cost.html",
    "uninstall": "uninstall.html",
    "slack": "notifications.html#slack-and-microsoft-teams",
}
"""What people type, and the section that they want first."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of the served site."""
    with browser.served(site) as served:
        yield served


@pytest.fixture(scope="module")
def shown() -> Iterator[Browser]:
    """The browser."""
    with browser.browser() as started:
        yield started


def test_pages_fit_phone_and_desktop_and_load_without_errors(site: Path, tmp_path: Path, shown: Browser) -> None:
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    # Every page builds the search from its index, which takes most of the time.
    (folder / "search" / "search_index.json").write_text(
        '{"config": {"lang": ["en"], "separator": " ", "pipeline": [], "fields": {}}, "docs": []}'
    )
    with browser.served(folder) as address:
        assert not _faults(site, address, shown)


def _faults(site: Path, address: str, shown: Browser) -> list[Any]:
    pages = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
    assert len(pages) > 40
    checks = {"too wide": TOO_WIDE, "cut": CUT, "picture missing": MISSING, "broken": BROKEN}
    faults: list[Any] = []
    for screen, more in ((PHONE, {"picture too small": SHRUNK}), (DESKTOP, {})):
        shown.show_on(screen)
        for page in pages:
            # Decisions are texts with few tables: the phone is the narrower screen, and decides for both.
            if page.startswith("decisions/") and (screen is DESKTOP or "<table" not in (site / page).read_text()):
                continue
            faults += [(page, screen.name, fault) for fault in shown.open(f"{address}/{page}")]
            found = {name: shown.run(_at(screen, script)) for name, script in {**checks, **more}.items()}
            faults += [(page, screen.name, name, value) for name, value in found.items() if value]
    return faults


def _at(screen: Screen, script: str) -> str:
    return script.replace("WIDTH", str(screen.width))


def test_colours_and_diagrams_follow_the_system_after_the_first_visit(address: str, shown: Browser) -> None:
    papers = []
    for dark in (False, True, False):
        shown.show_on(Screen(PHONE.width, PHONE.height, dark))
        shown.open(f"{address}/index.html")
        assert shown.run("document.body.dataset.mdColorScheme") == ("slate" if dark else "default")
        papers.append(shown.run("getComputedStyle(document.querySelector('svg.ds')).getPropertyValue('--ds-paper')"))
    assert papers == ["#fff", "#1e2129", "#fff"]


def test_only_commands_are_copied(address: str, shown: Browser) -> None:
    shown.show_on(DESKTOP)
    for page in ("commands", "architecture", "engine-demo", "getting-started"):
        shown.open(f"{address}/{page}.html")
        classes = " ".join(shown.run(COPIED)).split()
        assert not {"output", "language-text", "language-console"} & set(classes), page
    assert "language-shell" in classes


def test_the_search_finds_what_people_type(address: str, shown: Browser) -> None:
    shown.open(f"{address}/index.html")
    for words, found in shown.run(SEARCH.replace("WORDS", json.dumps(list(WORDS)))).items():
        pages = [sections[0].partition("#")[0] for sections in found]
        assert pages[0] == WORDS[words].partition("#")[0], (words, pages[:3])
        assert WORDS[words] in found[0], (words, found[0])
        assert pages[0] == "cost.html" or OPERATIONS & set(pages[:3]), (words, pages[:3])


def test_a_page_with_faults_is_found(tmp_path: Path, shown: Browser) -> None:
    style = "<style>h1 { width: 600px }</style><meta name=viewport content='width=device-width'>"
    faulty = (
        "<article><h1>wide</h1><img src=gone.png><script>console.error('oh'); throw new Error('no')</script></article>"
    )
    (tmp_path / "page.html").write_text(style + faulty)
    with browser.served(tmp_path) as served:
        shown.show_on(PHONE)
        faults = " ".join(shown.open(f"{served}/page.html"))
        assert all(text in faults for text in ("gone.png: 404", "console: ['oh']", "exception: Error: no"))
        assert shown.run(_at(PHONE, TOO_WIDE))
        assert shown.run(_at(PHONE, CUT)) == ["wide"]
        assert shown.run(MISSING) == [f"{served}/gone.png"]
