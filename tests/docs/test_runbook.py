"""Test that the runbook has an entry for every alarm, state, error, reason and config key."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from dualsync import runtime
from dualsync.components.config import declared
from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, SIDE_OPTIONS
from dualsync.components.monitoring.log_fields import FinderState
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import State
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "runbook.md").read_text()
HEADINGS = {part for line in re.findall(r"^##+ (.+)$", TEXT, re.MULTILINE) for part in line.split(", ")}


def section(title: str) -> str:
    """A chapter's text."""
    return re.split(rf"^## {title}$", TEXT, flags=re.MULTILINE)[1].split("\n## ")[0]


def strings(path: Path) -> set[str]:
    """Every text in a module's code, the fixed parts of f-strings too."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def errors(kind: type[Exception] = DualSyncError) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from errors(child)


def test_every_alarm_has_an_entry() -> None:
    for module in ("monitoring/alarms.py", "workers/scaling.py"):
        tree = ast.parse((ROOT / "components" / module).read_text())
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            called = call.func.id if isinstance(call.func, ast.Name) else ""
            given = {k.arg: k.value for k in call.keywords}
            if called == "Alarm":
                part = given["part"]
            elif called == "_alarm":
                part = call.args[1]
            else:
                continue
            assert isinstance(part, ast.Constant)
            assert str(part.value) in HEADINGS, f"the runbook does not know the alarm {part.value!r}"


def test_every_state_has_an_entry() -> None:
    wanted = {*map(str, State), "STARTING", "NO WORKER"}
    assert wanted <= HEADINGS
    assert all(f"`{state}`" in section("Finder states") for state in FinderState)


def test_every_error_has_an_entry() -> None:
    for module in pkgutil.walk_packages(runtime.__path__, "dualsync.runtime."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    wanted = {e.__name__ for e in errors() if e.__module__.startswith("dualsync.runtime.")}
    for path in (ROOT / "components").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") in _BASES for b in node.bases):
                wanted.add(node.name)
    assert {"ThrottledError", "ConfigError", "WrongAccountError"} <= wanted
    assert wanted <= HEADINGS, wanted - HEADINGS


_BASES = ("Exception", "ValueError", "RuntimeError", "LookupError")


def test_every_reason_has_an_entry() -> None:
    reasons: set[str] = set()
    core = ("finder", "messages", "service", "sync", "transfer")
    for path in (p for name in core for p in (ROOT / "runtime" / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PermanentError":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    reasons.add(str(first.value))
    assert {"archived", "denied", "contended"} <= reasons
    chapter = section("Dead-letter reasons")
    assert all(f"`{reason}`" in chapter for reason in reasons), reasons


def test_every_key_that_an_error_may_name() -> None:
    keys = {*declared.all_keys(), *SIDE_FACTS}
    named: set[str] = set()
    modules = (
        "config/stack_config",
        "config/validation",
        "config/images",
        "config/egress",
        "peer_stack",
        "preflight",
        "network",
    )
    for module in (*modules, "bundle/bundle", "bundle/builder"):
        for text in strings(ROOT / "components" / f"{module}.py"):
            named |= (
                {text.removeprefix(".")} & keys
                if module != "config/stack_config"
                else {text} & {"manages", "partition"}
            )
    for key, option in {**PAIR_OPTIONS, **SIDE_FACTS, **SIDE_OPTIONS}.items():
        rules = (option.declared.low, option.declared.high, option.declared.choices or None)
        if any(rule is not None for rule in rules) or option.declared.pattern:
            named.add(key)
    assert len(named) > 30
    chapter = section("Configuration errors")
    missing = {key for key in named - {"cn", "global"} if f"`{key}`" not in chapter}
    assert not missing, missing


def test_every_reference_to_the_page_names_a_heading() -> None:
    """Messages name the entry to read: (runbook: no-worker)."""
    found = {
        (path.name, title)
        for top in ("components", "policy", "runtime", "sandbox", "tools")
        for path in (ROOT / top).rglob("*.py")
        for text in strings(path)
        for title in re.findall(r"runbook: ([\w -]+)", text)
    }
    assert len(found) > 5
    assert {(file, title) for file, title in found if title not in HEADINGS} == set()


def test_links_within_the_page_have_targets() -> None:
    anchors = {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in _titles()}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def _titles() -> list[str]:
    return re.findall(r"^##+ (.+)$", TEXT, re.MULTILINE)
