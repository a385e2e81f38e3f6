"""What makes the AWS provider talk to a stand-in cloud: the services that are redirected, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping

SERVICES = (
    *("autoscaling", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "events", "iam", "kms", "logs"),
    *("s3", "s3control", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"),
)
"""Services that the provider may call for this program, by its own names; each is redirected when a side has an
`endpoint`. S3 Control is where newer versions of the provider keep buckets' tags."""

FLAGS: Mapping[str, str] = {
    "s3_use_path_style": "Buckets stand in the path: a stand-in has no host for each.",
    "skip_metadata_api_check": "No credentials are asked of a machine's metadata, where there may be none.",
}
"""Arguments of the provider that `providers.py` makes true with an `endpoint`, and leaves out without; and why."""
