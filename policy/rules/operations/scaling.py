"""A deployment leaves the size of the fleet as scaling set it."""

from __future__ import annotations

from collections.abc import Iterator

from policy.plan import Resource
from policy.rule import Finding, Options, Rule


def not_undone(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield groups whose desired capacity each deployment would set."""
    if resource.kind != "autoscaling.Group" or resource.get("desiredCapacity") is None:
        return
    if not {"desiredCapacity", "desired_capacity"} & set(resource.ignore_changes):
        yield Finding(resource, f"{resource.name} is set to {resource.get('desiredCapacity')} at every deployment")


RULES = (
    Rule(
        name="scaling-not-undone",
        what="A deployment leaves the fleet's size to scaling.",
        why="During a backlog a deployment would end all workers but the first.",
        remedy="Add desiredCapacity to the group's ignoreChanges, or leave it unset.",
        each=not_undone,
    ),
)
