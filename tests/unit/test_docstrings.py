"""Test docstrings: one per field and member, imperative first, no question, only names that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("runtime", "components", "policy", "sandbox", "tools", "bench")
FILES = sorted(file for top in PRODUCT for file in (ROOT / top).rglob("*.py"))
SOURCES = [*FILES, *(f for f in sorted((ROOT / "tests").rglob("*.py")) if f.name != "test_paths.py")]
"""`test_paths.py` names paths that do not exist."""
TOPS = {*PRODUCT, "tests", "docs"}

NO_VERB = re.compile(
    r"(a|all|an|as|both|each|every|everything|for|from|how|if|no|nobody|nothing|of|one|so|some|the|this|true|what|when"
    r"|where|whether|which|who|whoever|whole|whose|why)\b",
    re.IGNORECASE,
)
"""Words with which a function's docstring must not begin. ruff's D401 judges only first words that are verbs."""

DECLARED = {"setting", "option"}
"""Functions that declare a field together with its description."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def described(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield each module, class and function of a file with its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef | ast.Module) and (text := ast.get_docstring(node)):
            yield node, text


def undocumented(tree: ast.AST) -> Iterator[str]:
    """Yield fields of dataclasses and named tuples, and members of enumerations, without their own docstring."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        fields = any("dataclass" in ast.unparse(each) for each in node.decorator_list) or "NamedTuple" in bases
        members = any(base.endswith(("Enum", "Flag")) for base in bases)
        for at, line in enumerate(node.body):
            after = node.body[at + 1] if at + 1 < len(node.body) else None
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and type(after.value.value) is str:
                continue
            if members and isinstance(line, ast.Assign):
                yield f"{node.name}.{ast.unparse(line.targets[0])}"
            if fields and isinstance(line, ast.AnnAssign):
                declared = isinstance(line.value, ast.Call) and ast.unparse(line.value.func) in DECLARED
                if not declared and "ClassVar" not in ast.unparse(line.annotation):
                    yield f"{node.name}.{ast.unparse(line.target)}"


TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


def test_every_field_and_member_has_its_own_docstring() -> None:
    assert [f"{name(file)}: {what}" for file, tree in TREES.items() for what in undocumented(tree)] == []


def test_a_missing_docstring_is_found() -> None:
    text = '@dataclass\nclass A:\n    a: int\n    """A."""\n    b: int\nclass E(StrEnum):\n    C = "c"\n'
    assert list(undocumented(ast.parse(text))) == ["A.b", "E.C"]


def test_a_functions_docstring_begins_with_a_verb() -> None:
    wrong = []
    for file, tree in TREES.items():
        for node, text in described(tree):
            kinds = {ast.unparse(each).rpartition(".")[2] for each in getattr(node, "decorator_list", ())}
            if isinstance(node, Function) and not kinds & {"property", "cached_property"} and NO_VERB.match(text):
                wrong.append(f"{name(file)}: {node.name}: {text.splitlines()[0]}")
    assert wrong == []


def test_no_docstring_is_a_question() -> None:
    questions = [text for tree in TREES.values() for _, text in described(tree) if text.splitlines()[0].endswith("?")]
    assert questions == []


def resolves(dotted: str) -> bool:
    """Return whether a dotted name is a module of the import package, or something in one."""
    parts = dotted.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        module = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        if module.exists():
            rest = parts[end:]
            return not rest or re.search(rf"\b{rest[0]}\b", module.read_text(encoding="utf-8")) is not None
    return False


def test_names_and_paths_in_docstrings_and_comments_exist() -> None:
    dead = []
    for file in SOURCES:
        for span in re.findall(r"`([\w./-]+?)`", file.read_text(encoding="utf-8")):
            top, _, rest = span.partition("/")
            package = span.startswith(("dualsync.runtime", "dualsync.components"))
            if (package and not resolves(span)) or (rest and top in TOPS and not (ROOT / span).exists()):
                dead.append(f"{name(file)}: {span}")
    assert dead == []


def test_a_name_that_does_not_exist_is_found() -> None:
    assert resolves("dualsync.runtime.ports.Bucket")
    assert resolves("dualsync.runtime.sync")
    assert not resolves("dualsync.runtime.ports.Census")
    assert not resolves("dualsync.runtime.edges")
