"""Test the architecture: allowed imports per package, a core without I/O, vendors in adapters only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime"
PACKAGE = "dualsync.runtime"

VENDORS = {"boto3", "botocore", "awscrt", "s3transfer", "mypy_boto3_s3", "urllib3", "pycurl"}
NONDETERMINISTIC = {"os", "time", "random", "socket", "subprocess", "threading"}
"""Modules whose results a deterministic scheduler can not control."""

LEAVES = {"settings", "errors", "log"}
"""Modules at the root that every package may import."""

ARROWS: dict[str, set[str]] = {
    "__main__": {"app", "commands"},
    "commands": {"operations", "service", "finder", "sync", "model"},
    "app": {"service", "finder", "sync", "transfer", "messages", "aws", "platform"},
    "operations": {"service", "finder", "sync", "transfer", "messages", "aws", "ports", "model", "platform"},
    "service": {"sync", "transfer", "ports", "model"},
    "finder": {"messages", "ports", "model"},
    "sync": {"transfer", "messages", "ports", "model"},
    "transfer": {"ports", "model"},
    "messages": {"model"},
    "aws": {"ports", "model", "platform"},
    "ports": {"model"},
    "platform": set(),
    "model": set(),
    "settings": {"sides"},
    "sides": set(),
    "errors": set(),
    "log": set(),
}
"""What each package of the runtime imports besides itself and the leaves. docs/architecture.md draws the same table."""

PURE = {"model", "messages", "sync", "transfer", "finder", "service", "ports"}
"""Packages without vendors and without a clock, an environment or a socket of their own."""

TO_SYSTEMD = RUNTIME / "service" / "systemd_watchdog.py"
"""A datagram socket to systemd; no decision depends on it."""


def imports(file: Path) -> Iterator[str]:
    """Yield every module that a file imports, at any place in it."""
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


def tops(file: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(file)}


def part(file: Path) -> str:
    """Return the package of the runtime that a file belongs to, or the module at its root."""
    return file.relative_to(RUNTIME).parts[0].removesuffix(".py")


def parts_imported(file: Path) -> set[str]:
    prefix = f"{PACKAGE}."
    return {module.removeprefix(prefix).split(".")[0] for module in imports(file) if module.startswith(prefix)}


@pytest.mark.parametrize("file", [f for f in files("runtime") if f != RUNTIME / "__init__.py"], ids=name)
def test_a_package_imports_only_packages_below_it(file: Path) -> None:
    own = part(file)
    assert parts_imported(file) - LEAVES - {own} <= ARROWS[own]


def test_the_table_of_arrows_is_acyclic_and_names_existing_packages() -> None:
    assert set(ARROWS) == {part(f) for f in files("runtime")} - {"__init__"}
    done: set[str] = set()
    while ready := {p for p, below in ARROWS.items() if p not in done and below <= done}:
        done |= ready
    assert done == set(ARROWS)


def test_every_arrow_of_the_table_is_in_use() -> None:
    used: dict[str, set[str]] = {p: set() for p in ARROWS}
    for file in files("runtime"):
        if file != RUNTIME / "__init__.py":
            used[part(file)] |= parts_imported(file)
    assert {p: below - used[p] for p, below in ARROWS.items() if below - used[p]} == {}


@pytest.mark.parametrize("file", files("runtime"), ids=name)
def test_the_runtime_imports_nothing_of_the_deployment(file: Path) -> None:
    assert not tops(file) & {"pulumi", "pulumi_aws", "pulumi_policy", "policy", "sandbox", "tests", "tools"}
    assert not [m for m in imports(file) if m.startswith("dualsync.components")]


@pytest.mark.parametrize("file", [f for f in files("runtime") if part(f) in PURE and f != TO_SYSTEMD], ids=name)
def test_the_core_imports_no_vendor_no_clock_and_no_environment(file: Path) -> None:
    assert not tops(file) & (VENDORS | NONDETERMINISTIC)


ACTIONS = RUNTIME / "sync" / "actions.py"
"""The only module of the core that writes or deletes objects."""
NOT_BUCKETS = {"ledger", "_ledger", "queue", "_queue"}
"""Other owners of a `put` or a `delete`."""


def effects(file: Path) -> Iterator[str]:
    """Yield each call that writes or deletes an object, as `context.local.delete`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, call = node.func.value, node.func.attr
        of = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        if (call in {"put", "delete", "complete_upload"} and of not in NOT_BUCKETS) or (of, call) == ("copier", "copy"):
            yield ast.unparse(node.func)


@pytest.mark.parametrize(
    "file", [f for f in files("runtime") if part(f) in {"sync", "finder", "service"} and f != ACTIONS], ids=name
)
def test_only_actions_write_and_delete_objects(file: Path) -> None:
    assert list(effects(file)) == []


def test_actions_contain_every_write_and_deletion() -> None:
    assert set(effects(ACTIONS)) == {"context.local.delete", "context.remote.delete", "context.copier.copy"}


@pytest.mark.parametrize("file", files("components"), ids=name)
def test_components_share_only_settings_and_log_fields_with_the_runtime(file: Path) -> None:
    known = {m for m in imports(file) if m.startswith(PACKAGE)}
    assert {m for m in known if not m.startswith((f"{PACKAGE}.settings.", f"{PACKAGE}.log."))} == set()
    assert not tops(file) & {"sandbox", "policy", "tests", "tools"}


@pytest.mark.parametrize("file", files("sandbox"), ids=name)
def test_the_sandbox_imports_neither_tests_nor_tools(file: Path) -> None:
    assert not tops(file) & {"tests", "tools", "policy", "bench", "docs"}


def test_the_program_imports_components_only() -> None:
    program = ROOT / "__main__.py"
    assert not tops(program) & {"sandbox", "policy", "tests", "tools", *VENDORS}
    assert not [m for m in imports(program) if m.startswith(PACKAGE)]


@pytest.mark.parametrize("file", [f for top in ("runtime", "components") for f in files(top)], ids=name)
def test_the_folders_are_imported_through_the_package(file: Path) -> None:
    """`import runtime` would load every module a second time, under a name that the wheel does not have."""
    assert not tops(file) & {"runtime", "components"}


@pytest.mark.parametrize(
    "folder",
    sorted({f.parent for top in ("runtime", "components", "sandbox", "tools") for f in files(top)}),
    ids=name,
)
def test_no_folder_has_more_than_16_modules(folder: Path) -> None:
    assert len([f for f in folder.glob("*.py") if f.name != "__init__.py"]) <= 16
