"""Writes the blocks of pages that come from the program, between `<!-- begin NAME -->` and `<!-- end NAME -->`.

python -m tools.docs.generate            write
python -m tools.docs.generate --check    exit code 1 and the pages' names when one is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.docs import architecture, cost, project_file, reference, review

FOLDER = Path(__file__).resolve().parents[2] / "docs"
REGION = "us-west-2"

_BLOCK = re.compile(r"(<!-- begin ([a-z-]+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)


def cost_table() -> str:
    """Return the estimates by bucket size and change rate."""
    price = cost.prices(REGION)
    rows = []
    for keys in (100_000, 1_000_000, 10_000_000, 100_000_000):
        for changes in (10_000, 1_000_000):
            bill = cost.estimate(cost.Usage(keys=keys, changes=changes), price)
            groups = ("fixed", "finder", "changes", "ledger", "transfer")
            sums = [f"{bill.total(group):,.2f}" for group in groups]
            rows.append([f"{keys:,}", f"{changes:,}", *sums, f"**{bill.total():,.0f}**"])
    head = ("keys", "changes per month", "fixed", "finder", "changes", "ledger", "transfer", "sum")
    return reference.table(head, rows)


def cost_of_interval() -> str:
    """Return the finder's cost by its interval."""
    price = cost.prices(REGION)
    minutes = (60, 360, 1440)
    rows = []
    for keys in (1_000_000, 10_000_000, 100_000_000):
        sums = [
            cost.estimate(cost.Usage(keys=keys, changes=0, interval_minutes=m), price).total("finder") for m in minutes
        ]
        rows.append([f"{keys:,}", *(f"{amount:,.2f}" for amount in sums)])
    return reference.table(("keys", *(f"`finderIntervalMinutes: {m}`" for m in minutes)), rows)


def cost_of_fixed() -> str:
    """Return the items of an idle pair."""
    bill = cost.estimate(cost.Usage(keys=0, changes=0), cost.prices(REGION))
    rows = [
        [line.what, f"{line.quantity:,.0f} {line.unit}", f"{line.amount:,.2f}", f"{line.amount - line.free:,.2f}"]
        for line in bill.lines
        if line.group == "fixed"
    ]
    total, free = bill.total("fixed"), bill.free("fixed")
    rows.append(["**sum**", "", f"**{total:,.2f}**", f"**{total - free:,.2f}**"])
    return reference.table(("item", "per month, both sides", "USD", "after the free allowances"), rows)


def cost_of_choices() -> str:
    """Return the fixed cost by the options that change it."""
    choices: tuple[tuple[str, dict[str, Any]], ...] = (
        ("the defaults, in public subnets", {}),
        ("private subnets, with a route to a NAT gateway that exists", {"public_ip": False}),
        ("`dashboard: false`", {"dashboard": False}),
        ("private subnets, `dashboard: false`", {"public_ip": False, "dashboard": False}),
        ("`alarmTopicKey: true`", {"topic_key": True}),
        ("`detailedMonitoring: true`", {"detailed_monitoring": True}),
    )
    rows = []
    for name, more in choices:
        bill = cost.estimate(cost.Usage(keys=0, changes=0, **more), cost.prices(REGION))
        total = bill.total("fixed")
        rows.append([name, f"{total:,.2f}", f"{total - bill.free('fixed'):,.2f}"])
    return reference.table(("network and config", "USD", "after the free allowances"), rows)


def cost_of_calls() -> str:
    """Return the worker's calls per change."""
    rows = [[name, str(count)] for name, count in cost.CALLS.items()]
    return reference.table(("call", "per change, both sides together"), rows)


def cost_assumptions() -> str:
    """Return the assumptions of the estimate."""
    return "".join(f"- {text};\n" for text in cost.ASSUMPTIONS.values())


def prices() -> str:
    """Return the price table."""
    table = cost.prices(REGION)
    rows = [[f"`{name}`", f"{value:g}"] for name, value in table.items() if isinstance(value, float)]
    return f"{REGION}, {table['currency']}, {table['date']}:\n\n" + reference.table(("price", table["currency"]), rows)


def decisions() -> str:
    """Return the decisions' titles, newest last."""
    pages = sorted(path for path in (FOLDER / "decisions").glob("*.md") if path.name != "index.md")
    return "".join(f"- [{_title(page)}]({page.name}) ({page.name[:10]})\n" for page in pages)


def _title(page: Path) -> str:
    return page.read_text().split("\n", 1)[0].removeprefix("# ")


BLOCKS: dict[str, Callable[[], str]] = {
    "command-reference": reference.command_reference,
    "command-table": reference.command_table,
    "common-options": reference.common_options,
    "component-outputs": review.component_outputs,
    "config-of-pair": reference.config_of_pair,
    "config-of-side": reference.config_of_side,
    "config-of-stack": reference.config_of_stack,
    "cost-assumptions": cost_assumptions,
    "cost-of-calls": cost_of_calls,
    "cost-of-choices": cost_of_choices,
    "cost-of-fixed": cost_of_fixed,
    "cost-of-interval": cost_of_interval,
    "cost-table": cost_table,
    "decisions": decisions,
    "exit-codes": reference.exit_codes,
    "policy-options": review.policy_options,
    "policy-rules": review.policy_rules,
    "prices": prices,
    "provider-arguments": review.provider_arguments,
    "role-questions": review.role_questions,
    "runtime-layers": architecture.runtime_layers,
    "settings": reference.settings,
    "side-facts": reference.side_facts,
}
"""Blocks by name, each with the function that makes it."""


def render(text: str) -> str:
    """Return the page with fresh blocks. Raises `KeyError` for an unknown block."""
    return _BLOCK.sub(lambda m: f"{m[1]}\n{BLOCKS[m[2]]().strip()}\n\n{m[4]}", text)


def stale(pages: Sequence[Path]) -> list[Path]:
    """Return the pages whose blocks differ from the program."""
    return [page for page in pages if _rendered(page) != page.read_text()]


def _rendered(page: Path) -> str:
    text = page.read_text()
    return project_file.render(text) if page == project_file.PAGE else render(text)


def pages() -> list[Path]:
    """Return every page of the site, and the project's file."""
    return [*sorted(FOLDER.rglob("*.md")), project_file.PAGE]


def main(arguments: Sequence[str]) -> int:
    """Write or check the pages and return the exit code: 0 done or up to date, 1 out of date."""
    found = stale(pages())
    if "--check" in arguments:
        for page in found:
            sys.stderr.write(f"{page.relative_to(FOLDER.parent)} is out of date: run `python -m tools.docs.generate`\n")
        return 1 if found else 0
    for page in found:
        page.write_text(_rendered(page))
        sys.stdout.write(f"{page.relative_to(FOLDER.parent)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
