"""Hold the options of one side, in groups; each field declares the config key that fills it.

A key of these groups may be at the top, for the sides that a stack manages, or inside `cn` or `global`, for that side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.components.config.options import option
from dualsync.runtime.settings import MAX_RANGES

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention that CloudWatch Logs accepts, in days (PutRetentionPolicy)."""

STORAGE_CLASSES = (
    *("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
    *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY", "SOURCE"),
)
"""Storage classes of S3 objects, and `SOURCE` for the original's."""

ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
"""Server-side encryptions of S3 objects."""

CANNED_ACLS = (
    *("bucket-owner-full-control", "bucket-owner-read", "private", "authenticated-read"),
    *("aws-exec-read", "public-read", "public-read-write"),
)
"""Canned ACLs of S3 objects."""

PRINCIPAL_ARN = r"arn:[a-z-]+:iam::[0-9]{12}:(?:role|user)/[\w+=,.@/*?-]+"
"""ARN of a role or user; `*` and `?` may be in its name."""


class Architecture(StrEnum):
    """Processor architecture, as EC2 and ECS spell it."""

    ARM64 = "arm64"
    """64-bit ARM: AWS Graviton."""
    X86_64 = "x86_64"
    """64-bit x86: Intel and AMD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where worker and finder run."""

    vpc_id: str = option(
        "vpcId",
        "VPC of workers and finder; empty for the account's default VPC.",
        default="",
        pattern=r"vpc-[0-9a-f]{8,17}",
        remedy="use vpc-…, or nothing for the default VPC",
    )
    subnet_ids: tuple[str, ...] = option(
        "subnetIds",
        "Subnets with a route to the internet or to httpsProxy; empty for all of the VPC with a route to the internet.",
        default=(),
        pattern=r"subnet-[0-9a-f]{8,17}",
        remedy="use a list of subnet-…",
    )
    public_ip: bool | None = option(
        "publicIp",
        "Assign public addresses to workers and finder. If it is not given, they get them where the default route of a"
        " subnet leads to an internet gateway. Nothing is allowed in.",
        default=None,
        unset="by the subnets' routes",
    )
    gateway_endpoints: bool = option(
        "gatewayEndpoints",
        "Create gateway endpoints for S3 and DynamoDB in the VPC, for the route tables that lead to none. Traffic to"
        " the peer does not use them.",
        default=False,
    )
    https_proxy: str = option(
        "httpsProxy",
        "HTTP proxy through which worker and finder reach AWS (http://host:port, or https://host:port if the proxy has"
        " TLS), by CONNECT; empty for none. Without user and password.",
        default="",
    )
    no_proxy: tuple[str, ...] = option(
        "noProxy",
        "Hosts that worker and finder reach without the proxy: names, .suffixes, addresses, networks. The addresses of"
        " instance and task metadata are always among them.",
        default=(),
    )
    fips_endpoints: bool = option(
        "fipsEndpoints",
        "Use AWS's FIPS endpoints. Refused where the side's region lacks them, as China's regions do. A peer there is"
        " reached at its ordinary endpoints.",
        default=False,
    )
    dual_stack_endpoints: bool = option(
        "dualStackEndpoints",
        "Use AWS's dual-stack endpoints (IPv4 and IPv6) of the services that have them, and let HTTPS out over IPv6.",
        default=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """The workers."""

    enabled: bool = option(
        "enableSynchronization",
        "false: the side is deployed and carries nothing: no workers, no scheduled finder runs. Its events wait in the"
        " queue for queueRetentionDays; the first finder run after it is true picks up older changes.",
        default=True,
        setting="enabled",
    )
    instance_type: str = option(
        "instanceType",
        "EC2 instance type of the workers.",
        default="t4g.micro",
        pattern=r"[a-z][a-z0-9-]*\.[a-z0-9-]+",
        remedy="use one like t4g.micro",
    )
    architecture: Architecture = option(
        "architecture",
        "Processor architecture of the instance type: arm64 or x86_64.",
        default=Architecture.ARM64,
    )
    image_id: str = option(
        "machineImage",
        "Machine image (ami-…); empty for the current Amazon Linux 2023.",
        default="",
        pattern=r"ami-[0-9a-f]{8,17}",
        remedy="use ami-…, or nothing for current Amazon Linux",
    )
    min_capacity: int = option("minCapacity", "Smallest number of workers.", default=1, low=0)
    desired_capacity: int = option(
        "desiredCapacity", "Number of workers at first; scaling changes it later.", default=1, low=0
    )
    max_capacity: int = option("maxCapacity", "Largest number of workers.", default=20, low=1)
    spot_percent: int = option(
        "spotPercent",
        "Percentage of spot instances among the workers above minCapacity.",
        default=0,
        low=0,
        high=100,
    )
    detailed_monitoring: bool = option(
        "detailedMonitoring",
        "Let EC2 report each worker's CPU and network every minute instead of every five: seven more metrics per"
        " worker.",
        default=False,
    )
    volume_gib: int = option("volumeSize", "Encrypted volume per worker, in GiB.", default=8, low=8, high=16384)
    concurrency: int = option(
        "workerConcurrency",
        "Messages that one worker handles at a time.",
        default=128,
        low=1,
        high=10_000,
        setting="worker_concurrency",
    )
    giant_bytes: int = option(
        "giantThreshold",
        "Size in bytes from which all workers copy an object together; its parts are requested through the queue.",
        default=1 << 30,
        low=5 << 20,
        setting="giant_threshold",
    )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Smallest, first and largest number of workers; all 0 while the side copies nothing."""
        return (self.min_capacity, self.desired_capacity, self.max_capacity) if self.enabled else (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderOptions:
    """The finder's task."""

    interval_minutes: int = option(
        "finderIntervalMinutes",
        "Minutes from the start of one comparison of the buckets to the next.",
        default=60,
        low=1,
        high=2 * 24 * 60,
    )
    grace_seconds: int = option(
        "finderGraceSeconds",
        "Seconds for which the finder leaves a changed object to its event.",
        default=300,
        low=0,
        high=86400,
        setting="finder_grace_seconds",
    )
    number: int = option(
        "finderNumber",
        f"Ranges of keys that the finder compares at once, up to {MAX_RANGES}. Raise it if listing the peer is slow.",
        default=1,
        low=1,
        high=MAX_RANGES,
        setting="finder_number",
    )
    cpu: int = option("finderCpu", "CPU of the finder in units of 1/1024 vCPU, as Fargate offers them.", default=512)
    memory: int = option(
        "finderMemory", "Memory of the finder in MiB, as Fargate offers it for that CPU.", default=1024
    )
    architecture: Architecture = option(
        "finderArchitecture",
        "Processor architecture of the finder: arm64, or x86_64, the only one confirmed in China regions.",
        default=Architecture.X86_64,
    )
    image: str = option(
        "finderImage",
        "Container image of the finder by digest (REPOSITORY@sha256:…); empty for the stock image. China regions need a"
        " copy in the account's registry.",
        default="",
    )
    cluster: str = option(
        "finderCluster",
        "Name of an existing ECS cluster for the finder; empty to create one.",
        default="",
        pattern=r"[A-Za-z0-9_-]{1,255}",
        remedy="use an ECS cluster's name, not its ARN",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Logs and alarms."""

    email: str = option(
        "alarmEmail",
        "Address that receives the alarms; empty for none.",
        default="",
        pattern=r"[!-+\--?A-~]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+",
        remedy="use one address, or nothing",
    )
    dashboard: bool = option("dashboard", "Create the CloudWatch dashboard.", default=True)
    log_days: int = option("logRetentionDays", "Days for which logs are kept.", default=14, choices=LOG_DAYS)
    lag_seconds: int = option("lagAlarmSeconds", "Seconds that a change may wait before an alarm.", default=900, low=60)
    deletions: int = option(
        "deletionsAlarm",
        "Number of deletions within five minutes above which an alarm is raised; 0 for no alarm.",
        default=1000,
        low=0,
    )
    conflicts: int = option(
        "conflictsAlarm",
        "Number of conflicts within five minutes above which an alarm is raised; 0 for no alarm.",
        default=100,
        low=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """How this side's worker writes objects into the peer's bucket."""

    include_metadata: bool = option(
        "includeMetadata", "Copy user metadata and content headers.", default=True, setting="include_metadata"
    )
    storage_class: str = option(
        "storageClass",
        "Storage class of the replicas; SOURCE for that of the original.",
        default="STANDARD",
        choices=STORAGE_CLASSES,
        setting="remote_storage_class",
    )
    acl: str = option(
        "acl",
        "Canned ACL of the replicas; empty to send none. The peer's user may set no other.",
        default="bucket-owner-full-control",
        choices=("", *CANNED_ACLS),
        setting="remote_acl",
    )
    include_tags: bool = option(
        "includeTags",
        "Copy objects' tags together with their content. A change of tags alone is not copied.",
        default=False,
        setting="include_tags",
    )
    encryption: str = option(
        "encryption",
        "Server-side encryption of the replicas (AES256, aws:kms, aws:kms:dsse); empty for the bucket's default.",
        default="",
        choices=("", *ENCRYPTIONS),
        setting="remote_encryption",
    )
    kms_key: str = option(
        "kmsKey",
        "ARN of the replicas' KMS key, in the peer's account and region. Its key policy must allow the peer's user,"
        " worker and finder.",
        default="",
        setting="remote_kms_key",
    )
    requester_pays: bool = option(
        "requesterPays",
        "State in requests to both buckets that the worker's account pays for them.",
        default=False,
        setting="requester_pays",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who may reach the side's resources, and with which key they are encrypted."""

    operator_roles: tuple[str, ...] = option(
        "operatorRoles",
        "ARNs of the roles or users that may send to the side's queues besides worker and finder, as"
        " `dualsync reconcile` and `dualsync dlq redrive` do, with their paths; `*` may be in a name.",
        default=(),
        pattern=PRINCIPAL_ARN,
        remedy="use the ARN of a role or user of the side's account: arn:<partition>:iam::<account>:role/<name>",
    )
    deployers: tuple[str, ...] = option(
        "deployers",
        "ARNs of the roles or users that deploy into the side's account, with their paths; `*` may be in a name. With"
        " this key, the secret's policy denies its value to all others but worker and finder; empty for no such"
        " policy.",
        default=(),
        pattern=PRINCIPAL_ARN,
        remedy="use the ARN of a role or user of the side's account: arn:<partition>:iam::<account>:role/<name>",
    )
    session_manager: bool = option("sessionManager", "Let Session Manager open shells on the workers.", default=True)
    alarm_topic_key: bool = option(
        "alarmTopicKey",
        "Create a KMS key for the alarms' topic, unless kmsKeyArn is given. Without both, only SNS's own disk"
        " encryption applies.",
        default=False,
    )
    kms_key_arn: str = option(
        "kmsKeyArn",
        "ARN of a customer managed KMS key of the side's region for queues, ledger, logs, secret, alarm topic and"
        " artifacts; empty for AWS's own keys. Its key policy must allow S3, CloudWatch and CloudWatch Logs to use it.",
        default="",
        pattern=r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
        remedy="use a key's ARN, not an alias",
    )


GROUPS: dict[str, type] = {
    "network": Network,
    "fleet": FleetOptions,
    "finder": FinderOptions,
    "watch": Watch,
    "replicas": Replicas,
    "security": Security,
}
"""Field of `SideModel` that holds each group."""
