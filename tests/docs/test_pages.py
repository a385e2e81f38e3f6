"""Pages are what the program says now, and the site builds without a warning and without anybody else's scripts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dualsync.components.config import stack_config
from tests.docs.pages import ROOT
from tools.docs import generate, reference


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
    assert set(reference.SIDE_FACTS) == set(stack_config.SIDE_FACTS)


def test_a_cell_keeps_its_line() -> None:
    assert reference.table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |\n"


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    assert len(pages) > 12
    for page in pages:
        html = page.read_text()
        foreign = re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+"', html)
        foreign += re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//[^"]+"', html)
        assert not foreign, page
