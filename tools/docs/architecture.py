"""The runtime's layers, drawn from its imports for docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "dualsync.runtime"
WIDTH = 82
"""Columns of the drawing."""


def runtime_layers(runtime: Path = ROOT / "runtime") -> str:
    """Draw the packages from the top to the bottom layer, each with its files and with what it imports."""
    arrows = package_arrows(runtime)
    lines: list[str] = []
    for level, packages in enumerate(layers(arrows)):
        lines.append(f"layer {level + 1} " + "─" * (WIDTH - len(f"layer {level + 1} ")))
        for package in sorted(packages):
            files = module_names(runtime, package)
            lines += _wrapped(package if files else f"{package}.py", files)
            if arrows[package]:
                lines += _wrapped("", ["imports", *", ".join(sorted(arrows[package])).split()])
    return "```text\n" + "\n".join(lines) + "\n```\n"


def package_arrows(runtime: Path) -> dict[str, set[str]]:
    """Return what each package, or module at the root, imports of the others."""
    arrows: dict[str, set[str]] = {}
    for file in sorted(runtime.rglob("*.py")):
        own = file.relative_to(runtime).parts[0].removesuffix(".py")
        if own != "__init__":
            arrows.setdefault(own, set()).update(_imported(file) - {own})
    return arrows


def layers(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the layers, top first. Each package is as low as its imports allow. Raises `ValueError` for a cycle."""
    rest, result, done = dict(arrows), list[set[str]](), set[str]()
    while rest:
        ready = {package for package, below in rest.items() if below <= done}
        if not ready:
            raise ValueError(f"the imports of {', '.join(sorted(rest))} form a cycle")
        result.append(ready)
        done |= ready
        rest = {package: below for package, below in rest.items() if package not in ready}
    return result[::-1]


def module_names(runtime: Path, package: str) -> list[str]:
    """Return the files of a package, those of its subpackages with the folder. Empty for a module at the root."""
    folder = runtime / package
    files = [f for f in sorted(folder.rglob("*.py")) if f.name != "__init__.py"]
    return sorted((str(f.relative_to(folder)) for f in files), key=lambda name: (name.count("/"), name))


def _imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[2] for name in names if name.startswith(f"{PACKAGE}.")}
    return found


def _wrapped(head: str, words: list[str], indent: int = 14) -> list[str]:
    lines, line = [], f"  {head}".ljust(indent)
    for word in words:
        if len(line) + len(word) + 1 > WIDTH and line.strip():
            lines.append(line.rstrip())
            line = " " * indent
        line += f"{word} "
    return [*lines, line.rstrip()]
