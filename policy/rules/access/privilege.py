"""Least privilege: a closed list of the actions of this program's users and roles, kept apart from the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dualsync.components.config.partitions import partition_of
from policy.documents import Statement, allowed, is_identity, trust
from policy.peers import ACTION
from policy.plan import Resource
from policy.rule import Finding, Option, Options, Rule

USER_ACTIONS = frozenset(
    [
        *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket"),
        *("s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"),
    ]
)
"""What the peer's worker does here: the eight actions of the deployment guide."""

ROLE_ACTIONS = frozenset(
    [
        *USER_ACTIONS - {"s3:PutObjectAcl"},
        "s3:GetObjectVersion",
        *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        *("sqs:ReceiveMessage", "sqs:SendMessage"),
        *("dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
        "secretsmanager:GetSecretValue",
        *("logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"),
        "autoscaling:CompleteLifecycleAction",
        *("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
        *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
        *("ecs:ListTasks", "ecs:RunTask", "ecs:TagResource", "iam:PassRole"),
        *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"),
        "ecr:GetDownloadUrlForLayer",
    ]
)
"""What worker, finder, ECS and the scheduler do on their own side."""

KEY_ACTIONS = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})
"""What a customer managed key is used for, through a service that stores what it encrypts (kmsKeyArn, kmsKey)."""

SIGNING_ACTIONS = {"kms:Sign": "kms:SigningAlgorithm", "kms:GenerateMac": "kms:MacAlgorithm"}
"""What the keys of a side without access keys are used for, and the condition key that confines each."""

PASSED_TO = ("ecs-tasks.amazonaws.com",)
"""Services that the program's roles pass roles to: the scheduler starts the finder's task."""

TRUSTED = ("ec2", "ecs-tasks", "scheduler")
"""Services that the program's roles are made for."""

MORE = Option(
    default=[],
    help="Actions allowed besides the program's own, for options of yours (tags, KMS).",
    schema={"type": "array", "items": {"type": "string"}},
)


def listed_actions(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield allowed actions that are not on the list of their kind of holder, and roles passed to other services."""
    if not is_identity(resource):
        return
    of_user = resource.kind in ("iam.Policy", "iam.UserPolicy")
    # A role's policy can be that of the peer's role, which has a user's actions (rule `peer-role-confined`).
    known = (USER_ACTIONS if of_user else ROLE_ACTIONS | USER_ACTIONS) | set(options["moreActions"])
    for statement in allowed(resource):
        where = f"{resource.name}: statement {statement.sid}"
        for action in statement.actions:
            by_service = action in KEY_ACTIONS and statement.bound("kms:ViaService")
            by_role = not of_user and action in SIGNING_ACTIONS and statement.bound(SIGNING_ACTIONS[action])
            if action not in known and "*" not in action and not by_service and not by_role:
                yield Finding(resource, f"{where} allows {action}, which nothing here calls")
        if any(a.lower() == "iam:passrole" for a in statement.actions):
            services = statement.bound("iam:PassedToService")
            if not services:
                yield Finding(resource, f"{where} passes roles to any service")
            elif wrong := sorted({*services} - {*PASSED_TO}):
                yield Finding(resource, f"{where} passes roles to {', '.join(wrong)}")


def assumed_by_services(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield principals of trust policies that are neither this program's services nor holders of tokens.

    Whose tokens they are is checked by the rule `peer-role-confined`.
    """
    if resource.kind != "iam.Role":
        return
    partition = partition_of(resource.account.region) if resource.account is not None else None
    names = {name: s for s in TRUSTED for name in (partition.trusted(s) if partition else (f"{s}.amazonaws.com",))}
    for statement in trust(resource):
        if statement.allows:
            for problem in _untrusted(resource, statement, names):
                yield Finding(resource, f"{resource.name} {problem}")


def _untrusted(resource: Resource, statement: Statement, names: Mapping[str, str]) -> Iterator[str]:
    for element in statement.negated:
        yield f"can be assumed by all but what {element} names"
    tokens = bool(statement.principals) and all(kind == "Federated" for kind, _ in statement.principals)
    wanted = ACTION if tokens else "sts:AssumeRole"
    for action in statement.actions:
        if action.lower() != wanted.lower():
            yield f"trusts its principals with {action}"
    for kind, name in statement.principals:
        if kind == "Federated":
            if not tokens:
                yield f"trusts {name} and others in one statement"
        elif kind != "Service":
            yield f"can be assumed by {kind} {name}"
        elif name not in names:
            yield f"can be assumed by {name}, a service that this plan does not use"
        elif names[name] != "ec2" and not bound_to_account(statement, resource):
            yield f"can be assumed by {name} on any account's behalf"


def bound_to_account(statement: Statement, resource: Resource) -> bool:
    """Return whether the statement holds only on behalf of the resource's own account, by an exact condition."""
    ids = resource.account.account_ids if resource.account is not None else ()
    accounts = statement.bound("aws:SourceAccount")
    if accounts:
        return set(accounts) <= set(ids)
    arns = [arn.split(":") for arn in statement.bound("aws:SourceArn")]
    return bool(arns) and all(len(parts) > 5 and parts[4] in ids for parts in arns)


RULES = (
    Rule(
        name="least-privilege",
        what="Users and roles may do what this program does, and nothing else.",
        why="The dedicated user's key leaves the account and the partition, and workers run on machines with internet"
        " egress: a thief of either has all the rights of its holder.",
        remedy="Take the action out of the statement. If the program needs it now, add it to"
        " policy/rules/access/privilege.py in the same change, or allow it for your options with `moreActions`. Pass"
        " roles with StringEquals on iam:PassedToService.",
        each=listed_actions,
        options={"moreActions": MORE},
    ),
    Rule(
        name="roles-for-services",
        what="Roles are assumed by the services of this plan alone, on behalf of the own account, or by holders of"
        " tokens (`peer-role-confined`).",
        why="A role that another account or an operator may assume is a way to the bucket, the ledger and the peer's"
        " key past the loop guard.",
        remedy="Trust a service principal for sts:AssumeRole, with StringEquals on aws:SourceAccount and the own"
        " account (EC2 needs none: instance profiles are the account's own).",
        each=assumed_by_services,
    ),
)
