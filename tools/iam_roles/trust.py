"""Trust policies of a pipeline's roles: jobs of one repository, environment and workflow, in both partitions."""

from __future__ import annotations

from typing import Any

from dualsync.components.config.model import PairModel
from dualsync.runtime.settings import SideName

ISSUER = "token.actions.githubusercontent.com"
AUDIENCES = {"aws": "sts.amazonaws.com", "aws-cn": "sts.amazonaws.com.cn"}
"""The audience of a token for each partition (IAM User Guide, OIDC federation)."""

REPOSITORY = "ORGANIZATION/REPOSITORY"
"""Placeholder that the reader of the documents replaces."""

BRANCH = "refs/heads/main"
"""The protected branch: workflows of another ref get no role."""

CLAIMS = ("repo", "context", "ref", "job_workflow_ref")
"""Claims that the repository's tokens carry in their subject (GitHub Docs, "Customizing the subject claims").

The subject is the one claim that IAM compares in every partition; condition keys for single claims of GitHub came in
2026, and are not confirmed for China.
"""


WITHOUT_DOCUMENTS = ("state",)
"""Roles whose rights are about the reader's own state, which no document of this project can name."""


def job(role: str, side: SideName) -> tuple[str, str]:
    """Return the context and the workflow of the one job that may assume a side's role."""
    return {
        "deploy": (f"environment:{side}", "deploy"),
        "hand-over": (f"environment:{side.peer}", "deploy"),
        "drift": ("environment:drift", "drift"),
        "preview": ("environment:preview", "preview"),
        "smoke": ("environment:smoke", "deploy"),
        "state": ("environment:preview-state", "preview"),
    }[role]


def subject(role: str, side: SideName) -> str:
    """Return the subject of the tokens of the one job that may assume a side's role."""
    context, workflow = job(role, side)
    file = f"{REPOSITORY}/.github/workflows/{workflow}.yml@{BRANCH}"
    return f"repo:{REPOSITORY}:{context}:ref:{BRANCH}:job_workflow_ref:{file}"


def trust(pair: PairModel, side: SideName, role: str) -> dict[str, Any]:
    """Return a role's trust policy with one exact subject: a wildcard would let in any branch."""
    model = pair.side(side)
    partition = model.partition
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
                    "StringEquals": {
                        f"{ISSUER}:aud": AUDIENCES[partition.id],
                        f"{ISSUER}:sub": subject(role, side),
                    },
                },
            }
        ],
    }
