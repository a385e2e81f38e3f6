"""Test the prose check: what counts as prose, what is found, and that no file has a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import prose_check


def found(tmp_path: Path, name: str, text: str) -> list[str]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return [str(finding) for finding in prose_check.findings(file, tmp_path)]


def test_texts_and_comments_of_python_are_read_and_variables_are_not(tmp_path: Path) -> None:
    text = '"""It goes\non."""\n\nmend = "mend"  # mended later\nsays = f"send {mend} anew"\n'
    assert sorted(found(tmp_path, "a.py", text)) == [
        "a.py:1: 'goes on': write continue, resume",
        "a.py:4: 'mended': write fix",
        "a.py:5: 'anew': write again",
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def test_a_key_is_read_anew(): ...", "test_a_key_is_read_anew"),
        ("class BuriedMessages: ...", "BuriedMessages"),
        ("SOWN_SEEDS = 1", "SOWN_SEEDS"),
        ("async def test_an_upload_that_is_no_more(): ...", "test_an_upload_that_is_no_more"),
        ("class A:\n    def _the_run_goes_on(self): ...", "_the_run_goes_on"),
        ("def fake(): ...\ndef stand_ins(): ...", "stand_ins"),
    ],
)
def test_names_of_functions_classes_and_constants_are_checked(tmp_path: Path, code: str, name: str) -> None:
    (finding,) = found(tmp_path, "a.py", code)
    assert f": '{name}': write " in finding


@pytest.mark.parametrize(
    "code",
    [
        "BURIED = 'buried'",
        "stand_in = 1",
        "def test_no_more_than_ten(): ...",
        "def amend(): ...",
        "def test_a_look_up_fails(): ...",
    ],
)
def test_wire_names_variables_and_similar_names_are_no_findings(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, "a.py", code) == []


def test_code_and_links_in_markdown_are_left_out(tmp_path: Path) -> None:
    text = "# Anew\n\n`mend`\n\n```shell\nmend\n```\n\n[page](mend.md) in vain\n"
    assert found(tmp_path, "a.md", text) == ["a.md:1: 'Anew': write again", "a.md:9: 'in vain': write without success"]


def test_parts_of_words_are_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, "a.md", "A recommendation and an amended renewal stand in the way.") == []


@pytest.mark.parametrize(
    "phrase",
    [
        *("stands in", "a quarter of an hour", "can be had", "somebody", "so many", "stand-in"),
        *("dies", "was looked at", "says more", "waits until the worker says that"),
    ],
)
def test_each_phrase_is_found(tmp_path: Path, phrase: str) -> None:
    assert len(found(tmp_path, "a.md", f"It {phrase} here.")) == 1


def test_units_and_scripts_are_checked_too() -> None:
    names = {str(path.relative_to(prose_check.ROOT)) for path in prose_check.files()}
    assert {"components/workers/templates/worker.service", ".ci/smoke", "docs/extra.css"} <= names
    assert "examples/typescript/index.ts" in names


def test_no_file_has_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert prose_check.main([]) == 0, capsys.readouterr().out


def test_findings_are_printed_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.md"
    file.write_text("mend, anew")
    findings = prose_check.findings
    monkeypatch.setattr(prose_check, "files", lambda: [file])
    monkeypatch.setattr(prose_check, "findings", lambda path: findings(path, tmp_path))
    assert prose_check.main([]) == 1
    assert capsys.readouterr().out == "a.md:1: 'mend': write fix\na.md:1: 'anew': write again\n"
    assert prose_check.main(["--count"]) == 0
    assert capsys.readouterr().out == "   2 a.md\n   2 in all\n"
