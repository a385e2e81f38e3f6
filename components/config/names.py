"""Every physical name in one place: `<pair>-<side>-<part>`, or the guide's where they can't collide."""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.settings import SideName

DEFAULT_PAIR = "dth-dual"
"""The pair whose policy, user and secret are named as in the deployment guide, so that its readers find them."""


OWN_TAGS = ("Name", "dualsync:pair", "dualsync:side", "dualsync:part")
"""Tags of every resource, besides the user's."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one side of a pair. `guide` is given where the guide's names are this pair's alone (see `names_of`)."""

    pair: str
    side: SideName
    account_id: str
    peer_region: str
    guide: bool
    user_override: str = ""
    secret_override: str = ""

    @property
    def prefix(self) -> str:
        """What every name of this side starts with, the guide's three apart."""
        return f"{self.pair}-{self.side}"

    def of(self, part: str) -> str:
        """`queue` → `dth-dual-cn-queue`."""
        return f"{self.prefix}-{part}"

    @property
    def policy(self) -> str:
        """The dedicated user's policy."""
        return f"{self.pair}-policy" if self.guide else self.of("policy")

    @property
    def user(self) -> str:
        """The dedicated user that the peer's worker acts as here."""
        return self.user_override or (f"{self.pair}-user" if self.guide else self.of("user"))

    @property
    def worker_role(self) -> str:
        """The role of this side's workers, by which their uploads are known."""
        return self.of("worker")

    @property
    def secret(self) -> str:
        """The secret in this side's account with the peer's user's key."""
        return self.secret_override or (f"dth-credentials-{self.peer_region}" if self.guide else self.of("credentials"))

    @property
    def artifacts_bucket(self) -> str:
        """Bucket names are everybody's: the account's number makes it ours."""
        return self.of(f"artifacts-{self.account_id}")

    @property
    def tightest(self) -> tuple[tuple[str, str, int], ...]:
        """(kind, longest name of that kind, characters that AWS allows it) where a pair's name could grow too long.

        From each service's reference: CreateBucket, CreateRole, CreateSchedule, CreateQueue, CreateTopic (its display
        name), CreateInstanceProfile, CreateLaunchTemplate. All other kinds allow 255 or more.
        """
        return (
            ("S3 bucket", self.artifacts_bucket, 63),
            ("IAM role", self.of("finder-schedule"), 64),
            ("schedule", self.of("finder-schedule"), 64),
            ("SQS queue", self.of("dead-letters"), 80),
            ("topic's display name", self.of("alarms"), 100),
            ("instance profile", self.of("worker-profile"), 128),
            ("launch template", self.of("worker-template"), 128),
        )

    @property
    def metrics(self) -> str:
        """CloudWatch namespace of this side's own metrics."""
        return f"{self.pair}/{self.side}"
