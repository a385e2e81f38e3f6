"""Every rule that a pair must meet, checked before anything is created. Pure: no cloud, no Pulumi."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import HandOver, PairModel, SideModel
from dualsync.components.config.names import OWN_TAGS
from dualsync.components.config.partitions import nearest, partition_of
from dualsync.components.config.prefixes import FILTER_LENGTH, filter_value
from dualsync.runtime.settings import MOST_RANGES, SideName

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention that CloudWatch Logs accepts, in days (PutRetentionPolicy)."""

STORAGE_CLASSES = (
    *("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
    *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY", "SOURCE"),
)
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
CANNED_ACLS = (
    *("bucket-owner-full-control", "bucket-owner-read", "private", "authenticated-read"),
    *("aws-exec-read", "public-read", "public-read-write"),
)
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_PAIR_STARTS = (*_RESERVED_STARTS, "sg-")
"""Of the bucket's name, and of the security group's."""
_RESERVED_ENDS = ("-s3alias", "--ol-s3", "--x-s3", ".mrap")

MAX_TAGS = 50 - len(OWN_TAGS)
"""AWS takes 50 tags a resource (S3 objects 10: see `bundle`)."""

_GIB = 1024
FARGATE = {
    256: (512, *range(1 * _GIB, 2 * _GIB + 1, _GIB)),
    512: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
"""CPU units and the memory in MiB that Fargate offers for them (ECS Developer Guide, Task size)."""

MAX_PREFIX_BYTES = 512
"""Half of what a key may have, so that keys under the prefix have room for names of their own."""

DEAD_LETTER_DAYS = 14
"""SQS keeps a message no longer."""


def check(pair: PairModel) -> None:
    """Raise `ConfigError` for the first rule that does not hold."""
    _pair(pair)
    for name in SideName:
        _place(str(name), pair.side(name))
    for name in pair.manages:
        _options(str(name), pair.side(name))
    _together(pair)


def _pair(pair: PairModel) -> None:
    _name(pair)
    for key, value, low, high in (
        ("deletionLimit", pair.deletion_limit, 0, None),
        ("deletionLimitPercent", pair.deletion_limit_percent, 0, 100),
        ("queueRetentionDays", pair.queue_days, 1, DEAD_LETTER_DAYS),
        # A tombstone that goes before the last message about its key has gone would let that message undo the deletion.
        ("tombstoneDays", pair.tombstone_days, DEAD_LETTER_DAYS + 1, None),
        ("keyVersion", pair.key_version, 1, None),
    ):
        _range(key, value, low, high)
    if pair.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError("logLevel", pair.log_level, "unknown choice", "use one of DEBUG, INFO, WARNING, ERROR")
    _tags(pair.tags)
    if pair.hand_over is not HandOver.PROVIDER and len(pair.manages) > 1:
        raise ConfigError(
            "handOver",
            str(pair.hand_over),
            "hands over between two stacks, and this one manages both sides",
            "use provider",
        )


def _name(pair: PairModel) -> None:
    """It starts the name of everything, so the tightest of AWS's rules for names are its own."""
    name = pair.name
    if not re.fullmatch(r"[a-z](?:[a-z0-9-]*[a-z0-9])?", name):
        raise ConfigError(
            "pair", name, "not a pair's name", "use lower-case letters, digits and hyphens, a letter first"
        )
    if name.startswith(_PAIR_STARTS):
        raise ConfigError("pair", name, "starts like names that AWS keeps for itself", "start it otherwise")
    tight = [(*t, len(name) + t[2] - len(t[1])) for side in SideName for t in pair.names(side).tightest]
    kind, longest, allowed, room = min(tight, key=lambda t: t[3])
    if len(name) > room:
        raise ConfigError(
            "pair",
            name,
            f"makes {longest} of {len(longest)} characters, and {kind} names have at most {allowed}",
            f"use at most {room} characters",
        )


def _tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        remedy = f"give at most {MAX_TAGS}: a resource takes 50, and {len(OWN_TAGS)} are the program's"
        raise ConfigError("tags", len(tags), "too many", remedy)
    for key, value in tags.items():
        if key.lower().startswith(("aws:", "dualsync:")) or not re.fullmatch(r"[\w +\-=.:/@]{1,128}", key):
            remedy = "use 1 to 128 letters, digits, spaces and +-=._:/@, not starting with aws: or dualsync:"
            raise ConfigError("tags", key, "not a tag's key", remedy)
        if not re.fullmatch(r"[\w +\-=.:/@]{0,256}", value):
            remedy = "use at most 256 letters, digits, spaces and +-=._:/@"
            raise ConfigError(f"tags.{key}", value, "not a tag's value", remedy)


def _place(side: str, model: SideModel) -> None:
    """Where a side is; asked of both sides, managed or not."""
    if not re.fullmatch(r"[0-9]{12}", model.account_id):
        raise ConfigError(
            f"{side}.accountId", model.account_id, "not an account's number", "use its 12 digits, in quotes"
        )
    partition = partition_of(model.region)
    if partition is None:
        raise ConfigError(
            f"{side}.region", model.region, "unknown region", f"use, for example, {nearest(model.region)}"
        )
    _bucket(f"{side}.bucket", model.bucket)
    _prefix(f"{side}.prefix", model.prefix)
    _key_text(f"{side}.prefixListFile", model.prefix_list_file)
    role = model.access.role_arn
    if role:
        found = re.fullmatch(r"arn:([a-z-]+):iam::([0-9]{12}):role/.+", role)
        if found is None:
            raise ConfigError(
                f"{side}.roleArn", role, "not a role's ARN", f"use arn:{partition.id}:iam::<account>:role/<name>"
            )
        if found[1] != partition.id:
            raise ConfigError(
                f"{side}.roleArn",
                role,
                f"is in partition {found[1]}, and {model.region} in {partition.id}",
                "give this side a profile or web identity of its own partition: roles can't be assumed across them",
            )
        if found[2] != model.account_id:
            raise ConfigError(
                f"{side}.roleArn",
                role,
                f"is in account {found[2]}",
                f"use a role of {side}.accountId {model.account_id}",
            )
    if model.access.endpoint and not re.fullmatch(r"https?://[^/\s]+/?", model.access.endpoint):
        raise ConfigError(f"{side}.endpoint", model.access.endpoint, "not an address", "use http://host:port")
    for key, value, pattern, remedy in (
        ("userName", model.user_name, r"[\w+=,.@-]{1,64}", "use 1 to 64 letters, digits and +=,.@_-"),
        ("secretName", model.secret_name, r"[\w/+=.@-]{1,512}", "use up to 512 letters, digits and /_+=.@-"),
        # A hyphen and six characters at the end read like an ARN's random end (Secrets Manager, CreateSecret).
        (
            "secretName",
            model.secret_name,
            r"(?!.*-[A-Za-z0-9]{6}\Z).*",
            "end it without a hyphen and six characters",
        ),
    ):
        if value and not re.fullmatch(pattern, value):
            raise ConfigError(f"{side}.{key}", value, "not allowed", remedy)
    for user_id in model.former_user_ids:
        if not re.fullmatch(r"\w{16,128}", user_id):
            raise ConfigError(f"{side}.formerUserIds", user_id, "not a user's id", "use AIDA… of `aws iam get-user`")
    boundary = model.permissions_boundary
    own_policies = partition.arn("iam", "policy/", account=model.account_id)
    if boundary and not re.fullmatch(re.escape(own_policies) + r"[A-Za-z0-9+=,.@_/-]{1,512}", boundary):
        raise ConfigError(
            f"{side}.permissionsBoundary",
            boundary,
            "not the ARN of a policy of this side's account",
            f"use {own_policies}NAME",
        )
    topic = model.events_topic_arn
    if topic and not topic.startswith(partition.arn("sns", "", region=model.region, account="")[:-1]):
        raise ConfigError(
            f"{side}.eventsTopicArn",
            topic,
            f"not a topic in {model.region}",
            "use a topic of the bucket's region",
        )


def _bucket(key: str, name: str) -> None:
    """General purpose buckets' naming rules (Amazon S3 User Guide, General purpose bucket naming rules)."""
    remedy = "use an existing bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) or ".." in name:
        raise ConfigError(key, name, "not a bucket's name", remedy)
    if name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        raise ConfigError(key, name, "a reserved name", remedy)
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return
    raise ConfigError(key, name, "looks like an address", remedy)


def _prefix(key: str, prefix: str) -> None:
    """Check a side's prefix. Its characters are encoded or escaped where it is used (`prefixes`)."""
    _key_text(key, prefix)
    if "*" in prefix:
        remedy = "use a prefix without it"
        raise ConfigError(key, prefix, "holds a wildcard, which S3's notification filters do not take", remedy)
    encoded = len(filter_value(prefix))
    if encoded > FILTER_LENGTH:
        remedy = f"use at most {FILTER_LENGTH} characters, URL-encoded"
        raise ConfigError(key, prefix[:40] + "…", f"too long for a notification filter ({encoded})", remedy)


def _key_text(key: str, text: str) -> None:
    if len(text.encode()) > MAX_PREFIX_BYTES:
        raise ConfigError(key, text[:40] + "…", "too long", f"use at most {MAX_PREFIX_BYTES} bytes")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ConfigError(key, text, "holds a control character, which policies do not take", "use none")


def _options(side: str, model: SideModel) -> None:
    """How a managed side is built."""
    fleet, finder, watch = model.fleet, model.finder, model.watch
    for key, value, low, high in (
        ("minCapacity", fleet.min_capacity, 0, None),
        ("desiredCapacity", fleet.desired_capacity, 0, None),
        ("maxCapacity", fleet.max_capacity, 1, None),
        ("spotPercent", fleet.spot_percent, 0, 100),
        ("volumeSize", fleet.volume_gib, 8, 16384),
        ("workerConcurrency", fleet.concurrency, 1, None),
        ("giantThreshold", fleet.giant_bytes, 5 << 20, None),
        ("finderIntervalMinutes", finder.interval_minutes, 1, None),
        ("finderGraceSeconds", finder.grace_seconds, 0, 86400),
        ("finderNumber", finder.number, 1, MOST_RANGES),
        ("lagAlarmSeconds", watch.lag_seconds, 60, None),
        ("deletionsAlarm", watch.deletions, 0, None),
        ("conflictsAlarm", watch.conflicts, 0, None),
    ):
        _range(model.key(key), value, low, high)
    if not fleet.min_capacity <= fleet.desired_capacity <= fleet.max_capacity:
        raise ConfigError(
            model.key("desiredCapacity"),
            fleet.desired_capacity,
            f"capacities out of order (minCapacity {fleet.min_capacity}, maxCapacity {fleet.max_capacity})",
            "let minCapacity ≤ desiredCapacity ≤ maxCapacity",
        )
    if finder.cpu not in FARGATE:
        raise ConfigError(
            model.key("finderCpu"), finder.cpu, "not offered", f"use one of {', '.join(map(str, FARGATE))}"
        )
    if finder.memory not in FARGATE[finder.cpu]:
        offered = ", ".join(map(str, FARGATE[finder.cpu]))
        raise ConfigError(
            model.key("finderMemory"), finder.memory, f"not offered for {finder.cpu} CPU units", f"use one of {offered}"
        )
    registry = re.match(r"[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.", finder.image)
    if registry is not None and partition_of(registry[1]) != model.partition:
        raise ConfigError(
            model.key("finderImage"),
            finder.image,
            f"is in a registry that side {side} can't reach from {model.region}",
            f"give it under {side}, from a registry of partition {model.partition.id}",
        )
    for key, text, choices in (
        ("storageClass", model.replicas.storage_class, STORAGE_CLASSES),
        ("acl", model.replicas.acl, ("", *CANNED_ACLS)),
        ("encryption", model.replicas.encryption, ("", *ENCRYPTIONS)),
    ):
        if text not in choices:
            raise ConfigError(
                model.key(key), text, "unknown choice", f"use one of {', '.join(c or 'nothing' for c in choices)}"
            )
    if watch.log_days not in LOG_DAYS:
        raise ConfigError(
            model.key("logRetentionDays"), watch.log_days, "not offered", f"use one of {', '.join(map(str, LOG_DAYS))}"
        )
    for key, texts, pattern, remedy in (
        ("vpcId", (model.network.vpc_id,), r"vpc-[0-9a-f]{8,17}", "use vpc-…, or nothing for the default VPC"),
        ("subnetIds", model.network.subnet_ids, r"subnet-[0-9a-f]{8,17}", "use a list of subnet-…"),
        (
            "machineImage",
            (fleet.image_id,),
            r"ami-[0-9a-f]{8,17}",
            "use ami-…, or nothing for current Amazon Linux",
        ),
        ("instanceType", (fleet.instance_type,), r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "use one like t4g.micro"),
        ("finderCluster", (finder.cluster,), r"[A-Za-z0-9_-]{1,255}", "use an ECS cluster's name, not its ARN"),
        ("alarmEmail", (watch.email,), r"[^@\s]+@[^@\s]+\.[^@\s]+", "use one address, or nothing"),
    ):
        for text in texts:
            if text and not re.fullmatch(pattern, text):
                raise ConfigError(model.key(key), text, f"not valid for side {side}", remedy)


def _range(key: str, value: int, low: int, high: int | None) -> None:
    if value < 0:
        raise ConfigError(key, value, "is negative", f"use {low} or more")
    if value < low or (high is not None and value > high):
        raise ConfigError(key, value, "out of range", f"use {low} or more" if high is None else f"use {low} to {high}")


def _key(model: SideModel, peer: SideModel) -> None:
    """A key never crosses regions: replicas need one where they are."""
    replicas = model.replicas
    if not replicas.kms_key:
        return
    if not replicas.encryption.startswith("aws:kms"):
        raise ConfigError(model.key("kmsKey"), replicas.kms_key, "has no use", "set encryption to aws:kms as well")
    start = f"arn:{peer.partition.id}:kms:{peer.region}:"
    if not re.fullmatch(re.escape(start) + r"[0-9]{12}:key/[A-Za-z0-9-]+", replicas.kms_key):
        raise ConfigError(
            model.key("kmsKey"),
            replicas.kms_key,
            f"is no key where the replicas are, in {peer.region}",
            f"use {start}…:key/…",
        )


def _together(pair: PairModel) -> None:
    """What only shows with both sides in view."""
    cn, other = pair.cn, pair.global_
    _key(cn, other)
    _key(other, cn)
    if cn.bucket == other.bucket:
        if cn.region != other.region or cn.account_id != other.account_id:
            raise ConfigError(
                "global.bucket",
                other.bucket,
                "is cn.bucket too, which has one region and one account",
                "mend either side",
            )
        if cn.prefix.startswith(other.prefix) or other.prefix.startswith(cn.prefix):
            raise ConfigError(
                "global.prefix",
                other.prefix,
                f"overlaps cn.prefix={cn.prefix!r} in the same bucket {cn.bucket}, which would copy into itself",
                "use two prefixes of which neither begins with the other, or two buckets",
            )
    if cn.account_id == other.account_id and cn.partition.id != other.partition.id:
        raise ConfigError(
            "global.accountId",
            other.account_id,
            f"is cn's too, but {cn.region} and {other.region} are in different partitions",
            "give each side its own account",
        )
    for key, a, b in _names(pair):
        if a == b:
            raise ConfigError(
                key, b, "is the same on both sides, which share an account", "give another name to one of them"
            )


def _names(pair: PairModel) -> Iterator[tuple[str, str, str]]:
    """(key, cn's name, global's name) of what would collide in one account."""
    cn, other = pair.names(SideName.CN), pair.names(SideName.GLOBAL)
    if pair.cn.account_id == pair.global_.account_id:
        yield "global.userName", cn.user, other.user
        if pair.cn.region == pair.global_.region:
            yield "global.secretName", cn.secret, other.secret
