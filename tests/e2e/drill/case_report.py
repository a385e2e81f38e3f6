"""The report of a case: events, commands with their exit codes, alarms and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from sandbox.cloudwatch.alarms import Verdict


@dataclass(frozen=True)
class Answer:
    """One call of the command line."""

    arguments: Sequence[str]
    """Arguments without the global options."""

    code: int
    """Exit code."""

    out: str
    """Standard output."""

    err: str
    """Standard error."""

    data: Any = None
    """The JSON document on standard output; None when there is none."""

    @property
    def line(self) -> str:
        """Return the command as an operator types it."""
        return "dualsync " + " ".join(a for a in self.arguments if a != "--json")


@dataclass(frozen=True)
class Check:
    """One checked expectation."""

    text: str
    """What is expected."""

    good: bool
    """Whether it holds."""

    detail: str = ""
    """What was found instead; empty when it holds."""


@dataclass
class CaseReport:
    """The record of a case, in the order in which it is printed."""

    name: str
    """Name of the case on the command line."""

    title: str
    """Heading."""

    happened: list[str] = field(default_factory=list)
    """Events of the case: faults, and repairs outside the command line."""

    status: Answer | None = None
    """`dualsync status` while the fault was present."""

    now: list[Verdict] = field(default_factory=list)
    """Alarms raised at once."""

    lasting: list[Verdict] = field(default_factory=list)
    """Alarms raised if the fault lasts half an hour."""

    commands: list[tuple[Answer, str]] = field(default_factory=list)
    """Further commands, each with the gist of its answer."""

    checks: list[Check] = field(default_factory=list)
    """Checked expectations."""

    failure: str = ""
    """Why the case stopped early; empty when it ran to its end."""

    seconds: float = 0.0
    """Duration."""

    def check(self, check: Check) -> None:
        """Add a checked expectation."""
        self.checks.append(check)

    @property
    def good(self) -> bool:
        """Return whether the case ran to its end and every check holds."""
        return not self.failure and bool(self.checks) and all(check.good for check in self.checks)


def show(console: Console, report: CaseReport) -> None:
    """Print the report of a case."""
    mark = "[bold green]✓[/]" if report.good else "[bold red]✗[/]"
    console.print(f"\n{mark} [bold]{report.title}[/] [dim]({report.name}, {report.seconds:.0f} s)[/]")
    for text in report.happened:
        console.print(f"  {escape(text)}")
    if report.status is not None:
        _status(console, report.status)
    _alarms(console, report)
    for answer, gist in report.commands:
        console.print(f"  [cyan]$ {escape(answer.line)}[/] → exit {answer.code}{': ' if gist else ''}{escape(gist)}")
    for check in report.checks:
        sign = "[green]✓[/]" if check.good else "[red]✗[/]"
        detail = f" [dim]({escape(check.detail)})[/]" if check.detail else ""
        console.print(f"  {sign} {escape(check.text)}{detail}")
    if report.failure:
        console.print(f"  [red]✗ {escape(report.failure)}[/]")


def _status(console: Console, answer: Answer) -> None:
    states = ", ".join(f"{d['name']} {d['state']}" for d in answer.data["directions"])
    console.print(f"  [cyan]$ dualsync status[/] → exit {answer.code}: {escape(states)}")
    for problem in answer.data["problems"]:
        console.print(f"      {problem['weight']}  {problem['direction']}  {escape(problem['what'])}")
        console.print(f"      [dim]→ {escape(problem['remedy'])}[/]")


def _alarms(console: Console, report: CaseReport) -> None:
    now = {verdict.name for verdict in report.now}
    later = [verdict for verdict in report.lasting if verdict.name not in now]
    for verdicts, when in ((report.now, "at once"), (later, "if it lasts")):
        for verdict in verdicts:
            console.print(f"  [yellow]alarm[/] {verdict.name} ({when}): [dim]{escape(verdict.description)}[/]")
    if not report.now and not report.lasting:
        console.print("  [yellow]alarm[/] none")
