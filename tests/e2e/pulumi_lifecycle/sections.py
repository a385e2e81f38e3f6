"""List the sections of the transcript. Each has a sandbox of its own, so that one can be written again alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tests.e2e.pulumi_lifecycle import deploy_roles, identities, incidents
from tests.e2e.pulumi_lifecycle.life import FILES, SETTINGS, Lifecycle
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

HEAD = """# A pair's life under the real engine

`make engine-demo` wrote this transcript: the `pulumi` command with the real program, on a local file
backend, against the sandbox's two accounts. Workers and finder are the real ones. Every remark was checked. Lines are
trimmed.

Checks by schemas of AWS and by servers of other projects are on [a page of their own](independent-checks.md).
"""


@dataclass(frozen=True)
class Section:
    """One lifecycle under the engine, which begins and ends with empty accounts."""

    name: str
    """Name on the command line."""

    title: str
    """Heading in the transcript."""

    play: Callable[[EngineStage, Transcript], None]
    """Runs it. Raises `LifecycleError` and the errors of commands."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the runtime (variables)."""

    environment: Callable[[Path], Mapping[str, str]] = lambda folder: {}
    """Returns further variables of the deployment's processes, for the sandbox's folder."""

    def run(self, report: Callable[[str], None] = lambda line: None) -> Transcript:
        """Run it in a sandbox of its own and return its transcript."""
        page = Transcript(report)
        with EngineStage.open(f"engine-{self.name}", self.settings, self.environment) as engine:
            self.play(engine, page)
        return page


def _life(engine: EngineStage, page: Transcript) -> None:
    Lifecycle(engine, page, FILES).play()


SECTIONS = (
    Section("life", "From the first preview to the last destroy", _life, SETTINGS),
    Section("interrupted", "An `up` that is killed at every step", incidents.interrupted),
    Section("lost-side", "A lost bucket, and a lost account", incidents.lost_side),
    Section("deleted-by-hand", "Resources deleted by hand", incidents.deleted_by_hand),
    Section("second-state", "Protection, a second state, renames", incidents.second_state),
    Section("identities", "From keys to roles, and back", identities.keys_and_roles, SETTINGS),
    Section("deploy-roles", "Under the published deploy roles", deploy_roles.under_roles, {}, deploy_roles.environment),
)


def merged(page: str, made: Mapping[str, Transcript], today: date) -> str:
    """Return the page with the given sections written again, and the others as they are."""
    kept = _bodies(page)
    for section in SECTIONS:
        if section.name in made:
            kept[section.title] = f"Written on {today}.\n\n{made[section.name].text()}"
    parts = [f"## {s.title}\n\n{kept[s.title].strip()}\n" for s in SECTIONS if s.title in kept]
    return "\n".join([HEAD, *parts])


def _bodies(page: str) -> dict[str, str]:
    """Return the text of each section of a page, by its heading."""
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        found[title] = body
    return found
