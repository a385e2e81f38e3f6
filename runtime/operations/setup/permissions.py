"""The calls by which a first `pulumi up` creates each kind of resource: those that `doctor` asks IAM about.

`docs/roles` holds the complete documents, which are generated from recorded calls. A role that lacks one of the calls
below fails in the middle of a deployment.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.runtime.operations.setup.declared import Declaration, DeclaredSide


def creation_actions(declared: DeclaredSide, pair: Declaration, partition: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each resource's ARN with the actions on it."""
    account, region = declared.account_id, declared.region
    name = f"{pair.pair}-{declared.side}"
    guide = pair.is_guide(declared.side)
    user = declared.user_name or (f"{pair.pair}-user" if guide else f"{name}-user")
    policy = f"{pair.pair}-policy" if guide else f"{name}-policy"

    def arn(service: str, rest: str, *, regional: bool = True) -> str:
        return f"arn:{partition}:{service}:{region if regional else ''}:{account}:{rest}"

    issuer = pair.sides[declared.side.peer].issuer if declared.side.peer in pair.sides else ""
    if not pair.direction.receives(declared.side):
        pass
    elif issuer:
        provider = f"oidc-provider/{issuer.removeprefix('https://')}"
        yield arn("iam", provider, regional=False), ["iam:CreateOpenIDConnectProvider"]
        yield arn("iam", f"role/{name}-peer", regional=False), ["iam:CreateRole", "iam:PutRolePolicy"]
        yield "*", ["kms:CreateKey"]
    else:
        yield (
            arn("iam", f"user/{user}", regional=False),
            ["iam:CreateUser", "iam:CreateAccessKey", "iam:AttachUserPolicy"],
        )
        yield arn("iam", f"policy/{policy}", regional=False), ["iam:CreatePolicy"]
    if not pair.direction.carries(declared.side):
        return
    yield (
        arn("iam", f"role/{name}-worker", regional=False),
        ["iam:CreateRole", "iam:PutRolePolicy", "iam:PassRole"],
    )
    yield arn("iam", f"instance-profile/{name}-worker-profile", regional=False), ["iam:CreateInstanceProfile"]
    yield arn("sqs", f"{name}-queue"), ["sqs:CreateQueue", "sqs:SetQueueAttributes"]
    yield arn("dynamodb", f"table/{name}-ledger"), ["dynamodb:CreateTable"]
    yield arn("secretsmanager", f"secret:{_secret(declared, pair)}-??????"), ["secretsmanager:CreateSecret"]
    yield f"arn:{partition}:s3:::{name}-artifacts-{account}", ["s3:CreateBucket", "s3:PutBucketPolicy"]
    yield f"arn:{partition}:s3:::{name}-artifacts-{account}/bundle", ["s3:PutObject"]
    yield f"arn:{partition}:s3:::{declared.bucket}", ["s3:PutBucketNotification", "s3:GetBucketNotification"]
    yield arn("ec2", "launch-template/*"), ["ec2:CreateLaunchTemplate"]
    yield arn("ec2", "security-group/*"), ["ec2:CreateSecurityGroup"]
    yield (
        arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}-workers"),
        ["autoscaling:CreateAutoScalingGroup"],
    )
    yield arn("ecs", f"cluster/{name}-cluster"), ["ecs:CreateCluster"]
    yield arn("ecs", f"task-definition/{name}-finder:*"), ["ecs:RegisterTaskDefinition"]
    yield arn("scheduler", f"schedule/default/{name}-finder-schedule"), ["scheduler:CreateSchedule"]
    yield arn("logs", f"log-group:{name}-worker-log"), ["logs:CreateLogGroup"]
    yield arn("cloudwatch", f"alarm:{name}-no-worker"), ["cloudwatch:PutMetricAlarm"]
    yield arn("cloudwatch", f"dashboard/{name}-dashboard", regional=False), ["cloudwatch:PutDashboard"]
    yield arn("sns", f"{name}-alarms"), ["sns:CreateTopic"]


def _secret(declared: DeclaredSide, pair: Declaration) -> str:
    if not pair.is_guide(declared.side):
        return f"{pair.pair}-{declared.side}-credentials"
    return f"dth-credentials-{pair.sides[declared.side.peer].region}"
