"""Every handler and lookup: importing this registers them."""

from __future__ import annotations

from sandbox.provider.base import REGISTRY
from sandbox.provider.services import (
    autoscaling,
    bucket_subscription,
    cloudwatch,
    dynamodb,
    ec2,
    ecs,
    iam_roles,
    iam_users,
    logs,
    s3,
    secrets_manager,
    sns,
    sqs,
)
from sandbox.provider.services.data_sources import LOOKUPS

MODULES = (
    s3,
    autoscaling,
    iam_users,
    logs,
    ec2,
    sqs,
    iam_roles,
    secrets_manager,
    bucket_subscription,
    dynamodb,
    ecs,
    sns,
    cloudwatch,
)
__all__ = ["LOOKUPS", "MODULES", "REGISTRY"]
