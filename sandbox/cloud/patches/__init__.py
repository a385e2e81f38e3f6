"""Patches of moto where it differs from AWS's documentation, one module per service and subject, each with its page."""

from __future__ import annotations

from sandbox.cloud import federation
from sandbox.cloud.patches import (
    autoscaling,
    dynamodb,
    ec2,
    iam,
    logs,
    s3_bucket_policy,
    s3_checksums,
    s3_conditions,
    s3_events,
    s3_keys,
    s3_multipart,
    s3_notifications,
    s3_versioning,
    sqs,
    ssm,
)

ALL = (
    iam,
    s3_versioning,
    s3_events,
    s3_multipart,
    s3_keys,
    s3_conditions,
    s3_checksums,
    s3_notifications,
    s3_bucket_policy,
    sqs,
    ssm,
    ec2,
    logs,
    autoscaling,
    dynamodb,
    federation,
)
"""Every patch, in the order of application: a later one may wrap what an earlier one put in place."""


def apply() -> None:
    """Apply every patch to moto's modules in this process; call it once."""
    for module in ALL:
        module.apply()
