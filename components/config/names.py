"""Make every physical name: `<pair>-<side>-<part>`, or the guide's where they can't collide."""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.settings import SideName

DEFAULT_PAIR = "dth-dual"
"""Name of the pair whose policy, user and secret are named as in the deployment guide."""

PAIR_TAG = "dualsync:pair"
"""Tag with the pair's name."""

OWN_TAGS = ("Name", PAIR_TAG, "dualsync:side", "dualsync:part")
"""Tags of every resource, besides the user's."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one side of a pair."""

    pair: str
    """Name of the pair."""
    side: SideName
    """Name of the side."""
    account_id: str
    """Account of the side."""
    peer_region: str
    """Region of the other side."""
    guide: bool
    """Whether the guide's names are this pair's alone (`PairModel.names`)."""
    user_override: str = ""
    """Name of the dedicated user from config."""
    secret_override: str = ""
    """Name of the secret from config."""

    @property
    def prefix(self) -> str:
        """Start of every name of this side, apart from the guide's three."""
        return f"{self.pair}-{self.side}"

    def of(self, part: str) -> str:
        """Return the name of a part: `queue` becomes `dth-dual-cn-queue`."""
        return f"{self.prefix}-{part}"

    @property
    def policy(self) -> str:
        """Name of the dedicated user's policy."""
        return f"{self.pair}-policy" if self.guide else self.of("policy")

    @property
    def user(self) -> str:
        """Name of the dedicated user, as which the peer's worker acts here."""
        return self.user_override or (f"{self.pair}-user" if self.guide else self.of("user"))

    @property
    def worker_role(self) -> str:
        """Name of the workers' role, by which the finder recognises their uploads."""
        return self.of("worker")

    @property
    def peer_role(self) -> str:
        """Name of the role as which the peer's worker acts here, with `peerIdentity: role`."""
        return self.of("peer")

    @property
    def secret(self) -> str:
        """Name of the secret in this side's account with the key of the peer's user."""
        return self.secret_override or (f"dth-credentials-{self.peer_region}" if self.guide else self.of("credentials"))

    @property
    def artifacts_bucket(self) -> str:
        """Name of the artifacts bucket; the account's number makes it unique among all accounts."""
        return self.of(f"artifacts-{self.account_id}")

    @property
    def tightest(self) -> tuple[tuple[str, str, int], ...]:
        """(kind, longest name of that kind, characters that AWS allows it) where a pair's name could be too long.

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
