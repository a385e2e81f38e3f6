"""Least privilege: a closed list of what users and roles of this program may do, kept apart from the program's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policy.documents import allowed, is_identity, trust
from policy.plan import Resource
from policy.rule import Finding, Option, Options, Rule

USER_ACTIONS = frozenset(
    [
        *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket"),
        *("s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"),
    ]
)
"""What the peer's worker does here: the eight of the deployment guide."""

ROLE_ACTIONS = frozenset(
    [
        *USER_ACTIONS - {"s3:PutObjectAcl"},
        "s3:GetObjectVersion",
        *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"),
        *("dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
        "secretsmanager:GetSecretValue",
        *("logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"),
        *("autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"),
        *("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
        *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
        *("ecs:ListTasks", "ecs:RunTask", "ecs:TagResource", "iam:PassRole"),
        *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"),
        "ecr:GetDownloadUrlForLayer",
    ]
)
"""What worker, finder, ECS and the scheduler do on their own side."""

_MANAGED = re.compile(r"arn:[a-z-]+:iam::aws:policy/")
_ATTACHMENTS = ("iam.RolePolicyAttachment", "iam.UserPolicyAttachment", "iam.PolicyAttachment")
MORE = Option(
    default=[],
    help="Actions allowed besides the program's own, for options of yours (tags, KMS).",
    schema={"type": "array", "items": {"type": "string"}},
)


def listed_actions(resource: Resource, options: Options) -> Iterator[Finding]:
    """Every allowed action is on the list of its kind of holder; roles are passed to one service only."""
    if resource.kind in (*_ATTACHMENTS, "iam.Role"):
        arns = resource.items("managedPolicyArns") if resource.kind == "iam.Role" else [resource.get("policyArn")]
        for arn in arns:
            if isinstance(arn, str) and _MANAGED.match(arn):
                yield Finding(resource, f"{resource.name} attaches {arn}, which AWS writes and widens")
    if not is_identity(resource):
        return
    of_user = resource.kind in ("iam.Policy", "iam.UserPolicy")
    known = (USER_ACTIONS if of_user else ROLE_ACTIONS) | set(options["moreActions"])
    for statement in allowed(resource):
        for action in statement.actions:
            if action not in known and "*" not in action:
                yield Finding(
                    resource, f"{resource.name}: statement {statement.sid} allows {action}, which nothing here calls"
                )
        if "iam:PassRole" in statement.actions and not statement.has_condition_key("iam:PassedToService"):
            yield Finding(resource, f"{resource.name}: statement {statement.sid} passes roles to any service")


def assumed_by_services(resource: Resource, _: Options) -> Iterator[Finding]:
    """Roles are for services, and for those that act for many accounts, only on behalf of this one."""
    if resource.kind != "iam.Role":
        return
    for statement in trust(resource):
        if not statement.allows:
            continue
        for kind, name in statement.principals:
            if kind != "Service":
                yield Finding(resource, f"{resource.name} can be assumed by {kind} {name}")
            elif not name.startswith("ec2.") and not (
                statement.has_condition_key("aws:SourceAccount") or statement.has_condition_key("aws:SourceArn")
            ):
                yield Finding(resource, f"{resource.name} can be assumed by {name} on any account's behalf")


RULES = (
    Rule(
        name="least-privilege",
        what="Users and roles may do what this program does, and nothing else.",
        why="The dedicated user's key leaves the account and the partition, and workers run on machines with a way out:"
        " whatever they may do, somebody who takes them over may do.",
        remedy="Take the action out of the statement. If the program came to need it, add it to"
        " policy/rules/privilege.py in the same change, or allow it for your options with `moreActions`.",
        each=listed_actions,
        options={"moreActions": MORE},
    ),
    Rule(
        name="roles-for-services",
        what="Roles are assumed by AWS services alone, on behalf of the own account.",
        why="A role that another account or person may assume is a way to the bucket, the ledger and the peer's key"
        " past the loop guard.",
        remedy="Trust a service principal, with a condition on aws:SourceAccount (EC2 needs none: instance profiles"
        " are the account's own).",
        each=assumed_by_services,
    ),
)
