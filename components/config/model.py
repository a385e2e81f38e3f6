"""Hold a pair as data: what config or a component's arguments state, checked, with nothing of Pulumi in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dualsync.components.config.names import DEFAULT_PAIR, Names
from dualsync.components.config.options import Declaration, Option, by_key, option, options_of
from dualsync.components.config.partitions import Partition, partition_of
from dualsync.components.config.prefixes import policy_patterns
from dualsync.components.config.side_options import (
    GROUPS,
    FinderOptions,
    FleetOptions,
    Network,
    Replicas,
    Security,
    Watch,
)
from dualsync.runtime.settings import ConflictPolicy, Direction, Events, FirstContact, OnLifecycleExpiry, SideName

DEAD_LETTER_DAYS = 14
"""Days that SQS keeps a message at most."""

QUEUE_DAYS = 13
"""Days that the queue keeps a message at most. A dead letter's age counts from its first enqueueing (SQS Developer
Guide, "Using dead-letter queues"), so that the difference to `DEAD_LETTER_DAYS` is the time to handle it."""


class HandOverMode(StrEnum):
    """How a side's access key reaches the peer's account."""

    PROVIDER = "provider"
    """The program writes it there, through a provider for the peer's account."""
    STACK_REFERENCE = "stack-reference"
    """The peer's program reads it from this stack's outputs."""
    CONFIG = "config"
    """An operator passes it on, as a config secret."""


class PeerIdentity(StrEnum):
    """Principal as which the peer's workers act in a side's account."""

    USER = "user"
    """An IAM user with a long-lived access key, as in the deployment guide."""
    ROLE = "role"
    """An IAM role, assumed with tokens that a KMS key in the peer's account signs. There is no long-lived key."""


ISSUER_LENGTH = 255
"""Characters of an OpenID Connect issuer's address at most (IAM API Reference, CreateOpenIDConnectProvider)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the deployment reaches a side's account."""

    profile: str = option(
        "profile", "AWS profile by which the deployment reaches the account.", default="", unset="the shell's"
    )
    role_arn: str = option("roleArn", "Role to assume, of the same account and partition.", default="")
    external_id: str = option("externalId", "External id for that role.", default="")
    endpoint: str = option(
        "endpoint",
        "Address to use instead of AWS's, for local cloud emulators and development only.",
        default="",
        unset="AWS's",
        pattern=r"https?://[^/\s]+/?",
        remedy="use http://host:port",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SideModel:
    """One side: its bucket, its account, and how its resources are built."""

    side: SideName
    """Name of the side."""
    account_id: str = option(
        "accountId",
        "Account number, 12 digits, in quotes.",
        unset="required",
        pattern=r"[0-9]{12}",
        remedy="use its 12 digits, in quotes",
    )
    region: str = option("region", "Region of the bucket; it decides the partition.", unset="required")
    bucket: str = option(
        "bucket", "An existing bucket. It is adopted: never created, changed or deleted.", unset="required"
    )
    prefix: str = option("prefix", "Only keys under it are synchronised.", default="")
    prefix_list_file: str = option(
        "prefixListFile",
        "Whole key of a text file in the bucket with one prefix per line, each below `prefix`: only keys under one of"
        " them are synchronised. Both sides' files must state the same prefixes.",
        default="",
        setting="prefix_list_file",
    )
    user_name: str = option(
        "userName",
        "Name of the dedicated user.",
        default="",
        unset="`dth-dual-user`, or with pair and side",
    )
    secret_name: str = option(
        "secretName",
        "Name of the secret with the peer's key.",
        default="",
        unset="`dth-credentials-<peer's region>`, or with pair and side",
    )
    former_user_ids: tuple[str, ...] = option(
        "formerUserIds",
        "Ids of earlier dedicated users or roles, whose events may still be in the queue.",
        default=(),
        pattern=r"[A-Za-z0-9]{16,128}",
        remedy="use AIDA… of `aws iam get-user`, or AROA… of `aws iam get-role`",
    )
    issuer: str = option(
        "issuer",
        "Public HTTPS address of this side's OpenID Connect issuer, with peerIdentity=role: the two documents of the"
        " output `issuer` are published below it, and the peer's account trusts the tokens that name it.",
        default="",
        pattern=r"https://[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?:/[A-Za-z0-9._~-]+)*",
        remedy="use https://HOST or https://HOST/PATH, without port, query and final slash",
        setting="token_issuer",
    )
    peer_addresses: tuple[str, ...] = option(
        "peerAddresses",
        "Addresses (CIDR) of the peer's workers and finder. With this key, the policy of the dedicated user or role"
        " denies all others.",
        default=(),
    )
    events_topic_arn: str = option(
        "eventsTopicArn",
        "SNS topic of the same account and region that receives the bucket's events, if the bucket has another"
        " consumer.",
        default="",
    )
    permissions_boundary: str = option(
        "permissionsBoundary",
        "ARN of the policy that every user and role of this side carries as its permissions boundary. The deploy role"
        " requires it.",
        default="",
    )
    lifecycle_expires: bool | None = option(
        "lifecycleExpires",
        "true: lifecycle rules expire objects of this bucket, so the finder takes no absence there for a deletion."
        " Assumed if the stack can't read the rules. Only used with onLifecycleExpiry=ignore.",
        default=None,
        unset="as the bucket's rules state",
    )
    access: Access = field(default_factory=Access)
    """How the deployment reaches the account."""
    network: Network = field(default_factory=Network)
    """Where worker and finder run."""
    fleet: FleetOptions = field(default_factory=FleetOptions)
    """The workers."""
    finder: FinderOptions = field(default_factory=FinderOptions)
    """The finder."""
    watch: Watch = field(default_factory=Watch)
    """Logs and alarms."""
    replicas: Replicas = field(default_factory=Replicas)
    """How this side's worker writes into the peer's bucket."""
    security: Security = field(default_factory=Security)
    """Access to the side's resources and their encryption."""
    at_top: frozenset[str] = field(default=frozenset(), compare=False)
    """Keys of this side that config has, or would have, at the top, so that an error names the right key."""
    given: frozenset[str] = field(default=frozenset(), compare=False)
    """Keys given inside the side, which both stacks read if they are in `Pulumi.yaml`."""

    def key(self, option: str) -> str:
        """Return the config key of an option of this side: `subnetIds` or `cn.subnetIds`."""
        return option if option in self.at_top else f"{self.side}.{option}"

    @property
    def partition(self) -> Partition:
        """The region's partition. Config has checked that the region is known."""
        partition = partition_of(self.region)
        if partition is None:
            raise LookupError(self.region)
        return partition

    @property
    def bucket_arn(self) -> str:
        """ARN of the data bucket."""
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
    """Side cn."""
    global_: SideModel
    """Side global."""
    manages: tuple[SideName, ...]
    """Sides that the program provisions."""
    name: str = option(
        "pair",
        "Name of the pair, with which the name of every resource begins. Two pairs in one account need two names.",
        default=DEFAULT_PAIR,
    )
    hand_over: HandOverMode = option(
        "handOver",
        "How a side's access key reaches the peer's account: provider (this program writes it there), stack-reference"
        " (from an output of the peer's stack), or config (from peerCredential).",
        default=HandOverMode.PROVIDER,
    )
    peer_identity: PeerIdentity = option(
        "peerIdentity",
        "Principal as which a side's workers act in the peer's account: user (an IAM user with an access key), or role"
        " (an IAM role without any long-lived key, which needs the key issuer of both sides). Both stacks state the"
        " same.",
        default=PeerIdentity.USER,
    )
    direction: Direction = option(
        "direction",
        "Directions in which changes are copied: both, cn-to-global or global-to-cn. In a one-way pair the destination"
        " mirrors the source, has no workers, and nothing can write at the source.",
        default=Direction.BOTH,
        setting="direction",
    )
    events: Events = option(
        "events",
        "Which changes are synchronised by events: CreateAndDelete, Create, or No (only the finder's runs).",
        default=Events.CREATE_AND_DELETE,
        setting="events",
    )
    conflict_policy: ConflictPolicy = option(
        "conflictPolicy",
        "Which version wins if both sides changed an object: newest, prefer-cn, prefer-global.",
        default=ConflictPolicy.NEWEST,
        setting="conflict_policy",
    )
    keep_loser: bool | None = option(
        "keepLoser",
        "Keep the losing version of a conflict under a conflict name, on both sides. If it is not given, it counts as"
        " false, and a managed bucket without versions is refused, unless the pair is one-way.",
        default=None,
    )
    first_contact: FirstContact = option(
        "firstContact",
        "How objects that both buckets held before the program are recognised as the same: checksum (ETags and"
        " checksums, no content crosses the border), content (where these do not decide, both contents are read), or"
        " size (equal sizes are enough; metadata is not compared).",
        default=FirstContact.CHECKSUM,
        setting="first_contact",
    )
    on_lifecycle_expiry: OnLifecycleExpiry = option(
        "onLifecycleExpiry",
        "What the expiry of an object by a lifecycle rule means: ignore (the other side keeps it) or propagate (it is"
        " deleted there).",
        default=OnLifecycleExpiry.IGNORE,
        setting="on_lifecycle_expiry",
    )
    deletion_limit: int = option(
        "deletionLimit",
        "Maximum deletions per finder run. If a run exceeds this or deletionLimitPercent, all its deletions are held"
        " for approval.",
        default=1000,
        low=0,
        setting="deletion_limit",
    )
    deletion_limit_percent: int = option(
        "deletionLimitPercent",
        "Maximum deletions per finder run as a percentage of all keys. If a run exceeds this or deletionLimit, all its"
        " deletions are held for approval. Runs with at most ten deletions ignore the percentage.",
        default=10,
        low=0,
        high=100,
        setting="deletion_limit_percent",
    )
    tombstone_days: int = option(
        "tombstoneDays",
        "Days for which a deletion is remembered; longer than both queues keep a message.",
        default=60,
        low=DEAD_LETTER_DAYS + 1,
        setting="tombstone_days",
    )
    queue_days: int = option(
        "queueRetentionDays",
        "Days for which the queue keeps an event. Dead letters are kept for 14 days from the event's arrival.",
        default=7,
        low=1,
        high=QUEUE_DAYS,
    )
    key_version: int = option(
        "keyVersion",
        "Raise it by one to rotate the access keys of the stack's dedicated users: the new key is created, the secret"
        " updated, the old key deleted. With peerIdentity=role it renews the keys that sign tokens and messages.",
        default=1,
        low=1,
    )
    protect: bool = option(
        "protect",
        "Protect the pair from `pulumi destroy`, and the ledger from deletion in every way. The loss of a ledger costs"
        " the proof of deletions.",
        default=True,
    )
    log_level: str = option(
        "logLevel",
        "DEBUG, INFO, WARNING or ERROR. Lines from which metrics are counted are written at every level.",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        setting="log_level",
    )
    tags: Mapping[str, str] = option("tags", "Tags for every resource, besides the program's own.", default={})

    def carries(self, name: SideName) -> bool:
        """Return whether the side's changes are copied to the other: it has queue, ledger, workers and finder."""
        return self.direction.carries(name)

    def receives(self, name: SideName) -> bool:
        """Return whether the other side's changes are copied to it: it has the dedicated user."""
        return self.direction.receives(name)

    def side(self, name: SideName) -> SideModel:
        """Return the side of that name."""
        return self.cn if name is SideName.CN else self.global_

    def names(self, name: SideName) -> Names:
        """Return the side's names: the guide's for policy, user and secret if no other pair or side can use them.

        Those names contain neither pair nor side, so only the pair of the default name takes them, and only if its
        sides are in two accounts.
        """
        side, peer = self.side(name), self.side(name.peer)
        guide = self.name == DEFAULT_PAIR and side.account_id != peer.account_id
        return Names(self.name, name, side.account_id, peer.region, guide, side.user_name, side.secret_name)


SIDE_FACTS: Mapping[str, Option] = by_key(
    [
        *options_of(SideModel),
        Option(Declaration(key="partition", description="Partition that the region must be in.", unset="any"), "", str),
        *options_of(Access, "access"),
    ]
)
"""Keys inside `cn` and `global` only."""

SIDE_OPTIONS: Mapping[str, Option] = by_key([o for name, group in GROUPS.items() for o in options_of(group, name)])
"""Keys at the top, for the managed sides, or inside `cn` and `global`, for that side."""

PAIR_OPTIONS: Mapping[str, Option] = by_key(options_of(PairModel))
"""Keys at the top that both stacks must state alike, apart from `keyVersion` and `protect`."""

STACK_KEYS: Mapping[str, Option] = by_key(
    [
        Option(Declaration(key="manages", description="Sides that this stack provisions.", default=()), "", tuple),
        Option(
            Declaration(
                key="peerStack",
                description="Stack that manages the other side, as name or organization/project/name; read if it"
                " exists.",
                pattern=r"(?:[\w.-]{1,100}/[\w.-]{1,100}/)?[\w.-]{1,100}",
                remedy="use the stack's name, or organization/project/name",
            ),
            "",
            str,
        ),
        Option(
            Declaration(
                key="peerCredential",
                description="The peer's access key with handOver=config, as its stack's output handOver; set it with"
                " --secret.",
            ),
            "",
            str,
        ),
        Option(
            Declaration(
                key="bundle",
                description="Folder with bundles made by `python -m dualsync.components.bundle.builder bundles FOLDER`;"
                " empty to build them during the deployment.",
            ),
            "",
            str,
        ),
    ]
)
"""Keys at the top that are about the stack alone."""
