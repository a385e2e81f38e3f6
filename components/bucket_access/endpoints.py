"""List what directs the AWS provider to a local cloud emulator: redirected services and provider arguments."""

from __future__ import annotations

from collections.abc import Mapping

SERVICES = (
    *("autoscaling", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "events", "iam", "kms", "logs"),
    *("s3", "s3control", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"),
)
"""Services that the provider may call for this program, by its own names; each is redirected when a side has an
`endpoint`. S3 Control is where newer versions of the provider keep buckets' tags."""

FLAGS: Mapping[str, str] = {
    "s3_use_path_style": "Bucket names are in the path: an emulator has no host per bucket.",
    "skip_metadata_api_check": "No credentials are requested from instance metadata, which may not exist.",
}
"""Arguments of the provider that `providers.py` sets to true with an `endpoint` only, and why."""
