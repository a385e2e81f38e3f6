"""The ARNs of one side's own resources, by the kinds that IAM confines actions to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dualsync.components.config.model import PairModel, PeerIdentity
from dualsync.runtime.settings import SideName

Key = tuple[str, str]

BOUNDARY = "boundary"
"""Part of the name of the boundary policy: `<pair>-<side>-boundary`."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """One side of a pair, as its operators' roles reach it."""

    pair: PairModel
    """The pair."""
    side: SideName
    """The side whose account the roles are in."""

    def arn(self, service: str, resource: str, *, anywhere: bool = False, unowned: bool = False) -> str:
        """Return an ARN in this account: `anywhere` without a region, `unowned` without a region and an account."""
        model = self.pair.side(self.side)
        region = "" if anywhere or unowned else model.region
        return model.partition.arn(service, resource, region=region, account="" if unowned else model.account_id)

    def public(self, service: str, resource: str) -> str:
        """Return an ARN in this region that names no account: of AWS itself, or of any owner."""
        model = self.pair.side(self.side)
        return model.partition.arn(service, resource, region=model.region)

    @property
    def data_bucket(self) -> str:
        """Return the ARN of the synchronised bucket."""
        return self.pair.side(self.side).bucket_arn

    @property
    def boundary(self) -> str:
        """Return the ARN of the boundary that users and roles of this side carry."""
        return self.arn("iam", f"policy/{self.pair.names(self.side).of(BOUNDARY)}", anywhere=True)

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the ARNs of the roles that the program makes."""
        names = self.pair.names(self.side)
        parts = (names.worker_role, *(names.of(f"finder-{part}") for part in ("schedule", "start", "task")))
        return tuple(self.arn("iam", f"role/{name}", anywhere=True) for name in sorted(parts))

    @property
    def peer_role(self) -> str:
        """Return the ARN of the role as which the peer acts, if it is one."""
        return self.arn("iam", f"role/{self.pair.names(self.side).peer_role}", anywhere=True)

    @property
    def by_role(self) -> bool:
        """Return whether the peer acts as a role instead of a user."""
        return self.pair.peer_identity is PeerIdentity.ROLE

    @property
    def unused(self) -> frozenset[str]:
        """Return the kinds of IAM's resources that such a pair does not have."""
        return frozenset({"policy", "user"} if self.by_role else {"oidc-provider"})

    @property
    def user_policy(self) -> str:
        """Return the ARN of the dedicated user's policy."""
        return self.arn("iam", f"policy/{self.pair.names(self.side).policy}", anywhere=True)

    def tagged(self, source: str = "aws:ResourceTag") -> Mapping[str, Mapping[str, str]]:
        """Return the condition that a resource (or, with `aws:RequestTag`, a new one) carries this side's tags."""
        return {"StringEquals": {f"{source}/dualsync:pair": self.pair.name, f"{source}/dualsync:side": str(self.side)}}

    def table(self) -> Mapping[Key, tuple[str, ...]]:
        """Return the patterns of this pair's resources by (service, kind)."""
        names = self.pair.names(self.side)
        own = f"{names.prefix}-*"
        bucket = names.artifacts_bucket
        return {
            ("autoscaling", "autoScalingGroup"): (
                self.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{own}"),
            ),
            ("cloudwatch", "alarm"): (self.arn("cloudwatch", f"alarm:{own}"),),
            ("cloudwatch", "dashboard"): (self.arn("cloudwatch", f"dashboard/{own}", anywhere=True),),
            ("dynamodb", "table"): (self.arn("dynamodb", f"table/{own}"),),
            ("ecs", "cluster"): (self.arn("ecs", f"cluster/{own}"),),
            ("ecs", "task-definition"): (self.arn("ecs", f"task-definition/{own}:*"),),
            ("iam", "instance-profile"): (
                self.arn("iam", f"instance-profile/{names.of('worker-profile')}", anywhere=True),
            ),
            **self._identities(),
            ("kms", "alias"): (self.arn("kms", f"alias/{own}"),),
            ("kms", "key"): (self.arn("kms", "key/*"),),
            ("logs", "log-group"): (self.arn("logs", f"log-group:{own}"),),
            ("s3", "bucket"): (self.arn("s3", bucket, unowned=True),),
            ("s3", "object"): (self.arn("s3", f"{bucket}/*", unowned=True),),
            ("scheduler", "schedule"): (self.arn("scheduler", f"schedule/default/{own}"),),
            ("secretsmanager", "Secret"): (self.arn("secretsmanager", f"secret:{names.secret}-??????"),),
            ("sns", "topic"): (self.arn("sns", own),),
            ("ssm", "parameter"): (self.public("ssm", "parameter/aws/service/ami-amazon-linux-latest/*"),),
            ("sqs", "queue"): (self.arn("sqs", own),),
        }

    def _identities(self) -> dict[Key, tuple[str, ...]]:
        """Return the patterns of what the peer acts as, and of the other roles."""
        if self.by_role:
            issuer = self.pair.side(self.side.peer).issuer.removeprefix("https://")
            return {
                ("iam", "oidc-provider"): (self.arn("iam", f"oidc-provider/{issuer}", anywhere=True),),
                ("iam", "role"): tuple(sorted((*self.roles, self.peer_role))),
            }
        return {
            ("iam", "policy"): (self.user_policy,),
            ("iam", "role"): self.roles,
            ("iam", "user"): (self.arn("iam", f"user/{self.pair.names(self.side).user}", anywhere=True),),
        }
