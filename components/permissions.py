"""What worker and finder may do on their own side, as plain policy documents. What is not needed is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dualsync.components.context import SideContext

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The ARNs of this side's own parts, known once they are made. `bundle_objects` are the bundle's objects."""

    queue: str
    dead_letter_queue: str
    table: str
    bundle_objects: tuple[str, ...]
    log_group: str


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: Sequence[str], resources: str | Sequence[str], **more: Any) -> Statement:
    """One statement that allows; `more` are its other elements (Condition)."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources if isinstance(resources, str) else list(resources),
        **more,
    }


def assumed_by(principals: Sequence[str], conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A trust policy for one service, by all its names; `conditions` keep other accounts from using it."""
    service = principals[0] if len(principals) == 1 else list(principals)
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if conditions:
        statement["Condition"] = dict(conditions)
    return document([statement])


def worker(context: SideContext, reach: Reach, group_name: str) -> dict[str, Any]:
    """The worker: its objects, also written (repairs of what its ledger proves act here), queue, ledger, secret."""
    return document(
        [
            _bucket(context, "s3:ListBucketMultipartUploads"),
            allow(
                "Objects",
                [
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                    *_tagging(context),
                ],
                context.local.objects_arns,
            ),
            allow(
                "Queue",
                ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"],
                reach.queue,
            ),
            allow("DeadLetters", ["sqs:SendMessage"], reach.dead_letter_queue),
            _ledger(reach),
            _secret(context),
            *_prefix_list(context),
            _bundle(reach),
            _logs(reach),
            _metrics(context),
            _drain(context, group_name),
            _session(),
        ]
    )


def finder(context: SideContext, reach: Reach, cluster_arn: str) -> dict[str, Any]:
    """The finder looks and queues, and aborts uploads that nobody will end; it never writes an object."""
    return document(
        [
            _bucket(context, "s3:ListBucketMultipartUploads"),
            allow(
                "Objects",
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion"],
                context.local.objects_arns,
            ),
            allow("Queue", ["sqs:SendMessage"], reach.queue),
            _ledger(reach),
            _secret(context),
            *_prefix_list(context),
            _bundle(reach),
            # ListTasks knows only container instances as resources; the cluster is its condition.
            allow("Others", ["ecs:ListTasks"], "*", Condition={"ArnEquals": {"ecs:cluster": cluster_arn}}),
        ]
    )


def execution(reach: Reach, repository_arn: str) -> dict[str, Any]:
    """What ECS needs before the finder's container is there: its log streams and, for a private image, its registry."""
    statements = [_logs(reach)]
    if repository_arn:
        statements += [
            allow("Registry", ["ecr:GetAuthorizationToken"], "*"),
            allow(
                "Image",
                ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                repository_arn,
            ),
        ]
    return document(statements)


def schedule(task_definition_family_arn: str, cluster_arn: str, role_arns: Sequence[str], tasks: str) -> dict[str, Any]:
    """What the scheduler needs to start the finder with its tags, in one cluster and with its two roles only."""
    return document(
        [
            allow(
                "Start",
                ["ecs:RunTask"],
                task_definition_family_arn,
                Condition={"ArnEquals": {"ecs:cluster": cluster_arn}},
            ),
            allow(
                "Tags",
                ["ecs:TagResource"],
                cluster_arn.replace(":cluster/", ":task/") + "/*",
                Condition={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            ),
            allow("Roles", ["iam:PassRole"], role_arns, Condition={"StringEquals": {"iam:PassedToService": tasks}}),
        ]
    )


def _bucket(context: SideContext, *more: str) -> Statement:
    """Without a prefix condition: HEAD and GET don't meet one, and without ListBucket a missing key reads as 403."""
    return allow("Bucket", ["s3:ListBucket", *more], context.local.bucket_arn)


def _ledger(reach: Reach) -> Statement:
    return allow(
        "Ledger",
        [
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
        ],
        [reach.table, f"{reach.table}/index/*"],
    )


def _prefix_list(context: SideContext) -> list[Statement]:
    """The file with the prefixes, where it does not lie among the synchronised objects."""
    arns = context.local.prefix_list_arns
    return [allow("PrefixList", ["s3:GetObject"], arns)] if arns else []


def _secret(context: SideContext) -> Statement:
    """The peer's stack writes it, so its ARN's random end isn't known here: six characters, as Secrets Manager adds."""
    arn = context.arn("secretsmanager", f"secret:{context.names.secret}-??????")
    return allow("PeerSecret", ["secretsmanager:GetSecretValue"], arn)


def _tagging(context: SideContext) -> list[str]:
    if not context.local.replicas.include_tags:
        return []
    return ["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"]


def _bundle(reach: Reach) -> Statement:
    return allow("Bundle", ["s3:GetObject", "s3:GetObjectVersion"], reach.bundle_objects)


def _logs(reach: Reach) -> Statement:
    return allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{reach.log_group}:log-stream:*")


def _metrics(context: SideContext) -> Statement:
    """PutMetricData knows no resources; the namespace is its condition (CloudWatch's service authorization page)."""
    condition = {"StringEquals": {"cloudwatch:namespace": context.names.metrics}}
    return allow("Metrics", ["cloudwatch:PutMetricData"], "*", Condition=condition)


def _drain(context: SideContext, group_name: str) -> Statement:
    """The middle of a group's ARN is an id that only exists with the group, whose template needs this role."""
    arn = context.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group_name}")
    return allow("Drain", ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"], arn)


def _session() -> Statement:
    """Session Manager instead of SSH: these know no resources (Systems Manager guide: instance profile, minimum)."""
    return allow(
        "Session",
        [
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        "*",
    )
