"""Imports every handler and lookup, which registers them."""

from __future__ import annotations

from sandbox.provider.base import REGISTRY
from sandbox.provider.services import (
    autoscaling,
    bucket_subscription,
    cloudwatch,
    dynamodb,
    ec2,
    ecs,
    iam,
    kms,
    logs,
    s3,
    scheduler,
    secrets_manager,
    sns,
    sqs,
)
from sandbox.provider.services.data_sources import LOOKUPS

MODULES = (
    s3,
    autoscaling,
    iam,
    logs,
    ec2,
    sqs,
    secrets_manager,
    bucket_subscription,
    dynamodb,
    ecs,
    scheduler,
    sns,
    kms,
    cloudwatch,
)
__all__ = ["LOOKUPS", "MODULES", "REGISTRY"]
