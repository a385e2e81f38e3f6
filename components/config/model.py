"""A pair as data: what config or a component's arguments say, checked, with nothing of Pulumi in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dualsync.components.config.names import DEFAULT_PAIR, Names
from dualsync.components.config.partitions import Partition, partition_of
from dualsync.components.config.prefixes import policy_patterns
from dualsync.runtime.settings import ConflictPolicy, Events, OnLifecycleExpiry, SideName


class HandOver(StrEnum):
    """How a side's key reaches the peer's account."""

    PROVIDER = "provider"
    STACK_REFERENCE = "stack-reference"
    CONFIG = "config"


class Architecture(StrEnum):
    """Processor architecture, as EC2 and ECS spell it (`ARM64` is ECS's for `arm64`)."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the deployment reaches a side's account. `endpoint` replaces all services' addresses (stand-ins)."""

    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where worker and finder run. No VPC: the default one; no subnets: all of the VPC's that have a way out."""

    vpc_id: str = ""
    subnet_ids: tuple[str, ...] = ()
    public_ip: bool = True
    gateway_endpoints: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """The workers. Image "": the current Amazon Linux 2023 of the architecture, resolved by the launch template."""

    instance_type: str = "t4g.micro"
    architecture: Architecture = Architecture.ARM64
    image_id: str = ""
    min_capacity: int = 1
    desired_capacity: int = 1
    max_capacity: int = 20
    spot_percent: int = 0
    volume_gib: int = 8
    concurrency: int = 128
    giant_bytes: int = 1 << 30
    """From so many bytes on, an object's parts go through the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderOptions:
    """The finder's task. `cpu` in units (1024 = one vCPU), `memory` in MiB. Image "": the stock one.

    Cluster "": one of its own. Objects younger than `grace_seconds` are left to their events. `number` ranges of keys
    are compared at once.
    """

    interval_minutes: int = 60
    grace_seconds: int = 300
    number: int = 1
    cpu: int = 512
    memory: int = 1024
    architecture: Architecture = Architecture.X86_64
    image: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What tells a person: log retention in days, the alarms' address, the lag that is too much in seconds, and how
    many deletions and conflicts within five minutes are too many (0: however many)."""

    email: str = ""
    log_days: int = 14
    lag_seconds: int = 900
    deletions: int = 1000
    conflicts: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """How this side's worker writes into the peer's bucket. "" for `acl` sends none, "" for `encryption` leaves it to
    the bucket. `requester_pays`: it says to both buckets that its account pays."""

    include_metadata: bool = True
    include_tags: bool = False
    storage_class: str = "STANDARD"
    acl: str = "bucket-owner-full-control"
    encryption: str = ""
    kms_key: str = ""
    requester_pays: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SideModel:
    """One side: its bucket, its account, and how its part of the machinery is built.

    `prefix_list_file` is the whole key of an object of the bucket. `lifecycle_expires` None: as the bucket's rules say,
    and true where they can't be read. `at_top`: options of this side that config has, or would have, at the top instead
    of inside the side; so that an error names the right key.
    """

    side: SideName
    account_id: str
    region: str
    bucket: str
    prefix: str = ""
    prefix_list_file: str = ""
    user_name: str = ""
    secret_name: str = ""
    former_user_ids: tuple[str, ...] = ()
    events_topic_arn: str = ""
    permissions_boundary: str = ""
    lifecycle_expires: bool | None = None
    access: Access = field(default_factory=Access)
    network: Network = field(default_factory=Network)
    fleet: FleetOptions = field(default_factory=FleetOptions)
    finder: FinderOptions = field(default_factory=FinderOptions)
    watch: Watch = field(default_factory=Watch)
    replicas: Replicas = field(default_factory=Replicas)

    at_top: frozenset[str] = field(default=frozenset(), compare=False)

    def key(self, option: str) -> str:
        """The config key of an option of this side: `subnetIds` or `cn.subnetIds`."""
        return option if option in self.at_top else f"{self.side}.{option}"

    @property
    def partition(self) -> Partition:
        """The region's partition; config has checked that the region is known."""
        partition = partition_of(self.region)
        if partition is None:
            raise LookupError(self.region)
        return partition

    @property
    def bucket_arn(self) -> str:
        """ARN of the data bucket, which is never ours."""
        return self.partition.arn("s3", self.bucket)

    @property
    def objects_arns(self) -> list[str]:
        """ARN patterns of the synchronised objects, as a policy names them."""
        return [self.partition.arn("s3", f"{self.bucket}/{p}*") for p in policy_patterns(self.prefix)]

    @property
    def prefix_list_arns(self) -> list[str]:
        """ARN patterns of the prefix-list file if the objects' patterns do not include it; else empty."""
        file = self.prefix_list_file
        if not file or file.startswith(self.prefix):
            return []
        return [self.partition.arn("s3", f"{self.bucket}/{p}") for p in policy_patterns(file)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairModel:
    """The pair, and which of its sides this program manages."""

    cn: SideModel
    global_: SideModel
    manages: tuple[SideName, ...]
    name: str = DEFAULT_PAIR
    hand_over: HandOver = HandOver.PROVIDER
    events: Events = Events.CREATE_AND_DELETE
    conflict_policy: ConflictPolicy = ConflictPolicy.NEWEST
    keep_loser: bool = False
    on_lifecycle_expiry: OnLifecycleExpiry = OnLifecycleExpiry.IGNORE
    deletion_limit: int = 1000
    deletion_limit_percent: int = 10
    tombstone_days: int = 60
    queue_days: int = 7
    key_version: int = 1
    protect: bool = True
    log_level: str = "INFO"
    tags: Mapping[str, str] = field(default_factory=dict)

    def side(self, name: SideName) -> SideModel:
        """The side of that name."""
        return self.cn if name is SideName.CN else self.global_

    def names(self, name: SideName) -> Names:
        """The side's names; the guide's for its policy, user and secret when no other pair or side can want them.

        Those names know neither pair nor side, so they are taken only by the pair of the default name, and only
        when its sides live in two accounts.
        """
        side, peer = self.side(name), self.side(name.peer)
        guide = self.name == DEFAULT_PAIR and side.account_id != peer.account_id
        return Names(self.name, name, side.account_id, peer.region, guide, side.user_name, side.secret_name)
