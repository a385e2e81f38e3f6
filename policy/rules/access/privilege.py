"""Least privilege: a closed list of the actions of this program's users and roles, kept apart from the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dualsync.components.config.partitions import partition_of
from policy.documents import Statement, allowed, is_identity, trust
from policy.peers import ACTION, PROVIDER, of_peer_role
from policy.plan import Plan, Resource
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


def listed_actions(plan: Plan, options: Options) -> Iterator[Finding]:
    """Yield allowed actions that are not on the list of their kind of holder, and roles passed to other services."""
    for resource in plan.resources:
        if is_identity(resource):
            yield from _unlisted(plan, resource, options)


def _unlisted(plan: Plan, resource: Resource, options: Options) -> Iterator[Finding]:
    of_user = resource.kind in ("iam.Policy", "iam.UserPolicy") or of_peer_role(plan, resource)
    known = (USER_ACTIONS if of_user else ROLE_ACTIONS) | set(options["moreActions"])
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


def assumed_by_services(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield principals of trust policies that are neither this program's services nor the peer's bound tokens."""
    for resource in plan.of("iam.Role"):
        partition = partition_of(resource.account.region) if resource.account is not None else None
        names = {name: s for s in TRUSTED for name in (partition.trusted(s) if partition else (f"{s}.amazonaws.com",))}
        for statement in trust(resource):
            if statement.allows:
                for problem in _untrusted(plan, resource, statement, names):
                    yield Finding(resource, f"{resource.name} {problem}")


def _untrusted(plan: Plan, resource: Resource, statement: Statement, names: Mapping[str, str]) -> Iterator[str]:
    for element in statement.negated:
        yield f"can be assumed by all but what {element} names"
    tokens = any(kind == "Federated" for kind, _ in statement.principals)
    wanted = ACTION if tokens else "sts:AssumeRole"
    for action in statement.actions:
        if action.lower() != wanted.lower():
            yield f"trusts its principals with {action}"
    for kind, name in statement.principals:
        if kind == "Federated":
            yield from _tokens(plan, resource, statement, name)
        elif kind != "Service":
            yield f"can be assumed by {kind} {name}"
        elif name not in names:
            yield f"can be assumed by {name}, a service that this plan does not use"
        elif names[name] != "ec2" and not bound_to_account(statement, resource):
            yield f"can be assumed by {name} on any account's behalf"


def _tokens(plan: Plan, resource: Resource, statement: Statement, name: str) -> Iterator[str]:
    """Yield what is wrong with the trust in an identity provider's tokens."""
    own = [p for p in plan.of(PROVIDER) if p.account and resource.account and p.account.urn == resource.account.urn]
    provider = next((p for p in own if p.get("arn") == name), None)
    if provider is None:
        yield f"can be assumed with tokens of {name}, an identity provider that this plan does not have"
        return
    issuer = name.partition(":oidc-provider/")[2]
    for claim in ("aud", "sub"):
        values = statement.condition("StringEquals", f"{issuer}:{claim}")
        if len(values) != 1:
            yield f"can be assumed with tokens whose {claim} is not one value"
        elif claim == "aud" and tuple(provider.items("clientIdLists")) != values:
            yield f"can be assumed with tokens for {values[0]}, and {provider.name} knows other audiences"


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
        all=listed_actions,
        options={"moreActions": MORE},
    ),
    Rule(
        name="roles-for-services",
        what="Roles are assumed by the services of this plan alone, on behalf of the own account; the peer's role with"
        " tokens of one issuer, one audience and one subject.",
        why="A role that another account or an operator may assume is a way to the bucket, the ledger and the peer's"
        " key past the loop guard.",
        remedy="Trust a service principal for sts:AssumeRole, with StringEquals on aws:SourceAccount and the own"
        " account (EC2 needs none: instance profiles are the account's own).",
        all=assumed_by_services,
    ),
)
