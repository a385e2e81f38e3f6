"""The runtime settings: every `DUALSYNC_*` environment variable, defined once.

The component builds the worker's and the finder's environment from `Settings.to_environment`; the runtime reads
it back with `Settings.from_environment`; the documentation's table is `describe()`. Services' endpoints and
local credentials are the AWS SDK's own variables (`AWS_ENDPOINT_URL_SQS`, `AWS_PROFILE` …), not repeated here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_type_hints

from dualsync.runtime.errors import FatalError
from dualsync.runtime.sides import Direction as Direction
from dualsync.runtime.sides import SideName as SideName

VERSION = "0.2.0"
"""The version of this program, as in `pyproject.toml`. The bundle holds no package metadata to read it from."""
PREFIX = "DUALSYNC_"
OPERATOR_VARIABLES = frozenset(
    f"{PREFIX}{name}" for name in ("PAIR", "PROJECT", "STACK_CN", "STACK_GLOBAL", "PROFILE_CN", "PROFILE_GLOBAL")
)
"""Variables of the operator's commands. They may be in the shell from which a worker is started."""
KEEP_CLASS = "SOURCE"
"""Value of a storage class that means the original's."""
MAX_RANGES = 32
"""Most ranges of keys of one finder. Each holds some pages of both listings in memory, 2 MB in all."""


class Events(StrEnum):
    """The changes of the local bucket that are copied."""

    CREATE_AND_DELETE = "CreateAndDelete"
    """New versions and deletions."""
    CREATE = "Create"
    """New versions only."""
    NO = "No"
    """Nothing."""


class ConflictPolicy(StrEnum):
    """The winner of a conflict: both sides changed a key independently."""

    NEWEST = "newest"
    """The newer version."""
    PREFER_CN = "prefer-cn"
    """The version of `cn`."""
    PREFER_GLOBAL = "prefer-global"
    """The version of `global`."""


class FirstContact(StrEnum):
    """How objects that both buckets held before the program are recognised as the same."""

    CHECKSUM = "checksum"
    """By ETags and stored checksums, or by the local content's digest: no content is read across the border."""
    CONTENT = "content"
    """As `CHECKSUM`. Where that does not decide, both contents are read and compared."""
    SIZE = "size"
    """Objects of the same size are the same. Neither content nor metadata is compared."""


class OnLifecycleExpiry(StrEnum):
    """The effect on the other side when a lifecycle rule expires an object."""

    IGNORE = "ignore"
    """Nothing: the peer keeps its object."""
    PROPAGATE = "propagate"
    """A deletion like a user's."""


class SettingError(FatalError):
    """A setting is missing or wrong; the text names variable, value and remedy."""


def setting(
    help: str, *, default: Any = dataclasses.MISSING, low: float | None = None, high: float | None = None
) -> Any:
    """Declare a field of `Settings` with its one-line help and, for numbers, its lowest and highest allowed value."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a worker or a finder. Field `local_bucket` is variable `DUALSYNC_LOCAL_BUCKET`."""

    pair: str = setting("Name of the pair; part of every replica's stamp, the same on both sides.")
    side: SideName = setting("The side this process works for: cn or global.")
    local_bucket: str = setting("Bucket of this side.")
    local_region: str = setting("Region of this side's bucket.")
    local_account: str = setting("Account that must own this side's bucket; empty: not checked.", default="")
    local_prefix: str = setting("Only keys under this prefix are synchronised (this side).", default="")
    prefix_list_file: str = setting(
        "Whole key of a text file in the local bucket with one prefix per line: only keys under one of them (below the"
        " side's prefix) are synchronised; empty for all.",
        default="",
    )
    local_endpoint: str = setting("S3 endpoint URL of this side; empty for the region's own.", default="")
    remote_bucket: str = setting("Bucket of the peer.")
    remote_region: str = setting("Region of the peer's bucket.")
    remote_account: str = setting("Account that must own the peer's bucket; empty: not checked.", default="")
    remote_prefix: str = setting("Prefix of the synchronised keys on the peer.", default="")
    remote_endpoint: str = setting("S3 endpoint URL of the peer; empty for the region's own.", default="")
    remote_sts_endpoint: str = setting(
        "STS endpoint URL of the peer's partition; empty for the region's own.", default=""
    )
    queue_url: str = setting("Queue with the local bucket's events and the finder's findings.")
    dead_letter_queue_url: str = setting("Dead-letter queue: messages that can never succeed, with the reason.")
    ledger_table: str = setting("DynamoDB table of this side's ledger.")
    peer_secret: str = setting(
        "Name or ARN of the secret (this side's account) with the user_id of the peer's user and its key, or of the"
        " peer's role and its ARN."
    )
    own_user_ids: tuple[str, ...] = setting(
        "Ids (AIDA…, AROA…) of this side's dedicated user or role, current first, then predecessors; events they cause"
        " are echoes. Empty at a one-way pair's source, which has none."
    )
    token_issuer: str = setting(
        "Address of this side's OpenID Connect issuer, if the peer is a role; empty if it is a user with a key.",
        default="",
    )
    token_key: str = setting("ARN of the KMS key (RSA) that signs tokens for the peer's role.", default="")
    message_key: str = setting(
        "ARN of the KMS key (HMAC) from which the authenticator of messages is derived, if the peer is a role.",
        default="",
    )
    worker_role: str = setting(
        "Name of the IAM role of this side's workers. The finder aborts abandoned uploads that this role started.",
        default="",
    )
    enabled: bool = setting(
        "false: this side is deployed and carries nothing; there are no workers and no scheduled finder runs.",
        default=True,
    )
    direction: Direction = setting(
        "both, cn-to-global or global-to-cn: then nothing is written at the source.", default=Direction.BOTH
    )
    events: Events = setting("Changes that are copied: CreateAndDelete, Create, No.", default=Events.CREATE_AND_DELETE)
    conflict_policy: ConflictPolicy = setting("newest, prefer-cn or prefer-global.", default=ConflictPolicy.NEWEST)
    keep_loser: bool = setting("Keep a conflict's loser under a conflict name on both sides.", default=False)
    first_contact: FirstContact = setting(
        "How objects that both buckets held before are compared: checksum, content or size.",
        default=FirstContact.CHECKSUM,
    )
    on_lifecycle_expiry: OnLifecycleExpiry = setting(
        "ignore: an expired object is neither deleted at the peer nor copied back; propagate: it is deleted.",
        default=OnLifecycleExpiry.IGNORE,
    )
    local_expires: bool = setting(
        "A lifecycle rule expires objects of the local bucket: the finder treats no absence here as a deletion.",
        default=False,
    )
    remote_expires: bool = setting(
        "A lifecycle rule expires objects of the peer's bucket: the finder treats no absence there as a deletion.",
        default=False,
    )
    include_metadata: bool = setting("Carry user metadata and content headers.", default=True)
    include_tags: bool = setting(
        "Carry objects' tags with their content: one more request for each object that has some.", default=False
    )
    remote_storage_class: str = setting(
        "Storage class of replicas written to the peer; SOURCE for the original's.", default="STANDARD"
    )
    remote_acl: str = setting("Canned ACL of replicas; empty for none.", default="bucket-owner-full-control")
    remote_encryption: str = setting(
        "Server-side encryption of replicas: AES256, aws:kms or aws:kms:dsse; empty for the bucket's own default.",
        default="",
    )
    remote_kms_key: str = setting(
        "ARN of the key for aws:kms, in the peer's partition; empty for the peer's account's own key.", default=""
    )
    requester_pays: bool = setting("This program pays for requests to both buckets.", default=False)
    worker_concurrency: int = setting("Messages one worker handles at a time.", default=128, low=1)
    visibility_seconds: int = setting(
        "Seconds a received message stays hidden, extended while it is processed. After this time another worker"
        " receives the messages of a killed worker.",
        default=120,
        low=10,
    )
    retry_delay_seconds: int = setting(
        "Seconds until a contended key is checked again; longer than an ordinary copy takes.",
        default=15,
        low=0,
    )
    contention_attempts: int = setting(
        "Checks of a contended key before its message goes to the dead-letter queue.",
        default=50,
        low=1,
    )
    denied_seconds: int = setting(
        "Seconds from the first refusal (AccessDenied) until a message goes to the dead-letter queue.",
        default=6 * 3600,
        low=0,
    )
    multipart_threshold: int = setting("Bytes from which objects are copied in parts.", default=16 << 20, low=5 << 20)
    giant_threshold: int = setting(
        "Bytes from which all workers share the copy of an object: its parts are messages.",
        default=1 << 30,
        low=5 << 20,
    )
    part_size: int = setting(
        "Smallest part in bytes; it grows so that an object has at most 10,000 parts.", default=8 << 20, low=5 << 20
    )
    deletion_limit: int = setting(
        "Maximum deletions in one finder run; above it, all deletions of the run are held.", default=1000, low=0
    )
    deletion_limit_percent: int = setting(
        "Maximum deletions in one finder run, as a percentage of all keys; ten are always free.",
        default=10,
        low=0,
    )
    finder_grace_seconds: int = setting(
        "The finder skips objects younger than this, because their events may be under way.", default=300, low=0
    )
    finder_number: int = setting(
        "Ranges of keys that the finder compares at once; more than one where a listing's round trips are long.",
        default=1,
        low=1,
        high=MAX_RANGES,
    )
    tombstone_days: int = setting("Days a tombstone is kept; longer than both queues' retention.", default=60, low=1)
    log_level: str = setting(
        "DEBUG, INFO, WARNING or ERROR; lines that metrics are counted from are written at every level.", default="INFO"
    )

    def __post_init__(self) -> None:
        for name in _NEVER_EMPTY:
            if not getattr(self, name) and (self.carries or name not in _OF_A_CARRIER):
                raise SettingError(f"{variable(name)} is empty: give {help_of(name)}")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", self.pair):
            raise SettingError(f"{variable('pair')}={self.pair!r}: use 1 to 40 lower-case letters, digits and hyphens")
        if not self.own_user_ids and self.direction.receives(self.side):
            raise SettingError(
                f"{variable('own_user_ids')} is empty: without the dedicated user's id echoes can't be told from"
                " users' writes; give the id that `aws iam get-user` shows"
            )
        for f in dataclasses.fields(self):
            low, high, value = f.metadata["low"], f.metadata["high"], getattr(self, f.name)
            if low is not None and value < low:
                raise SettingError(f"{variable(f.name)}={value}: must be at least {low}")
            if high is not None and value > high:
                raise SettingError(f"{variable(f.name)}={value}: must be at most {high}")
        if self.remote_encryption not in ("", "AES256", "aws:kms", "aws:kms:dsse"):
            raise SettingError(
                f"{variable('remote_encryption')}={self.remote_encryption!r}: use AES256, aws:kms or aws:kms:dsse"
            )
        if self.remote_kms_key and not self.remote_encryption.startswith("aws:kms"):
            raise SettingError(
                f"{variable('remote_kms_key')}={self.remote_kms_key!r}: set {variable('remote_encryption')}=aws:kms"
            )
        federated = {name: bool(getattr(self, name)) for name in ("token_issuer", "token_key", "message_key")}
        if len(set(federated.values())) > 1:
            empty = next(name for name, given in federated.items() if not given)
            raise SettingError(f"{variable(empty)} is empty: give {help_of(empty)} Or empty the other two.")
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise SettingError(f"{variable('log_level')}={self.log_level!r}: use DEBUG, INFO, WARNING or ERROR")

    @property
    def carries(self) -> bool:
        """Return whether this side's changes are copied: false for a one-way pair's destination."""
        return self.direction.carries(self.side)

    @property
    def keep_class(self) -> bool:
        """Return whether replicas get the storage class of their originals."""
        return self.remote_storage_class == KEEP_CLASS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check the variables. Raises `SettingError`, also for an unknown `DUALSYNC_*` variable."""
        known = {variable(f.name): f for f in dataclasses.fields(cls)}
        for name in environment:
            if name.startswith(PREFIX) and name not in known and name not in OPERATOR_VARIABLES:
                raise SettingError(f"{name} is not a setting of this version: remove it, or correct its spelling")
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, f in known.items():
            text = environment.get(name)
            if text is not None:
                values[f.name] = _parse(name, hints[f.name], text)
            elif f.default is dataclasses.MISSING:
                raise SettingError(f"{name} is not set: give {f.metadata['help']}")
        return cls(**values)

    @classmethod
    def variables(cls) -> list[str]:
        """Return the names of all variables of this version."""
        return [variable(f.name) for f in dataclasses.fields(cls)]

    @classmethod
    def unknown_choices(cls, environment: Mapping[str, str]) -> dict[str, str]:
        """Return variables with a default whose value is none of this version's choices: a newer one may have more."""
        hints = get_type_hints(cls)
        found = {}
        for f in dataclasses.fields(cls):
            kind, text = hints[f.name], environment.get(variable(f.name))
            closed = isinstance(kind, type) and issubclass(kind, StrEnum) and f.default is not dataclasses.MISSING
            if text is not None and closed and text not in list(kind):
                found[variable(f.name)] = text
        return found

    def to_environment(self) -> dict[str, str]:
        """Return the same settings as environment variables, defaults included."""
        return {variable(f.name): render(getattr(self, f.name)) for f in dataclasses.fields(self)}


def token_audience(pair: str, side: SideName) -> str:
    """Return the audience of tokens for the role of this side."""
    return f"{pair}-{side}"


def token_subject(pair: str, side: SideName) -> str:
    """Return the subject of tokens that worker and finder of this side sign; also the name of their sessions."""
    return f"{pair}-{side}"


_NEVER_EMPTY = (
    "pair",
    "local_bucket",
    "local_region",
    "remote_bucket",
    "remote_region",
    "queue_url",
    "dead_letter_queue_url",
    "ledger_table",
    "peer_secret",
)
_OF_A_CARRIER = ("queue_url", "dead_letter_queue_url", "ledger_table", "peer_secret")
"""Parts that a one-way pair's destination does not have."""


def variable(name: str) -> str:
    """Return the variable of a field: `DUALSYNC_LOCAL_BUCKET` for `local_bucket`."""
    return PREFIX + name.upper()


def help_of(name: str) -> str:
    """Return the one-line help of a field of `Settings`."""
    return str(next(f for f in dataclasses.fields(Settings) if f.name == name).metadata["help"])


def describe() -> list[tuple[str, str, str]]:
    """Return (variable, default or 'required', help) of every setting, for the documentation."""
    return [
        (
            variable(f.name),
            "required" if f.default is dataclasses.MISSING else render(f.default),
            f.metadata["help"],
        )
        for f in dataclasses.fields(Settings)
    ]


def render(value: Any) -> str:
    """Return a setting's value as the text of its environment variable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _parse(name: str, kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise SettingError(f"{name}={text!r}: use true or false")
        return text == "true"
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise SettingError(f"{name}={text[:40]!r}: use a whole number")
        return int(text)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(text)
        except ValueError:
            raise SettingError(f"{name}={text!r}: use one of {', '.join(kind)}") from None
    return tuple(part.strip() for part in text.split(",") if part.strip())
