"""Who may import whom: dependencies point one way, and only edges know vendors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENDORS = {"boto3", "botocore", "awscrt", "s3transfer", "mypy_boto3_s3", "urllib3"}
WORLD = {"os", "time", "random", "socket", "subprocess", "threading"}
"""What a deterministic scheduler could not hold still."""
SHELLS = ("__main__", "processes", "commands")
"""What puts a process together from settings and edges."""


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def packages(file: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(file)}


CORE = [f for f in files("runtime") if not {"edges", *SHELLS} & {*f.parts, f.stem}]
TO_SYSTEMD = ROOT / "runtime" / "watchdog.py"
"""A socket of its own, no worker's call: nothing is decided by it."""


@pytest.mark.parametrize("file", files("runtime"), ids=name)
def test_what_runs_in_the_cloud_knows_nothing_of_what_deploys_it(file: Path) -> None:
    assert not packages(file) & {"pulumi", "pulumi_aws", "pulumi_policy", "components", "policy", "sandbox", "tests"}


@pytest.mark.parametrize("file", CORE, ids=name)
def test_the_core_knows_no_vendor_and_no_edge(file: Path) -> None:
    assert not packages(file) & VENDORS
    assert not [m for m in imports(file) if ".edges." in f"{m}."]
    assert not [m for m in imports(file) if m.startswith(tuple(f"runtime.{shell}." for shell in SHELLS))]


@pytest.mark.parametrize("file", [f for f in CORE if f.parent.name == "runtime" and f != TO_SYSTEMD], ids=name)
def test_the_core_has_no_clock_and_no_environment_of_its_own(file: Path) -> None:
    assert not packages(file) & WORLD


@pytest.mark.parametrize("file", files("components"), ids=name)
def test_of_the_runtime_components_know_the_settings_and_the_log_s_words(file: Path) -> None:
    known = {m for m in imports(file) if m.partition(".")[0] == "runtime"}
    assert {m for m in known if not m.startswith(("runtime.settings.", "runtime.log."))} == set()
    assert not packages(file) & {"sandbox", "policy", "tests"}


def test_the_program_knows_components_only() -> None:
    program = ROOT / "__main__.py"
    assert not packages(program) & {"runtime", "sandbox", "policy", "tests", *VENDORS}
