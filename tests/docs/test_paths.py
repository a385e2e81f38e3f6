"""Test that paths, functions and links in the documentation exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import FOLDER, ROOT, name, sources

TOPS = {path.name for path in ROOT.iterdir()} - {".git", "build"}
"""What a path of the project starts with."""


def named_paths(text: str) -> list[tuple[str, str]]:
    """Return every path between backticks, with the name after a colon (`runtime/log.py:JsonLog.line`)."""
    found = re.findall(r"`((?:[\w.-]+/)+[\w.*-]*|[\w-]+\.md|Makefile|LICENSE)(?::([A-Za-z_][\w.]*))?`", text)
    return [(path, symbol) for path, symbol in found if path.split("/")[0] in TOPS]


def symbols(file: Path) -> set[str]:
    """Return the functions, classes, methods and constants that a module defines."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                found.update(prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)

    visit(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return found


@pytest.mark.parametrize("page", sources(), ids=name)
def test_every_path_exists(page: Path) -> None:
    missing = []
    for path, symbol in named_paths(page.read_text(encoding="utf-8")):
        file = ROOT / path
        exists = any(ROOT.glob(path)) if "*" in path else file.exists()
        if not exists or (symbol and symbol not in symbols(file)):
            missing.append(f"{path}:{symbol}" if symbol else path)
    assert not missing


def test_a_missing_path_and_a_missing_function_are_found() -> None:
    text = "`runtime/log.py:JsonLog.line`, `runtime/nowhere.py`, `runtime/log.py:sing`, `a/b`"
    assert named_paths(text) == [
        ("runtime/log.py", "JsonLog.line"),
        ("runtime/nowhere.py", ""),
        ("runtime/log.py", "sing"),
    ]
    assert "JsonLog.line" in symbols(ROOT / "runtime" / "log.py")
    assert "sing" not in symbols(ROOT / "runtime" / "log.py")


@pytest.mark.parametrize("page", [p for p in sources() if FOLDER not in p.parents], ids=name)
def test_every_link_of_files_outside_the_site_has_a_target(page: Path) -> None:
    """mkdocs checks the links between pages; these files are read on their own."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_readme_links_to_every_guide() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", text))
    records = {"changes.md", "engine-demo.md", "independent-checks.md", "policy-report.md"}
    elsewhere = {"contributing.md", "index.md", "tests.md"}
    assert {p.name for p in FOLDER.glob("*.md")} - records - elsewhere <= linked


@pytest.mark.parametrize("page", sorted((FOLDER / "decisions").glob("2*.md")), ids=name)
def test_every_decision_has_its_four_sections(page: Path) -> None:
    titles = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles[:2] == ["Status", "Context"]
    assert {"Decision", "Consequences"} <= set(titles)
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-[a-z-]+\.md", page.name)


@pytest.mark.parametrize("page", ["operations.md", "runbook.md", "troubleshooting.md", "uninstall.md"])
def test_a_copied_block_never_holds_two_alternatives(page: str) -> None:
    """The copy button takes a whole block, so each holds one of the operator's commands."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    for block in re.findall(r"^ *```shell\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        commands = [line for line in block.splitlines() if re.match(r" *(dualsync|make) ", line)]
        assert len(commands) <= 1, block
