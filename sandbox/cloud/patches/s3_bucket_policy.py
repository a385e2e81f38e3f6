"""Bucket policies with their conditions and principals.

moto applies a bucket's policy without its `Condition` and `Principal` objects, so a Deny of insecure transport denies
everything. The emulator's plain HTTP counts as TLS.
Source: Amazon S3 User Guide, "Bucket policies for Amazon S3".
"""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3 import models
from moto.s3.exceptions import AccessDeniedByLock

from sandbox.cloud.callers import CALLER
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.policies import Request, Verdict, evaluate


def apply() -> None:
    def get_permission(self: Any, action: str, resource: str) -> PermissionResult:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        caller = CALLER.get()
        names = frozenset({caller.account_id, f"arn:{self.partition}:iam::{caller.account_id}:root"} if caller else ())
        context = {"aws:securetransport": "true", "aws:principalaccount": caller.account_id if caller else ""}
        verdict = evaluate(self.policy.decode(), Request(action, resource, names, context))
        if verdict is Verdict.DENIED:
            raise AccessDeniedByLock
        return PermissionResult.PERMITTED if verdict is Verdict.ALLOWED else PermissionResult.NEUTRAL

    replace(models.FakeBucket, "get_permission", get_permission)
