"""No statement allows more than it names."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import Statement, allowed, is_identity
from policy.plan import Resource
from policy.rule import Finding, Options, Rule

UNSCOPED = frozenset(
    [
        "ecr:GetAuthorizationToken",
        *("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
        *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
    ]
)
"""Actions that know no resources (Service Authorization Reference): `*` is all that can stand there."""

UNSCOPED_IF = {"cloudwatch:PutMetricData": "cloudwatch:namespace", "ecs:ListTasks": "ecs:cluster"}
"""The same, and the condition that confines them."""


def none(resource: Resource, _: Options) -> Iterator[Finding]:
    """No `*` for actions, no `Not…`, and resources that name something of ours."""
    for statement in allowed(resource):
        where = f"{resource.name}: statement {statement.sid}"
        for element in statement.negated:
            yield Finding(resource, f"{where} allows everything but what {element} names")
        for action in statement.actions:
            wide = "*" in action if is_identity(resource) else action == "*" or action.endswith(":*")
            if wide and not _own_key(resource, statement):
                yield Finding(resource, f"{where} allows {action}")
        if is_identity(resource):
            yield from _resources(resource, statement, where)


def _resources(resource: Resource, statement: Statement, where: str) -> Iterator[Finding]:
    for arn in statement.resources:
        if arn == "*":
            wide = [a for a in statement.actions if "*" not in a and not _unscoped(a, statement)]
            if wide:
                yield Finding(resource, f"{where} allows {', '.join(wide)} on everything")
        elif not _names_something(arn):
            yield Finding(resource, f"{where} reaches {arn}")


def _unscoped(action: str, statement: Statement) -> bool:
    if action in UNSCOPED:
        return True
    return action in UNSCOPED_IF and statement.has_condition_key(UNSCOPED_IF[action])


def _names_something(arn: str) -> bool:
    """Wildcards only after a name: `bucket/prefix*`, `secret:name-??????`; never in service, region or account."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or any("*" in p or "?" in p for p in parts[:5]):
        return False
    service, rest = parts[2], parts[5]
    if service == "s3":
        return "*" not in rest.split("/")[0] and "?" not in rest.split("/")[0]
    segments = rest.replace(":", "/").split("/")
    names = segments[1:] or segments
    return any(n and not set(n) <= set("*?") for n in names)


def _own_key(resource: Resource, statement: Statement) -> bool:
    """A KMS key's policy hands the key to its account's administrators; without it nobody could ever change it."""
    holders = statement.principals
    return resource.kind == "kms.Key" and bool(holders) and all(k == "AWS" and n.endswith(":root") for k, n in holders)


RULES = (
    Rule(
        name="no-wildcard",
        what="No policy allows all actions of a service, or reaches resources that it does not name.",
        why="Other pairs, other buckets and the other side's resources live in the same accounts; a wildcard joins"
        " them.",
        remedy="Name the actions, and the resource by its ARN; a wildcard may stand only behind a name of this pair, or"
        " where AWS knows no resource, with the condition that confines the action.",
        each=none,
    ),
)
