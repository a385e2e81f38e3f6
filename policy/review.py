"""Run the whole pack over a plan, without the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policy.plan import Plan
from policy.rule import Finding, Level, Options, Rule
from policy.rules import RULES


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule and a place where it does not hold."""

    rule: Rule
    """The rule."""
    finding: Finding
    """The place."""

    def __str__(self) -> str:
        return f"[{self.rule.level}] {self.rule.name}: {self.finding.resource.name}: {self.rule.message(self.finding)}"


def review(plan: Plan, options: Mapping[str, Options] | None = None, rules: Iterable[Rule] = RULES) -> list[Violation]:
    """Return every violation, in the order of the rules. `options` holds each rule's options by its name."""
    return [
        Violation(rule, finding)
        for rule in rules
        if rule.level is not Level.DISABLED
        for finding in rule.check(plan, (options or {}).get(rule.name))
    ]
