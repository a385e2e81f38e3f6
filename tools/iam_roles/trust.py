"""Who may take a pipeline's roles: jobs of one repository, told apart by environment or event, in both partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualsync.components.config.model import PairModel
from dualsync.runtime.settings import SideName

ISSUER = "token.actions.githubusercontent.com"
AUDIENCES = {"aws": "sts.amazonaws.com", "aws-cn": "sts.amazonaws.com.cn"}
"""What a token must be made out to (IAM User Guide for each partition, OIDC federation)."""

REPOSITORY = "ORGANIZATION/REPOSITORY"
"""To be replaced by the reader's."""

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    # A stack reaches both accounts, so that a side's deployment takes the deploy role of each.
    "deploy": ("environment:cn", "environment:global"),
    "drift": ("ref:refs/heads/main",),
    "preview": ("pull_request",),
    "smoke": ("environment:smoke",),
}
"""Jobs by role, as the token's subject names them (GitHub: OpenID Connect reference)."""


def trust(pair: PairModel, side: SideName, role: str) -> dict[str, Any]:
    """A role's trust policy. Exact subjects: a wildcard would let any branch in."""
    model = pair.side(side)
    partition = model.partition
    subjects = [f"repo:{REPOSITORY}:{subject}" for subject in SUBJECTS[role]]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Pipeline",
                "Effect": "Allow",
                "Principal": {
                    "Federated": partition.arn("iam", f"oidc-provider/{ISSUER}", account=model.account_id),
                },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{ISSUER}:aud": AUDIENCES[partition.id], f"{ISSUER}:sub": subjects},
                },
            }
        ],
    }
