"""The pack's report as a page: over both stacks, and over each seeded violation.

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
from tests.unit.components.conftest import stand_ins, tidied
from tests.unit.policy.conftest import both_sides
from tests.unit.policy.plans import at_first_preview, plan_of
from tests.unit.policy.seeds import SEEDS
from tests.unit.policy.sowing import Seed, Sower, batches
from tools.docs import reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "policy-report.md"

HEAD = """# What the policy pack reports

Over this project's own two stacks, and over the same program with one violation after the other sown into it. Written
by `python -m tests.unit.policy.report` from the pack's own functions over what the program registers; a test fails
when it
is no longer so. The real engine is given the same seeds (`pulumi preview --policy-pack policy`) by
`tests/unit/policy/test_engine.py`, which wants these violations and no other.

"""


def stacks(bundles: Path) -> Iterator[tuple[str, str, list[Violation]]]:
    """(what, when, violations) of the program as it is, none waived."""
    for name, changes in (("`cn`", None), ("`global`", None), ("one stack with both sides", both_sides())):
        plan = plan_of("global" if name == "`global`" else "cn", bundles, changes)
        yield name, "first preview", review(at_first_preview(plan))
        yield name, "deployment", review(plan)


def sown(bundles: Path) -> Iterator[tuple[Seed, bool, Violation]]:
    """(seed, known at preview, violation) of each seed."""
    for seeds in batches(SEEDS):
        sower = Sower(*seeds)
        plan: Plan = plan_of("cn", bundles, both_sides(), sower.transformation, sower.extra)
        early = {(v.rule.name, v.finding.resource.name) for v in review(at_first_preview(plan))}
        for violation in review(plan):
            found = (violation.rule.name, violation.finding.resource.name)
            yield next(s for s in seeds if s.caught == found), found in early, violation


def text(bundles: Path) -> str:
    """The page."""
    clean = [[what, when, ", ".join(map(str, found)) or "nothing"] for what, when, found in stacks(bundles)]
    order = {seed.id: number for number, seed in enumerate(SEEDS)}
    found = sorted(sown(bundles), key=lambda row: (order[row[0].id], row[2].finding.detail))
    rows = [
        [f"`{seed.id}`", f"`{v.rule.name}`", "first preview" if early else "deployment", v.finding.detail]
        for seed, early, v in found
    ]
    return (
        HEAD
        + f"## The program\n\nAll {len(RULES)} rules, mandatory, none waived.\n\n"
        + reference.table(("stack", "when", "violations"), clean)
        + "\n## Seeded violations\n\n"
        + f"{len(SEEDS)} seeds, at least one a rule; each is caught by its rule and by no other.\n\n"
        + reference.table(("seed", "caught by", "found at", "what the report says"), rows)
    )


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, tidied():
        PAGE.write_text(text(stand_ins(Path(folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
