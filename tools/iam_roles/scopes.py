"""To what an action can be confined: the ARNs of one side's own things, by the kinds that IAM knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dualsync.components.config.model import PairModel
from dualsync.runtime.settings import SideName

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scopes:
    """One side of a pair, as its operator's roles see it."""

    pair: PairModel
    side: SideName

    def arn(self, service: str, resource: str, *, anywhere: bool = False, nobody: bool = False) -> str:
        """An ARN in this account; `anywhere` without a region, `nobody` without an account too."""
        model = self.pair.side(self.side)
        region = "" if anywhere or nobody else model.region
        return model.partition.arn(service, resource, region=region, account="" if nobody else model.account_id)

    @property
    def data_bucket(self) -> str:
        """ARN of the synchronised bucket."""
        return self.pair.side(self.side).bucket_arn

    def table(self) -> Mapping[Key, str]:
        """(service, kind) → pattern of what this pair has of that kind."""
        names = self.pair.names(self.side)
        own = f"{names.prefix}-*"
        bucket = names.artifacts_bucket
        return {
            ("autoscaling", "autoScalingGroup"): self.arn(
                "autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{own}"
            ),
            ("cloudwatch", "alarm"): self.arn("cloudwatch", f"alarm:{own}"),
            ("cloudwatch", "dashboard"): self.arn("cloudwatch", f"dashboard/{own}", anywhere=True),
            ("dynamodb", "table"): self.arn("dynamodb", f"table/{own}"),
            ("ecs", "cluster"): self.arn("ecs", f"cluster/{own}"),
            ("ecs", "task-definition"): self.arn("ecs", f"task-definition/{own}:*"),
            ("iam", "instance-profile"): self.arn("iam", f"instance-profile/{own}", anywhere=True),
            ("iam", "policy"): self.arn("iam", f"policy/{names.policy}", anywhere=True),
            ("iam", "role"): self.arn("iam", f"role/{own}", anywhere=True),
            ("iam", "user"): self.arn("iam", f"user/{names.user}", anywhere=True),
            ("kms", "alias"): self.arn("kms", f"alias/{own}"),
            ("kms", "key"): self.arn("kms", "key/*"),
            ("logs", "log-group"): self.arn("logs", f"log-group:{own}"),
            ("s3", "bucket"): self.arn("s3", bucket, nobody=True),
            ("s3", "object"): self.arn("s3", f"{bucket}/*", nobody=True),
            ("scheduler", "schedule"): self.arn("scheduler", f"schedule/default/{own}"),
            ("secretsmanager", "Secret"): self.arn("secretsmanager", f"secret:{names.secret}-??????"),
            ("sns", "topic"): self.arn("sns", own),
            ("sqs", "queue"): self.arn("sqs", own),
        }
