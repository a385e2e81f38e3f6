"""What an account shows before anything is deployed into it. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credential it is."""

    arn: str
    """ARN of the user or of the role's session."""
    account: str
    """Its account."""
    partition: str
    """Partition of that account."""
    skew_seconds: float
    """AWS's clock minus this machine's."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One entry of a bucket's event notifications."""

    id: str
    """Its id."""
    destination: str
    """ARN of the queue, topic or function."""
    events: Sequence[str]
    """Event types, such as `s3:ObjectCreated:*`."""
    prefix: str
    """Prefix of the keys, decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """A bucket as the deployment would find it."""

    problem: str = ""
    """Why it can't be used; empty for a usable one."""
    remedy: str = ""
    """What to do about the problem."""
    versioned: bool | None = None
    """Whether it keeps versions; None: not visible."""
    notifications: Sequence[Notification] | None = None
    """Its notifications; None: not visible."""


@dataclass(frozen=True, slots=True)
class SubnetRoute:
    """A subnet's default route."""

    subnet_id: str
    """The subnet."""
    route_table_id: str
    """Its route table; empty if it has none."""
    target: str
    """Target of the default route; empty for none."""

    @property
    def public(self) -> bool:
        """Whether only machines with a public address reach the internet."""
        return self.target.startswith("igw-")

    def leads_out(self, public_ip: bool | None) -> bool:
        """Return whether machines reach the internet; with None they get public addresses where they need them."""
        return bool(self.target) and (public_ip is not False or not self.public)


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC with its subnets."""

    id: str
    """The VPC; empty if the account has no default VPC in this region."""
    routes: Sequence[SubnetRoute] = ()
    """Its subnets."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """IAM's answer to whether a principal may call an action."""

    action: str
    """The action."""
    allowed: bool
    """Whether it is allowed."""
    missing: Sequence[str] = ()
    """Condition keys whose values the simulation lacked."""


class Account(Protocol):
    """One account, reached as the deployment reaches it. Each call may raise a `DualSyncError`."""

    async def caller(self) -> Caller:
        """Return whose credential it is. Raises `FatalError` with the command that signs in."""

    async def bucket(self, name: str, owner: str, region: str) -> BucketState:
        """Return a bucket's state."""

    async def vpc(self, id: str) -> Vpc:
        """Return a VPC, or the default one for an empty id."""

    async def has_image(self, registry: str, repository: str, digest: str) -> bool:
        """Return whether a registry (an account's number) has an image."""

    async def architectures(self, instance_type: str) -> Sequence[str]:
        """Return an instance type's processor architectures; none if it is not offered in the region."""

    async def simulate(self, arn: str, actions: Sequence[str], resource: str) -> Sequence[Simulation]:
        """Return for each action whether a user or role may call it on a resource."""

    async def role_arn(self, name: str) -> str:
        """Return the ARN of a role, whose path a session's ARN does not show."""
