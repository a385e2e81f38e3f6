"""Evaluate what a thief of a pipeline's role could do by the published documents, for docs/security.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.iam_roles.evaluator import Decision, Request, Value, decide

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "roles"

ACCOUNT, REGION = "111122223333", "cn-north-1"
ARN = "arn:aws-cn:"
IAM = f"{ARN}iam::{ACCOUNT}:"
EC2 = f"{ARN}ec2:{REGION}:{ACCOUNT}:"
KEY = f"{ARN}kms:{REGION}:{ACCOUNT}:key/of-another-team"
OWN_TAGS = {"dualsync:pair": "dth-dual", "dualsync:side": "cn"}
BOUNDARY = {"iam:PermissionsBoundary": f"{IAM}policy/dth-dual-cn-boundary"}
ANY_POLICY = {"iam:PolicyARN": f"{ARN}iam::aws:policy/AdministratorAccess"}


@dataclass(frozen=True, slots=True)
class Question:
    """One attempt of a thief, as the call that it takes."""

    goal: str
    """The goal of the thief."""
    action: str
    """The call."""
    resource: str
    """The resource of the call."""
    context: Mapping[str, Value] = field(default_factory=dict)
    """The context that allows the most."""
    role: str = "deploy"
    """The role that is stolen."""
    bounded: bool = False
    """Whether the call is that of a user or role that the stolen role made, with `*` as its own policy."""
    wanted: bool = False
    """Whether it is allowed on purpose."""

    def answer(self) -> Decision:
        """Evaluate the call with the published documents."""
        request = Request(self.action, self.resource, self.context)
        if self.bounded:
            everything = {"Statement": [{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
            return decide([everything], request, boundary=documents("boundary"))
        return decide(documents(self.role), request)


def documents(role: str, side: str = "cn") -> Sequence[Mapping[str, Any]]:
    """Return a role's published documents."""
    files = sorted(p for p in FOLDER.glob(f"{role}-{side}*.json") if not p.name.endswith("-trust.json"))
    return [json.loads(p.read_text()) for p in files]


def tagged(source: str) -> dict[str, Value]:
    """Return the context of a resource or request with the pair's tags."""
    return {f"{source}/{name}": value for name, value in OWN_TAGS.items()}


def _questions() -> Iterator[Question]:
    user, role, policy = f"{IAM}user/dth-dual-user", f"{IAM}role/dth-dual-cn-worker", f"{IAM}policy/dth-dual-policy"
    yield from (
        Question(
            "administrator: attach AdministratorAccess to the user",
            "iam:AttachUserPolicy",
            user,
            {**BOUNDARY, **ANY_POLICY},
        ),
        Question("administrator: a user without a boundary", "iam:CreateUser", user),
        Question("administrator: a role without a boundary", "iam:CreateRole", role),
        Question(
            "administrator: a role with a boundary of one's own",
            "iam:CreateRole",
            role,
            {"iam:PermissionsBoundary": f"{IAM}policy/mine"},
        ),
        Question("administrator: rights for a role without a boundary", "iam:PutRolePolicy", role),
        Question("administrator: remove the user's boundary", "iam:DeleteUserPermissionsBoundary", user, BOUNDARY),
        Question("administrator: remove a role's boundary", "iam:DeleteRolePermissionsBoundary", role, BOUNDARY),
        Question("administrator: widen the boundary", "iam:CreatePolicyVersion", f"{IAM}policy/dth-dual-cn-boundary"),
        Question(
            "administrator: another role in the pair's name space",
            "iam:CreateRole",
            f"{IAM}role/dth-dual-cn-other",
            BOUNDARY,
        ),
        Question(
            "administrator: rights for the deploy role itself",
            "iam:PutRolePolicy",
            f"{IAM}role/dualsync-deploy",
            BOUNDARY,
        ),
        Question(
            "administrator: pass an administrator's role",
            "iam:PassRole",
            f"{IAM}role/Administrator",
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
        Question("administrator: a key of another user", "iam:CreateAccessKey", f"{IAM}user/ceo"),
        Question("administrator: another user's group", "iam:AddUserToGroup", f"{IAM}group/admins"),
        Question("administrator: an identity provider", "iam:CreateOpenIDConnectProvider", f"{IAM}oidc-provider/x"),
        Question("rights of the user: `*` in its policy", "iam:CreatePolicyVersion", policy, wanted=True),
        Question("… then, within the boundary: make a user", "iam:CreateUser", f"{IAM}user/mine", bounded=True),
        Question(
            "… then, within the boundary: read another bucket", "s3:GetObject", f"{ARN}s3:::another/key", bounded=True
        ),
        Question(
            "… then, within the boundary: read another secret",
            "secretsmanager:GetSecretValue",
            f"{ARN}secretsmanager:{REGION}:{ACCOUNT}:secret:prod-db-AbCdEf",
            bounded=True,
        ),
        Question(
            "… then, within the boundary: assume another role",
            "sts:AssumeRole",
            f"{IAM}role/Administrator",
            bounded=True,
        ),
        Question("… then, within the boundary: a session without end", "sts:GetFederationToken", user, bounded=True),
    )
    yield from (
        Question(
            "another team's key: tag it as the pair's",
            "kms:TagResource",
            KEY,
            {**tagged("aws:RequestTag"), "aws:TagKeys": tuple(OWN_TAGS)},
            wanted=True,
        ),
        Question("… then, tagged: take it over", "kms:PutKeyPolicy", KEY, tagged("aws:ResourceTag")),
        Question("… then, tagged: delete it", "kms:ScheduleKeyDeletion", KEY, tagged("aws:ResourceTag")),
        Question("… then, tagged: decrypt with it", "kms:Decrypt", KEY, tagged("aws:ResourceTag")),
        Question("… then, tagged: a grant on it", "kms:CreateGrant", KEY, tagged("aws:ResourceTag")),
        Question("… then, tagged: an alias for it", "kms:CreateAlias", KEY, tagged("aws:ResourceTag")),
    )
    template, group = f"{EC2}launch-template/lt-of-another-team", f"{EC2}security-group/sg-of-another-team"
    endpoint, machine = f"{EC2}vpc-endpoint/vpce-of-another-team", f"{EC2}instance/i-of-another-team"
    own = tagged("aws:RequestTag")
    for goal, resource in (("template", template), ("security group", group), ("endpoint", endpoint)):
        yield Question(f"another team's {goal}: tag it as the pair's", "ec2:CreateTags", resource, own)
    yield from (
        Question("another team's machine: tag it as the pair's", "ec2:CreateTags", machine, own),
        Question("another team's machine: remove its tags", "ec2:DeleteTags", machine, own),
        Question("another team's template: a version with own user data", "ec2:CreateLaunchTemplateVersion", template),
        Question("another team's template: make it the default", "ec2:ModifyLaunchTemplate", template),
        Question("another team's security group: open it", "ec2:AuthorizeSecurityGroupIngress", group),
        Question("another team's security group: let all out", "ec2:AuthorizeSecurityGroupEgress", group),
        Question("another team's endpoint: change it", "ec2:ModifyVpcEndpoint", endpoint),
        Question(
            "another team's route table: give it an endpoint of the pair's",
            "ec2:ModifyVpcEndpoint",
            f"{EC2}route-table/rtb-of-another-team",
            wanted=True,
        ),
        Question(
            "machines in another team's security group", "ec2:RunInstances", group, {"ec2:LaunchTemplate": template}
        ),
        Question(
            "machines from another team's template", "ec2:RunInstances", template, {"ec2:LaunchTemplate": template}
        ),
        Question("machines without a template", "ec2:RunInstances", f"{EC2}instance/*"),
        Question("machines that run already: stop them", "ec2:TerminateInstances", machine, tagged("aws:ResourceTag")),
    )
    data, secret = f"{ARN}s3:::dth-dual-dev-cn-north-1", f"{ARN}secretsmanager:{REGION}:{ACCOUNT}:secret:"
    own_secret = f"{secret}dth-credentials-us-west-2-AbCdEf"
    yield from (
        Question("data: read an object", "s3:GetObject", f"{data}/key"),
        Question("data: delete an object", "s3:DeleteObject", f"{data}/key"),
        Question("data: change the bucket's policy", "s3:PutBucketPolicy", data),
        Question("data: another bucket's events", "s3:PutBucketNotification", f"{ARN}s3:::another"),
        Question("the pair's own secret: the peer's key", "secretsmanager:GetSecretValue", own_secret, wanted=True),
        Question("another secret", "secretsmanager:GetSecretValue", f"{secret}prod-db-AbCdEf"),
        Question("another team's task definitions: deregister", "ecs:DeregisterTaskDefinition", "*", wanted=True),
        Question("another team's saved queries: rewrite", "logs:PutQueryDefinition", "*", wanted=True),
    )
    yield from (
        Question("the secret: write it", "secretsmanager:PutSecretValue", own_secret, role="hand-over", wanted=True),
        Question("another secret: write it", "secretsmanager:PutSecretValue", f"{secret}x-AbCdEf", role="hand-over"),
        Question("anything of IAM", "iam:CreateAccessKey", user, BOUNDARY, role="hand-over"),
        Question(
            "the artifacts",
            "s3:PutObject",
            f"{ARN}s3:::dth-dual-cn-artifacts-{ACCOUNT}/bundles/x86_64.tar",
            role="hand-over",
        ),
        Question("the queue", "sqs:SendMessage", f"{ARN}sqs:{REGION}:{ACCOUNT}:dth-dual-cn-queue", role="hand-over"),
        Question("data: read an object", "s3:GetObject", f"{data}/key", role="hand-over"),
        Question("the secret: read it", "secretsmanager:GetSecretValue", own_secret, role="drift", wanted=True),
        Question(
            "any change", "sqs:SetQueueAttributes", f"{ARN}sqs:{REGION}:{ACCOUNT}:dth-dual-cn-queue", role="drift"
        ),
        Question("the secret: read it", "secretsmanager:GetSecretValue", own_secret, role="preview"),
        Question("data: read an object", "s3:GetObject", f"{data}/key", role="preview"),
        Question("data: another prefix", "s3:GetObject", f"{data}/key", role="smoke"),
        Question("the secret: read it", "secretsmanager:GetSecretValue", own_secret, role="smoke"),
    )


QUESTIONS = tuple(_questions())


def rows() -> list[list[str]]:
    """Return the table's rows: role, goal, call, answer."""
    found = []
    for question in QUESTIONS:
        answer = question.answer()
        holder = "a user or role it made" if question.bounded else question.role
        by = f" (`{answer.by}`)" if answer.by else ""
        found.append([holder, question.goal, f"`{question.action}`", ("allowed" if answer.allowed else "denied") + by])
    return found
