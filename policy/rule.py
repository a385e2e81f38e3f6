"""A rule: what it looks for, why that matters to a synchronised pair, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from policy.plan import Plan, Resource


class Level(StrEnum):
    """What a finding does, as CrossGuard names it."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule does not hold."""

    resource: Resource
    detail: str


Options = Mapping[str, Any]
ResourceCheck = Callable[[Resource, Options], Iterator[Finding]]
PlanCheck = Callable[[Plan, Options], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A rule's setting, as the pack's configuration names it."""

    default: Any
    help: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Either `each`, asked of every resource before it is made, or `all`, asked of the whole stack."""

    name: str
    what: str
    why: str
    remedy: str
    each: ResourceCheck | None = None
    all: PlanCheck | None = None
    level: Level = Level.MANDATORY
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.each is None) == (self.all is None):
            raise ValueError(f"rule {self.name}: give each or all")

    def settings(self, given: Options | None = None) -> Options:
        """The options' values: given, else default."""
        return {name: (given or {}).get(name, option.default) for name, option in self.options.items()}

    def check(self, plan: Plan, given: Options | None = None) -> Iterator[Finding]:
        """Every place in `plan` where the rule does not hold."""
        options = self.settings(given)
        if self.all is not None:
            yield from self.all(plan, options)
        elif self.each is not None:
            for resource in plan.resources:
                yield from self.each(resource, options)

    def message(self, finding: Finding) -> str:
        """What is wrong, why it matters here, the remedy: three lines."""
        return f"{finding.detail}\nWhy: {self.why}\nRemedy: {self.remedy}"
