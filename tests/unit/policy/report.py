"""Write the pack's report as a page: over both stacks, and over each seeded violation.

python -m tests.unit.policy.report    writes docs/policy-report.md
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from policy.plan import Plan
from policy.review import Violation, review
from policy.rules import RULES
from tests.unit.components.conftest import both_sides, fake_bundles, tidied
from tests.unit.policy.plans import at_first_preview, plan_of
from tests.unit.policy.seeding import CONFIG, Seed, Seeder, batches
from tests.unit.policy.seeds import SEEDS
from tools.docs import reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "policy-report.md"

HEAD = """# What the policy pack reports

Findings over this project's own two stacks, and over the same program with seeded violations. The page is written by
`python -m tests.unit.policy.report`, which runs the pack's functions over the resources that the program registers. A
test fails when the page is out of date. `tests/unit/policy/test_engine.py` runs part of the same seeds under the real
engine (`pulumi preview --policy-pack policy`), and expects these violations and no other.

A violation that is found at deployment only depends on a value that is unknown before the deployment.

"""


def stacks(bundles: Path) -> Iterator[tuple[str, str, list[Violation]]]:
    """Yield (what, when, violations) of the program as it is, none waived."""
    for name, changes in (("`cn`", None), ("`global`", None), ("one stack with both sides", both_sides())):
        plan = plan_of("global" if name == "`global`" else "cn", bundles, changes)
        yield name, "first preview", review(at_first_preview(plan))
        yield name, "deployment", review(plan)


def seeded_violations(bundles: Path) -> Iterator[tuple[Seed, bool, Violation]]:
    """Yield (seed, known at preview, violation) of each seed."""
    for seeds in batches(SEEDS):
        seeder = Seeder(*seeds)
        plan: Plan = plan_of("cn", bundles, both_sides() | CONFIG, seeder.transformation, seeder.extra)
        early = {(v.rule.name, v.finding.resource.name) for v in review(at_first_preview(plan))}
        for violation in review(plan):
            found = (violation.rule.name, violation.finding.resource.name)
            yield next(s for s in seeds if found in s.found), found in early, violation


def text(bundles: Path) -> str:
    """Return the page."""
    clean = [[what, when, ", ".join(map(str, found)) or "nothing"] for what, when, found in stacks(bundles)]
    order = {seed.id: number for number, seed in enumerate(SEEDS)}
    found = sorted(
        seeded_violations(bundles),
        key=lambda row: (order[row[0].id], row[2].rule.name != row[0].rule, row[2].finding.detail),
    )
    rows = [
        (f"`{seed.id}`", f"`{v.rule.name}`", _moment(early), reference.plain(v.finding.detail))
        for seed, early, v in found
    ]
    return (
        HEAD
        + f"## The program\n\nAll {len(RULES)} rules, mandatory, none waived.\n\n"
        + reference.table(("stack", "when", "violations"), clean)
        + "\n## Seeded violations\n\n"
        + f"{len(SEEDS)} seeds, at least one per rule. The first rule of a seed names the violation; others follow"
        " where the change breaks them too.\n\n" + reference.table(("seed", "caught by", "found at", "finding"), rows)
    )


def _moment(early: bool) -> str:
    return "first preview" if early else "deployment"


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, tidied():
        PAGE.write_text(text(fake_bundles(Path(folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
