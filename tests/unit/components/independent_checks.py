"""Write the page of checks by other projects' schemas and servers, from the lists that the tests use.

python -m tests.unit.components.independent_checks    writes docs/independent-checks.md
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.unit.components.cloudformation import DOCUMENT, KINDS, MORE, NO_TYPE, PROVIDER, REGIONS, SHAPE
from tests.unit.components.config.test_config_fuzz import DEPLOYABLE, EXAMPLES, REFUSED
from tests.unit.components.conftest import both_sides, fake_bundles, tidied
from tests.unit.components.recorder import Deployment, deploy
from tools.docs import reference

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "independent-checks.md"

HEAD = """# Checked by what others wrote

The accounts of AWS are out of the tests' reach. Schemas of AWS and servers of other projects therefore judge what the
program registers and how the runtime speaks to its services. The page is written by
`python -m tests.unit.components.independent_checks` from the lists that the tests use. A test fails when the page is
out of date.

"""

SCHEMAS = """## AWS's schemas of resources

`tests/unit/components/test_cloudformation.py` compares every value that the program registers with the CloudFormation
schema of its type, as cfn-lint ships it per region: {regions}. Each type must exist in each
of them. *Compared* counts the properties that the tests' four deployments give and the schema judges. The table names
what judges the others: in short, as far as several types share it.

{shared}

"""

FUZZ = """## Wrong values in the configuration

`tests/unit/components/config/test_config_fuzz.py` holds {refused} wrong configurations, each refused in one line before
anything is created, and {deployable} odd ones that must deploy. Random values for any key, {examples} sets per
test run, must be one or the other.

"""

SERVER = """## A server that verifies signatures and policies

`make conformity` runs the contract tests of the ports and a whole pair over ministack, which verifies signatures and
evaluates IAM policies. The pair uses the program's own buckets, queues, tables, roles, users and policies, in two
accounts. Each role must be allowed what it needs, and refused what its policy leaves out.

Skipped by name, with the page of AWS's documentation that decides:

"""


SHARED = (DOCUMENT, PROVIDER, SHAPE)
"""What judges properties of several types: "in short: in full"."""


def compared(deployments: Sequence[Deployment]) -> dict[str, set[str]]:
    """Return the properties that the deployments give, per type."""
    given: dict[str, set[str]] = {}
    for deployment in deployments:
        for resource in deployment.aws:
            given.setdefault(resource.type, set()).update(resource.inputs)
    return given


def judged(given: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield a row per registered type."""
    for kind in sorted(given):
        if kind in NO_TYPE:
            yield [f"`{kind}`", "none", "0", NO_TYPE[kind]]
            continue
        of = KINDS[kind]
        others: dict[str, list[str]] = {}
        for name in sorted(given[kind] & set(of.unjudged)):
            others.setdefault(_short(of.unjudged[name]), []).append(f"`{name}`")
        yield [
            f"`{kind}`",
            f"`{of.name}`",
            str(len(given[kind] - set(of.unjudged))),
            "; ".join(f"{', '.join(names)}: {judge}" for judge, names in others.items()),
        ]


def _short(judge: str) -> str:
    return judge.partition(":")[0] if judge in SHARED else judge


def skipped() -> Iterator[list[str]]:
    """Yield (test, what differs, what decides) per test that is skipped for ministack."""
    for path in sorted((ROOT / "tests" / "contract").glob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            pages = {
                of.targets[0].id: ast.literal_eval(of.value)
                for of in ast.walk(function)
                if isinstance(of, ast.Assign) and isinstance(of.targets[0], ast.Name)
                if isinstance(of.value, ast.Constant)
            }
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "differs":
                    _, server, how, page = call.args
                    if ast.literal_eval(server) == "ministack":
                        decides = pages[page.id] if isinstance(page, ast.Name) else ast.literal_eval(page)
                        yield [f"`{path.name}::{function.name}`", ast.literal_eval(how), decides]


def text(deployments: Sequence[Deployment]) -> str:
    """Return the page."""
    rows = list(judged(compared(deployments)))
    pair = ast.get_docstring(ast.parse((ROOT / "tests" / "integration" / "ministack" / "pair.py").read_text()))
    deviations = (pair or "").partition("\n\n")[2]
    return "".join(
        [
            HEAD,
            SCHEMAS.format(
                regions=", ".join(f"`{region}`" for region in REGIONS),
                shared="\n".join(f"- *{short}*: {by.strip()}." for short, _, by in (j.partition(":") for j in SHARED)),
            ),
            reference.table(["type", "in CloudFormation", "compared", "judged by something else"], rows),
            "\n",
            FUZZ.format(refused=len(REFUSED), deployable=len(DEPLOYABLE), examples=EXAMPLES),
            SERVER,
            reference.table(["test", "ministack", "decided by"], list(skipped())),
            f"\n{deviations}\n",
        ]
    )


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, tidied():
        bundles = fake_bundles(Path(folder))
        changes: Sequence[tuple[str, dict[str, Any] | None]] = (
            ("cn", None),
            ("global", None),
            ("cn", both_sides() | {"alarmTopicKey": True}),
            ("cn", MORE),
        )
        PAGE.write_text(text([deploy(stack, bundles, change) for stack, change in changes]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
