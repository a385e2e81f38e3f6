"""What a tag's release needs: the version that it must name, and the notes from the changelog.

python3 -m tools.release check TAG    exit code 1 and the reason when the tag can't become a release
python3 -m tools.release notes TAG    print the changelog's section of that version
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class ReleaseError(Exception):
    """The tag can't become a release; the text holds the reason and the remedy."""


def notes(tag: str, version: str, changelog: str) -> str:
    """Return the changelog's section of the tag's version. Raises `ReleaseError`."""
    if tag != f"v{version}":
        raise ReleaseError(f"{tag}: pyproject.toml has version {version}; tag v{version}, or change the version first")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    titles = {section.partition("\n")[0].split(" ")[0]: section.partition("\n") for section in sections}
    if version not in titles:
        raise ReleaseError(f"{tag}: CHANGELOG.md has no section {version}; rename the section Unreleased to it")
    title, _, text = titles[version]
    if "not released" in title:
        raise ReleaseError(f"{tag}: CHANGELOG.md calls version {version} not released; write its date instead")
    if not text.strip():
        raise ReleaseError(f"{tag}: the section {version} of CHANGELOG.md is empty; write what has changed")
    return text.strip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Check a tag or print its notes, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.release", description="Check a tag, or print its notes.")
    parser.add_argument("act", choices=("check", "notes"))
    parser.add_argument("tag", help="v and the version: v1.2.3")
    given = parser.parse_args(arguments)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    try:
        text = notes(given.tag, version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    except ReleaseError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    if given.act == "notes":
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
