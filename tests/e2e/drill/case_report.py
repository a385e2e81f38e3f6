"""What a case showed, for the report: commands and their exit codes, alarms, and whether all was as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from sandbox.cloudwatch.alarms import Verdict


@dataclass(frozen=True)
class Answer:
    """One call of the command line; `data` is its JSON document, if it gave one."""

    arguments: Sequence[str]
    code: int
    out: str
    err: str
    data: Any = None

    @property
    def line(self) -> str:
        """As it is typed."""
        return "dualsync " + " ".join(a for a in self.arguments if a != "--json")


@dataclass(frozen=True)
class Check:
    """Something that must be so."""

    text: str
    good: bool
    detail: str = ""


@dataclass
class Told:
    """The record of a case, in the order of the report."""

    name: str
    title: str
    happened: list[str] = field(default_factory=list)
    status: Answer | None = None
    now: list[Verdict] = field(default_factory=list)
    lasting: list[Verdict] = field(default_factory=list)
    asked: list[tuple[Answer, str]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0

    def check(self, check: Check) -> None:
        """One more thing that was looked at."""
        self.checks.append(check)

    @property
    def good(self) -> bool:
        """Did the case behave?"""
        return not self.failure and bool(self.checks) and all(check.good for check in self.checks)


def show(console: Console, told: Told) -> None:
    """Print a case's report."""
    mark = "[bold green]✓[/]" if told.good else "[bold red]✗[/]"
    console.print(f"\n{mark} [bold]{told.title}[/] [dim]({told.name}, {told.seconds:.0f} s)[/]")
    for text in told.happened:
        console.print(f"  {escape(text)}")
    if told.status is not None:
        _status(console, told.status)
    _alarms(console, told)
    for answer, gist in told.asked:
        console.print(f"  [cyan]$ {escape(answer.line)}[/] → exit {answer.code}{': ' if gist else ''}{escape(gist)}")
    for check in told.checks:
        sign = "[green]✓[/]" if check.good else "[red]✗[/]"
        detail = f" [dim]({escape(check.detail)})[/]" if check.detail else ""
        console.print(f"  {sign} {escape(check.text)}{detail}")
    if told.failure:
        console.print(f"  [red]✗ {escape(told.failure)}[/]")


def _status(console: Console, answer: Answer) -> None:
    states = ", ".join(f"{d['name']} {d['state']}" for d in answer.data["directions"])
    console.print(f"  [cyan]$ dualsync status[/] → exit {answer.code}: {escape(states)}")
    for problem in answer.data["problems"]:
        console.print(f"      {problem['weight']}  {problem['direction']}  {escape(problem['what'])}")
        console.print(f"      [dim]→ {escape(problem['remedy'])}[/]")


def _alarms(console: Console, told: Told) -> None:
    now = {verdict.name for verdict in told.now}
    later = [verdict for verdict in told.lasting if verdict.name not in now]
    for verdicts, when in ((told.now, "at once"), (later, "if it lasts")):
        for verdict in verdicts:
            console.print(f"  [yellow]alarm[/] {verdict.name} ({when}): [dim]{escape(verdict.says)}[/]")
    if not told.now and not told.lasting:
        console.print("  [yellow]alarm[/] none")
