"""Take pictures of the documentation's pages, as on a desktop screen and a phone, for a review by eye.

`python -m tools.docs.site_pictures` builds the site and writes `build/pictures/PAGE-WIDTH-SCHEME-N.png`; page names as
arguments choose other pages. Needs Chromium, which no other part of the project needs. Nothing of it is committed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.docs import browser

ROOT = Path(__file__).resolve().parents[2]

SITE = ROOT / "build" / "site"
"""Folder that `mkdocs.yml` builds the site into."""

PICTURES = ROOT / "build" / "pictures"
"""Folder of the pictures. Its contents are replaced."""

PAGES = (
    "index",
    "getting-started",
    "runbook",
    "troubleshooting",
    "configuration",
    "commands",
    "how-it-works",
    "architecture",
    "consistency",
    "benchmarks",
    "cost",
)
"""Pages that are taken unless others are named."""

TALLEST = 2400
"""Height of a picture at most, in pixels. A longer page becomes several pictures."""


def take(site: Path, folder: Path, pages: list[str]) -> list[Path]:
    """Write the pictures of these pages into a folder and return their paths."""
    written = []
    with browser.served(site) as address, browser.browser() as shown:
        for screen in browser.SCREENS:
            shown.show_on(screen)
            for page in pages:
                shown.open(f"{address}/{page}.html")
                height = int(shown.run("document.scrollingElement.scrollHeight"))
                for number, top in enumerate(range(0, height, TALLEST), start=1):
                    file = folder / f"{page.replace('/', '-')}-{screen.name}-{number}.png"
                    file.write_bytes(shown.picture(top, min(TALLEST, height - top), screen.width))
                    written.append(file)
    return written


def main(arguments: list[str]) -> int:
    """Build the site, take the pictures, and return the exit code: 0 after success, 2 without a browser."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs.site_pictures", description="Take pictures of the site."
    )
    parser.add_argument("pages", nargs="*", default=PAGES, help="pages without .html (default: the main ones)")
    given = parser.parse_args(arguments)
    if browser.path() is None:
        print(browser.ABSENT, file=sys.stderr)
        return 2
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(SITE)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    print(f"{len(take(SITE, PICTURES, list(given.pages)))} pictures in {PICTURES.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
