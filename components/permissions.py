"""Write the policies of worker, finder and scheduler on their own side, with no right that they do not use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dualsync.components.context import SideContext

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """ARNs of this side's own parts, known once they are created."""

    queue: str
    """The queue."""
    dead_letter_queue: str
    """The dead-letter queue."""
    table: str
    """The ledger's table."""
    bundle_objects: tuple[str, ...]
    """The bundle's objects."""
    log_group: str
    """The log group."""
    keys: tuple[str, ...] = ()
    """The keys for tokens and messages, in this order; empty if the peer is a user."""


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: Sequence[str], resources: str | Sequence[str], **more: Any) -> Statement:
    """Return a statement that allows; `more` are its other elements (Condition)."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources if isinstance(resources, str) else list(resources),
        **more,
    }


def assumed_by(principals: Sequence[str], conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a trust policy for one service, by all its names; `conditions` keep other accounts from using it."""
    service = principals[0] if len(principals) == 1 else list(principals)
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if conditions:
        statement["Condition"] = dict(conditions)
    return document([statement])


def worker(context: SideContext, reach: Reach, group_name: str) -> dict[str, Any]:
    """Return the worker's policy: read and, in a two-way pair, repair its objects, use queue, ledger and secret."""
    return document(
        [
            *_objects(context),
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
            *_key(context),
            *_replicas_key(context),
            *_federation(reach),
            *([_session()] if context.local.security.session_manager else []),
        ]
    )


def finder(context: SideContext, reach: Reach, cluster_arn: str) -> dict[str, Any]:
    """Return the finder's policy: read, queue requests, abort abandoned uploads; never write an object."""
    return document(
        [
            _bucket(context, "s3:ListBucketMultipartUploads"),
            allow(
                "Objects",
                ["s3:AbortMultipartUpload", "s3:GetObject"],
                context.local.objects_arns,
            ),
            # The counts show whether what earlier runs queued has been done.
            allow("Queue", ["sqs:GetQueueAttributes", "sqs:SendMessage"], reach.queue),
            allow("DeadLetters", ["sqs:GetQueueAttributes"], reach.dead_letter_queue),
            _ledger(reach),
            _secret(context),
            *_prefix_list(context),
            _bundle(reach),
            *_key(context),
            *_replicas_key(context),
            *_federation(reach),
            # The only resources of ListTasks are container instances; the cluster is its condition.
            allow("Others", ["ecs:ListTasks"], "*", Condition={"ArnEquals": {"ecs:cluster": cluster_arn}}),
        ]
    )


def execution(reach: Reach, repository_arn: str) -> dict[str, Any]:
    """Return the policy with which ECS starts the finder: its log streams and, for a private image, its registry."""
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
    """Return the scheduler's policy: start the finder with its tags, in one cluster, with its two roles only."""
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


def _objects(context: SideContext) -> list[Statement]:
    """Allow the worker its objects: at a one-way pair's source it only reads them."""
    reads = ["s3:GetObject", "s3:GetObjectVersion"]
    if context.pair.direction.one_way:
        tags = [action for action in _tagging(context) if ":Get" in action]
        return [_bucket(context), allow("Objects", [*reads, *tags], context.local.objects_arns)]
    writes = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    return [
        _bucket(context, "s3:ListBucketMultipartUploads"),
        allow("Objects", [*sorted([*reads, *writes]), *_tagging(context)], context.local.objects_arns),
    ]


def _bucket(context: SideContext, *more: str) -> Statement:
    """Allow the listing, without a prefix condition: HEAD and GET do not meet one, and answer 403 for missing keys."""
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
    """Allow reading the prefix-list file, unless it is among the synchronised objects."""
    arns = context.local.prefix_list_arns
    return [allow("PrefixList", ["s3:GetObject"], arns)] if arns else []


def _secret(context: SideContext) -> Statement:
    """Allow reading the secret. The peer's stack writes it, so the end of its ARN is not known here."""
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
    """Allow the side's own namespace: PutMetricData has no resources (CloudWatch's service authorization page)."""
    condition = {"StringEquals": {"cloudwatch:namespace": context.names.metrics}}
    return allow("Metrics", ["cloudwatch:PutMetricData"], "*", Condition=condition)


def _key(context: SideContext) -> list[Statement]:
    """Allow the customer managed key, through the services that store what it encrypts."""
    key = context.kms_key_arn
    if key is None:
        return []
    condition = context.via_services("dynamodb", "s3", "secretsmanager", "sqs")
    return [allow("CustomerKey", ["kms:Decrypt", "kms:GenerateDataKey"], key, Condition=condition)]


def _replicas_key(context: SideContext) -> list[Statement]:
    """Allow reading what the peer's worker has written here with its KMS key (`kmsKey` of the peer), through S3 only.

    Such an object is read when it is a conflict's loser, is written to the peer again, or its checksum is compared:
    S3 shows the checksum only to a caller that may decrypt (S3 API Reference, HeadObject).
    """
    key = context.peer.replicas.kms_key
    if not key or not context.pair.receives(context.side):
        return []
    return [allow("ReplicasKey", ["kms:Decrypt"], key, Condition=context.via_services("s3"))]


def _federation(reach: Reach) -> list[Statement]:
    """Allow the use of the keys that replace the peer's access key: one algorithm each, and nothing else."""
    if not reach.keys:
        return []
    token, message = reach.keys
    return [
        allow(
            "SignTokens",
            ["kms:Sign"],
            token,
            Condition={"StringEquals": {"kms:SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}},
        ),
        allow(
            "SignMessages",
            ["kms:GenerateMac"],
            message,
            Condition={"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}},
        ),
    ]


def _drain(context: SideContext, group_name: str) -> Statement:
    """Allow completing the drain hook in a group of this name. The id in its ARN exists only after this role."""
    arn = context.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group_name}")
    return allow("Drain", ["autoscaling:CompleteLifecycleAction"], arn)


def _session() -> Statement:
    """Allow Session Manager, instead of SSH: its actions have no resources (Systems Manager guide: minimum profile)."""
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
