"""The transcript of a lifecycle: each command with the trimmed output of the engine, without names of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.command import Done

SHOWN = 12
"""Resource lines shown per command."""

_STEP = re.compile(
    r"^ ([+~=-]|\+-|\+\+|--)? *([a-z]+:[\w:]+) (\S.*?) "
    r"(created|updated|deleted|replaced|imported|create|update|delete|replace|\*\*\w+ failed\*\*)\b.*$"
)
_PORT = re.compile(r"127\.0\.0\.1:\d+")


@dataclass
class Transcript:
    """Chapters of a section in Markdown. `report` is called with each line."""

    report: Callable[[str], None] = lambda line: None
    lines: list[str] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._add("", f"### {title}", "")

    def remark(self, text: str) -> None:
        """Add a sentence about a result that was checked."""
        self._add(f"- {text}")

    def command(self, line: str, done: Done, shown: int = SHOWN) -> None:
        """Add a command and the essential lines of its output."""
        self.output(line, essence(done.text, shown))

    def refusal(self, line: str, done: Done, word: str) -> None:
        """Add a command and the line of its output that holds a word: the reason why it was refused."""
        found = [text[max(0, text.find("error: ")) :].strip() for text in done.text.splitlines() if word in text]
        self.output(line, [f"   {text}" for text in found[:1]])

    def output(self, line: str, lines: Iterable[str]) -> None:
        """Add a command and its output."""
        self._add("", "```console", f"$ {line}", *(clean(text) for text in lines), "```", "")

    def text(self) -> str:
        """Return the body of the page."""
        return "\n".join(self.lines).strip() + "\n"

    def _add(self, *lines: str) -> None:
        self.lines += lines
        for line in lines:
            self.report(line)


def essence(text: str, shown: int) -> list[str]:
    """Return the first `shown` lines about changes, then the errors, then the count."""
    head, _, tail = text.partition("\nResources:\n")
    body, _, diagnostics = head.partition("\nDiagnostics:\n")
    steps = [_line(match) for match in map(_STEP.match, body.splitlines()) if match and not _is_plumbing(match[2])]
    more = len(steps) - shown
    complaints = diagnostics.partition("\nOutputs:\n")[0].rstrip().splitlines()
    counts = tail.partition("\n\n")[0].rstrip().splitlines()
    return [
        *steps[:shown],
        *([f"   … and {more} more"] if more > 0 else []),
        *without_tracebacks(line for line in complaints if line.strip()),
        *([line.strip() and f"   {line.strip()}" for line in counts]),
    ]


def without_tracebacks(complaints: Iterable[str]) -> Iterator[str]:
    """Remove tracebacks: the engine interrupts the program when a resource fails, which prints one."""
    inside = False
    for line in complaints:
        # The heading of a resource is indented by two blanks, its messages by four.
        inside = (inside or line.strip().startswith("Traceback ")) and line.startswith("    ")
        if not inside:
            yield line


def _line(match: re.Match[str]) -> str:
    return f" {match[1] or ' ':<2} {match[2]:<34} {match[3]} {match[4].strip('*')}"


def _is_plumbing(kind: str) -> bool:
    return kind.startswith(("pulumi:", "dualsync:")) and not kind.endswith("BucketSubscription")


def clean(line: str) -> str:
    """Remove ports and folders of this machine."""
    line = _PORT.sub("127.0.0.1:PORT", line)
    return re.sub(re.escape(str(ROOT)) + r"(/\.sandbox/[^/\s]+/project)?", ".", line)
