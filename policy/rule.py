"""A rule: what must hold, why that matters to a synchronised pair, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from policy.plan import Plan, Resource


class Level(StrEnum):
    """The effect of a finding, by CrossGuard's names."""

    MANDATORY = "mandatory"
    """The finding ends the preview or the deployment."""
    ADVISORY = "advisory"
    """The finding is reported."""
    DISABLED = "disabled"
    """The rule is not checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule does not hold."""

    resource: Resource
    """The resource that violates the rule."""
    detail: str
    """What is wrong, in one line without secrets."""


Options = Mapping[str, Any]
ResourceCheck = Callable[[Resource, Options], Iterator[Finding]]
PlanCheck = Callable[[Plan, Options], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A rule's setting, as the pack's configuration names it."""

    default: Any
    """The value where the configuration gives none."""
    help: str
    """What it is, in one line."""
    schema: Mapping[str, Any]
    """Its type as JSON schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, with its text and exactly one check: `each` or `all`."""

    name: str
    """Its name in reports and in the pack's configuration."""
    what: str
    """What must hold."""
    why: str
    """Why that matters to a pair."""
    remedy: str
    """What to do about a finding."""
    each: ResourceCheck | None = None
    """Check of one resource; it runs before that resource is made."""
    all: PlanCheck | None = None
    """Check of the whole stack; it runs at the end of a preview and of a deployment."""
    level: Level = Level.MANDATORY
    """The effect of its findings."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Settings by name."""

    def __post_init__(self) -> None:
        if (self.each is None) == (self.all is None):
            raise ValueError(f"rule {self.name}: give each or all")

    def settings(self, given: Options | None = None) -> Options:
        """Return each option's value: given, else default."""
        return {name: (given or {}).get(name, option.default) for name, option in self.options.items()}

    def check(self, plan: Plan, given: Options | None = None) -> Iterator[Finding]:
        """Yield every place in `plan` where the rule does not hold."""
        options = self.settings(given)
        if self.all is not None:
            yield from self.all(plan, options)
        elif self.each is not None:
            for resource in plan.resources:
                yield from self.each(resource, options)

    def message(self, finding: Finding) -> str:
        """Return what is wrong, why it matters here, and the remedy: three lines."""
        return f"{finding.detail}\nWhy: {self.why}\nRemedy: {self.remedy}"
