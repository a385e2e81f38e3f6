"""No statement allows more than it names."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import Statement, allowed, is_identity, odd_elements, unreadable
from policy.plan import Resource
from policy.rule import Finding, Options, Rule

UNSCOPED = frozenset(
    [
        "ecr:GetAuthorizationToken",
        *("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
        *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
    ]
)
"""Actions without resources (Service Authorization Reference): only `*` can be their resource."""

UNSCOPED_IF = {"cloudwatch:PutMetricData": "cloudwatch:namespace", "ecs:ListTasks": "ecs:cluster"}
"""Further actions without resources, and the condition key that confines each."""


def none(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield wildcards for actions, `Not…` elements, and resources without a name."""
    for path in unreadable(resource):
        yield Finding(resource, f"{resource.name}.{path} holds no policy document that can be read")
    for path, element in odd_elements(resource):
        yield Finding(resource, f"{resource.name}.{path} has the element {element}, which IAM's grammar does not name")
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
        elif not names_something(arn):
            yield Finding(resource, f"{where} reaches {arn}")


def _unscoped(action: str, statement: Statement) -> bool:
    if action in UNSCOPED:
        return True
    return action in UNSCOPED_IF and bool(statement.bound(UNSCOPED_IF[action]))


def names_something(arn: str) -> bool:
    """Return whether an ARN names something.

    Wildcards may follow a name (`bucket/prefix*`, `secret:name-??????`); they may not replace the service, the region
    or the account.
    """
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
    """Return whether the statement hands a KMS key to its own account's administrators.

    Without such a statement no user could change the key again (KMS Developer Guide, default key policy).
    """
    ids = resource.account.account_ids if resource.account is not None else ()
    own = {("AWS", name) for i in ids for name in (i, f"arn:aws:iam::{i}:root", f"arn:aws-cn:iam::{i}:root")}
    holders = statement.principals
    return resource.kind in ("kms.Key", "kms.KeyPolicy") and bool(holders) and set(holders) <= own


RULES = (
    Rule(
        name="no-wildcard",
        what="No policy allows all actions of a service, or reaches resources that it does not name.",
        why="Other pairs, other buckets and the other side's resources live in the same accounts; a wildcard joins"
        " them.",
        remedy="Name the actions, and the resource by its ARN. A wildcard may follow a name of this pair. Where AWS has"
        " no resource for the action, add the condition that confines it, with exact values.",
        each=none,
    ),
)
