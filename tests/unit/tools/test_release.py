"""Test which tags become releases, and with which notes."""

from __future__ import annotations

import pytest

from tools import release

CHANGELOG = """# Changes

## Unreleased

- Later.

## 1.2.0 (2026-11-28)

### Added

- A thing.

## 1.1.0

## 1.0.0 (not released)

- The first.
"""


def test_notes_are_the_versions_section() -> None:
    assert release.notes("v1.2.0", "1.2.0", CHANGELOG) == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "version", "why"),
    [
        ("v1.2.1", "1.2.0", r"v1\.2\.1: pyproject\.toml has version 1\.2\.0; tag v1\.2\.0, or change"),
        ("1.2.0", "1.2.0", "pyproject"),
        ("v2.0.0", "2.0.0", "CHANGELOG.md has no section 2.0.0; rename"),
        ("v1.1.0", "1.1.0", "the section 1.1.0 of CHANGELOG.md is empty"),
        ("v1.0.0", "1.0.0", "not released; write its date"),
    ],
)
def test_other_tags_are_refused_with_the_remedy(tag: str, version: str, why: str) -> None:
    with pytest.raises(release.ReleaseError, match=why):
        release.notes(tag, version, CHANGELOG)


def test_the_projects_own_version_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["check", "v0.0.1"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
