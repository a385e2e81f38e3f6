"""Test the architecture page: its drawing agrees with the imports, and each question of a newcomer has one path."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import FOLDER, ROOT
from tests.unit.test_architecture import ARROWS, LEAVES
from tools.docs.architecture import layers, module_names, package_arrows, runtime_layers

PAGE = (FOLDER / "architecture.md").read_text(encoding="utf-8")


def test_the_drawing_shows_the_arrows_that_the_architecture_test_allows() -> None:
    drawn = package_arrows(ROOT / "runtime")
    assert {package: below - LEAVES for package, below in drawn.items() if package not in LEAVES} == {
        package: below for package, below in ARROWS.items() if package not in LEAVES
    }


def test_every_file_of_the_runtime_is_drawn() -> None:
    drawing = runtime_layers()
    for package in ("aws", "finder", "model", "sync"):
        assert all(name in drawing for name in module_names(ROOT / "runtime", package))
    assert "errors.py" in drawing
    assert max(map(len, drawing.splitlines())) <= 90


def test_layers_are_as_low_as_the_imports_allow() -> None:
    assert layers({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"c"}}) == [{"a"}, {"b", "d"}, {"c"}]
    with pytest.raises(ValueError, match="a, b form a cycle"):
        layers({"a": {"b"}, "b": {"a"}})


def test_imports_within_functions_are_drawn_too(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "x.py").write_text("def f():\n    from dualsync.runtime.low import y\n", encoding="utf-8")
    (tmp_path / "low.py").write_text("import json\n", encoding="utf-8")
    assert package_arrows(tmp_path) == {"top": {"low"}, "low": set()}


def test_each_question_of_a_newcomer_has_one_path() -> None:
    table = PAGE[PAGE.index("## How to find it") :]
    rows = re.findall(r"^\| ([A-Z].+?) \| (.+?) \|$", table, re.MULTILINE)
    assert len(rows) == 8
    assert all(re.fullmatch(r"`[\w./]+`", answer) and (ROOT / answer.strip("`")).exists() for _, answer in rows)


@pytest.mark.parametrize("title", ["The life of one message", "The life of one finder run", "What happens on 412"])
def test_the_journeys_are_numbered_steps_with_paths(title: str) -> None:
    text = PAGE[PAGE.index(f"## {title}") :].split("\n## ", 1)[0]
    steps = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
    assert steps == [str(number + 1) for number in range(len(steps))]
    assert len(steps) >= 4
    assert len(re.findall(r"`runtime/[\w./]+\.py:?\w*", text)) >= 2
