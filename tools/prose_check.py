"""Finds words that the style guide in CONTRIBUTING.md replaces: in documentation, docstrings, texts, comments, names.

python -m tools.prose_check             exit code 1 and one line per finding
python -m tools.prose_check --count     findings per file
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WORDS: dict[str, str] = {
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"stands? in\b(?! the way)|stood in": "is in, is written in",
    r"stand-ins?": "local cloud emulator, fake",
    r"so many": "N, a number",
    r"so often": "N times",
    r"(go|goes|going|went) on|gone on(?! (both|either|one|the|this))": "continue, resume",
    r"(can|could|may|to) be had": "is available, can be recovered",
    r"in vain": "without success",
    r"turn about|turn and turn": "alternating",
    r"quarter of an hour": "15 minutes",
    r"somebody|someone|nobody|no one": "an operator, a user, another program",
    r"whoever": "the process that, the user who",
    r"a person": "an operator, a user",
    r"night drill": "failure drill",
    r"ways? out": "internet egress",
    r"is no matter": "is harmless",
    r"work(s|ed|ing)? off": "process",
    r"strikes? off|struck off": "remove from the list",
    r"sown": "seeded, put",
    r"by and by": "periodically",
    r"careful looks?": "full check",
    r"quiet path": "fast path",
    r"in good order": "cleanly",
    r"dies|died(?! \|)|(workers?|instances?|that|which) die": "ends, is killed, crashes",
    r"looked at|(the|it|which|that) looks? at": "read, check",
    r"says more": "states more, shows details",
    r"(workers?|finders?|process|programs?|commands?) (says?|tells?|hears?)": "logs, reports, returns",
}
"""Replaced phrases, as regular expressions for whole words, with what to write instead."""

NAME_WORDS: dict[str, str] = {
    **{word: instead for word, instead in WORDS.items() if word != r"work(s|ed|ing)? off"},
    r"stand ins?": "local cloud emulator, fake",
    r"sow|sows|sower|sowing": "seed, seeded",
    r"bury|buries|buried": "send to the dead-letter queue, record a tombstone",
    r"giants?": "object copied in parts by several workers",
    r"careful": "full check",
    r"is no more(?! than)|no more$": "ended, deleted",
    r"(be|is|was) had": "is available, can be recovered",
    r"(a|the|each|every|no|one) looks?(?! up)": "request, check",
    r"thrice": "three times",
}
"""The same for names of functions, classes and constants, whose words are separated by underscores or capitals."""

WIRE_NAMES = frozenset({"BURIED"})
"""Names of values that logs and messages have had since version 0.1."""

FOLDERS = (
    "bench",
    "components",
    "docs",
    "examples",
    "policy",
    "runtime",
    "sandbox",
    "tests",
    "tools",
    ".ci",
    ".github",
)
SUFFIXES = (".md", ".py", ".yaml", ".yml", ".toml", ".sh", ".scenario", ".service", ".css", ".ts")
NOT_PROSE = ("tools/prose_check.py", "tests/unit/tools/test_prose_check.py")
"""Files that have to spell the words out."""


def _pattern(words: dict[str, str]) -> re.Pattern[str]:
    """Return a pattern with one group per entry, named by its position."""
    groups = (f"(?P<w{i}>\\b(?:{word})(?!\\w))" for i, word in enumerate(words))
    return re.compile("|".join(groups).replace(" ", "\\s+"), re.IGNORECASE)


_PATTERN = _pattern(WORDS)
_NAME_PATTERN = _pattern(NAME_WORDS)
_MIN_SPACES = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One phrase in one file."""

    path: str
    """Path from the project's root."""
    line: int
    """Line number, from 1."""
    phrase: str
    """The text as written."""
    instead: str
    """What to write."""

    def __str__(self) -> str:
        """Return the finding as one line that editors can follow."""
        return f"{self.path}:{self.line}: '{self.phrase}': write {self.instead}"


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield a file's prose, with the line where each text begins."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _python(text)
    elif path.suffix == ".md":
        yield from _markdown(text)
    else:
        yield from enumerate(text.splitlines(), 1)


def findings(path: Path, root: Path = ROOT) -> Iterator[Finding]:
    """Yield what is wrong in a file."""
    where = str(path.relative_to(root))
    for start, text in prose(path):
        for match in _PATTERN.finditer(text):
            line = start + text.count("\n", 0, match.start())
            yield Finding(where, line, " ".join(match[0].split()), _instead(match, WORDS))
    if path.suffix == ".py":
        for line, name in names(path.read_text(encoding="utf-8")):
            for match in _NAME_PATTERN.finditer(_words(name)):
                yield Finding(where, line, name, _instead(match, NAME_WORDS))


def names(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each function, class and constant that a module defines, except wire names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id.isupper() and target.id not in WIRE_NAMES:
                    yield node.lineno, target.id


def _words(name: str) -> str:
    """Return the words of an identifier, separated by spaces."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").replace("_", " ").lower()


def _instead(match: re.Match[str], words: dict[str, str]) -> str:
    """Return what to write instead of a match."""
    return list(words.values())[int((match.lastgroup or "w0")[1:])]


def files(root: Path = ROOT) -> list[Path]:
    """Return every file with prose."""
    found = [p for folder in FOLDERS for p in (root / folder).rglob("*") if p.suffix in SUFFIXES and p.is_file()]
    found += [p for p in (root / ".ci").iterdir() if not p.suffix and p.is_file()]
    found += [p for p in root.iterdir() if p.suffix in SUFFIXES or p.name == "Makefile"]
    names = {str(p.relative_to(root)): p for p in found if "node_modules" not in p.parts}
    return [path for name, path in sorted(names.items()) if name not in NOT_PROSE]


def _python(text: str) -> Iterator[tuple[int, str]]:
    """Yield the texts (docstrings, messages, help) and comments of a module. One word alone is a name, not prose."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") >= _MIN_SPACES:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text without code; the line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", "~", match[0])

    text = re.sub(r"^ *```.*?^ *```", blank, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]+`", blank, text)
    yield 1, re.sub(r"\]\([^)]*\)", blank, text)


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose_check", description=__doc__.split("\n")[0])
    parser.add_argument("--count", action="store_true", help="print findings per file and the sum")
    given = parser.parse_args(arguments)
    found = [finding for path in files() for finding in findings(path)]
    if given.count:
        for path, count in Counter(finding.path for finding in found).most_common():
            sys.stdout.write(f"{count:4d} {path}\n")
        sys.stdout.write(f"{len(found):4d} in all\n")
        return 0
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
