"""Check every rule that a pair must meet before anything is created. Pure: no cloud, no Pulumi."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from dualsync.components.config import egress, images, one_way, tags
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import (
    ISSUER_LENGTH,
    PAIR_OPTIONS,
    SIDE_FACTS,
    SIDE_OPTIONS,
    HandOverMode,
    PairModel,
    PeerIdentity,
    SideModel,
)
from dualsync.components.config.options import Declaration, Option
from dualsync.components.config.partitions import nearest, partition_of
from dualsync.components.config.prefixes import FILTER_LENGTH, filter_value
from dualsync.components.config.service_names import problem_with
from dualsync.runtime.settings import SideName

_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
"""Starts of bucket names that AWS reserves."""
_PAIR_STARTS = (*_RESERVED_STARTS, "sg-")
"""Starts of bucket names and security groups' names that AWS reserves."""
_RESERVED_ENDS = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", ".mrap")
"""Ends of bucket names that AWS reserves."""

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
"""Memory in MiB that Fargate offers per number of CPU units (ECS Developer Guide, Task size)."""

MAX_PREFIX_BYTES = 512
"""Longest prefix: half of the 1,024 bytes of a key, so that the keys under the prefix can have names of their own."""


_INNER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
"""Address ranges without routes on the internet."""


def check(pair: PairModel) -> None:
    """Raise `ConfigError` for the first rule that is not met."""
    _pair(pair)
    for name in SideName:
        _place(str(name), pair.side(name))
    for name in pair.manages:
        _options(str(name), pair.side(name))
    _together(pair)


def _declared(model: PairModel | SideModel, options: Iterable[Option], side: str = "") -> None:
    """Check each value against what its key declares: range, choices, pattern."""
    for option in options:
        if not option.path:
            continue
        key = model.key(option.declared.key) if isinstance(model, SideModel) else option.declared.key
        check_value(key, option.declared, option.value(model), f" for side {side}" if side else "")


def check_value(key: str, declared: Declaration, value: Any, where: str = "") -> None:
    """Raise `ConfigError` for a value outside what its key declares."""
    if type(value) is int:
        _range(key, value, declared.low, declared.high)
    if declared.choices and value not in declared.choices:
        shown = ", ".join(str(choice) or "nothing" for choice in declared.choices)
        raise ConfigError(key, value, "not offered" if type(value) is int else "unknown choice", f"use one of {shown}")
    if isinstance(value, tuple):
        twice = [text for number, text in enumerate(value) if text in value[:number]]
        if twice:
            raise ConfigError(key, twice[0], "is given twice", "give it once")
    if declared.pattern:
        # An empty text is a choice only where it is the default.
        needed = bool(declared.default) or isinstance(value, tuple)
        for text in value if isinstance(value, tuple) else (value,):
            if (text or needed) and not re.fullmatch(declared.pattern, text, re.ASCII):
                raise ConfigError(key, text, f"not valid{where}", declared.remedy)


def _range(key: str, value: int, low: int | None, high: int | None) -> None:
    lowest = 0 if low is None else low
    if value < 0:
        raise ConfigError(key, value, "is negative", f"use {lowest} or more")
    if value < lowest or (high is not None and value > high):
        remedy = f"use {lowest} or more" if high is None else f"use {lowest} to {high}"
        raise ConfigError(key, value, "out of range", remedy)


def _pair(pair: PairModel) -> None:
    _name(pair)
    _declared(pair, PAIR_OPTIONS.values())
    tags.check(pair.tags)
    if pair.hand_over is not HandOverMode.PROVIDER and len(pair.manages) > 1:
        problem = "passes keys from one stack to another, and this stack manages both sides"
        raise ConfigError("handOver", str(pair.hand_over), problem, "use provider")
    one_way.check(pair)


def _name(pair: PairModel) -> None:
    """Check the pair's name, with which all names begin, against the tightest of AWS's rules for names."""
    name = pair.name
    if not re.fullmatch(r"[a-z](?:[a-z0-9-]*[a-z0-9])?", name):
        raise ConfigError(
            "pair", name, "not a pair's name", "use lower-case letters, digits and hyphens, a letter first"
        )
    if name.startswith(_PAIR_STARTS):
        raise ConfigError("pair", name, "starts like names that AWS reserves", "use another start")
    tight = [(*t, len(name) + t[2] - len(t[1])) for side in SideName for t in pair.names(side).tightest]
    kind, longest, allowed, room = min(tight, key=lambda t: t[3])
    if len(name) > room:
        raise ConfigError(
            "pair",
            name,
            f"makes {longest} of {len(longest)} characters, and {kind} names have at most {allowed}",
            f"use at most {room} characters",
        )


def _place(side: str, model: SideModel) -> None:
    """Check where a side is; for both sides, managed or not."""
    if not re.fullmatch(r"[0-9]{12}", model.account_id, re.ASCII):
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
    _role(side, model)
    _declared(model, SIDE_FACTS.values(), side)
    for key, name, kind in (
        ("userName", model.user_name, "IAM user"),
        ("secretName", model.secret_name, "secret"),
        ("externalId", model.access.external_id, "external id"),
    ):
        problem = problem_with(kind, name) if name else ""
        if problem:
            raise ConfigError(f"{side}.{key}", name, "not allowed", problem)
    _boundary(side, model)
    for network in model.peer_addresses:
        _network(f"{side}.peerAddresses", network)
    if model.events_topic_arn:
        _topic(side, model)


def _role(side: str, model: SideModel) -> None:
    role, external_id = model.access.role_arn, model.access.external_id
    if not role:
        if external_id:
            raise ConfigError(f"{side}.externalId", external_id, "has no use without roleArn", "give both, or neither")
        return
    own = model.partition.id
    found = re.fullmatch(r"arn:([a-z-]+):iam::([0-9]{12}):role/[\w+=,.@/-]+", role, re.ASCII)
    if found is None:
        raise ConfigError(f"{side}.roleArn", role, "not a role's ARN", f"use arn:{own}:iam::<account>:role/<name>")
    if found[1] != own:
        raise ConfigError(
            f"{side}.roleArn",
            role,
            f"is in partition {found[1]}, and {model.region} in {own}",
            "give this side a profile or web identity of its own partition: roles can't be assumed across them",
        )
    if found[2] != model.account_id:
        remedy = f"use a role of {side}.accountId {model.account_id}"
        raise ConfigError(f"{side}.roleArn", role, f"is in account {found[2]}", remedy)


def _boundary(side: str, model: SideModel) -> None:
    boundary = model.permissions_boundary
    start = model.partition.arn("iam", "policy/", account=model.account_id)
    if boundary and not re.fullmatch(re.escape(start) + r"[\w+=,.@/-]{1,512}", boundary, re.ASCII):
        raise ConfigError(
            f"{side}.permissionsBoundary",
            boundary,
            "not the ARN of a policy of this side's account",
            f"use {start}NAME",
        )


def _topic(side: str, model: SideModel) -> None:
    """Check a topic: a standard one of the side's region and account, whose publishers the account controls."""
    key, topic = f"{side}.eventsTopicArn", model.events_topic_arn
    start = model.partition.arn("sns", "", region=model.region, account=model.account_id)
    region = model.partition.arn("sns", "", region=model.region, account="")[:-1]
    if not topic.startswith(region):
        raise ConfigError(key, topic, f"not a topic in {model.region}", "use a topic of the bucket's region")
    if not topic.startswith(start):
        problem = f"not a topic of account {model.account_id}, so others decide who publishes to it"
        raise ConfigError(key, topic, problem, f"use a topic of {side}.accountId: {start}<name>")
    problem = problem_with("SNS topic", topic.removeprefix(start))
    if problem:
        raise ConfigError(key, topic, "not a topic's ARN", f"use {start}<name>: {problem}")


def _network(key: str, text: str) -> None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        remedy = "use addresses like 203.0.113.7/32, without bits behind the mask"
        raise ConfigError(key, text, "not an address range", remedy) from None
    if any(network.version == inner.version and network.overlaps(inner) for inner in _INNER):
        remedy = "use the public addresses of the peer's NAT gateways, which are what S3 receives"
        raise ConfigError(key, text, "holds addresses that never reach S3 across regions", remedy)


def _bucket(key: str, name: str) -> None:
    """Check a bucket's name (Amazon S3 User Guide, General purpose bucket naming rules)."""
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
    """Check how a managed side is built."""
    fleet, finder = model.fleet, model.finder
    _declared(model, SIDE_OPTIONS.values(), side)
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
    images.check(model)
    egress.check(model)
    for key, arns in (("operatorRoles", model.security.operator_roles), ("deployers", model.security.deployers)):
        for arn in arns:
            start = f"arn:{model.partition.id}:iam::{model.account_id}:"
            if not arn.startswith(start):
                raise ConfigError(model.key(key), arn, "is of another account", f"use {start}role/<name>")
            if not arn.removeprefix(start).partition("/")[2].strip("*?/"):
                raise ConfigError(model.key(key), arn, "names every role or user of the account", "name those meant")
    key_arn = model.security.kms_key_arn
    start = f"arn:{model.partition.id}:kms:{model.region}:"
    if key_arn and not key_arn.startswith(start):
        raise ConfigError(
            model.key("kmsKeyArn"), key_arn, f"is no key in {model.region}", f"use {start}<account>:key/…"
        )


def _key(model: SideModel, peer: SideModel) -> None:
    """Check the replicas' KMS key: a key never crosses regions, so replicas need one where they are."""
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
    """Check what concerns both sides."""
    cn, other = pair.cn, pair.global_
    _key(cn, other)
    _key(other, cn)
    _issuers(pair)
    if cn.bucket == other.bucket:
        if cn.region != other.region or cn.account_id != other.account_id:
            raise ConfigError(
                "global.bucket",
                other.bucket,
                "is cn.bucket too, which has one region and one account",
                "correct either side",
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
        if a == b or (key.endswith(".userName") and a.lower() == b.lower()):
            raise ConfigError(
                key, b, "is the same on both sides, which share an account", "give another name to one of them"
            )


def _issuers(pair: PairModel) -> None:
    """Check the issuers. One for each side: an issuer's keys may sign for every subject."""
    role = pair.peer_identity is PeerIdentity.ROLE
    for side in (pair.cn, pair.global_):
        key = f"{side.side}.issuer"
        if role and not side.issuer:
            remedy = "give the public address of its documents, https://HOST/PATH (docs: Security)"
            raise ConfigError(key, "", "is missing, and peerIdentity is role", remedy)
        if not role and side.issuer:
            raise ConfigError(key, side.issuer, "has no use, as peerIdentity is user", "remove it, or use role")
        if len(side.issuer) > ISSUER_LENGTH:
            problem = f"has {len(side.issuer)} characters, and IAM allows {ISSUER_LENGTH}"
            raise ConfigError(key, side.issuer[:40] + "…", problem, "use a shorter path")
        if role and side.user_name:
            remedy = "remove it: the role's name has pair and side"
            raise ConfigError(f"{side.side}.userName", side.user_name, "has no use, as peerIdentity is role", remedy)
    if role and pair.cn.issuer == pair.global_.issuer:
        problem = "is cn.issuer too, so that each side could sign for the other"
        raise ConfigError("global.issuer", pair.global_.issuer, problem, "give each side a path of its own")


def _names(pair: PairModel) -> Iterator[tuple[str, str, str]]:
    """Yield (key, cn's name, global's name) of what would collide in one account. IAM's names ignore the case."""
    cn, other = pair.names(SideName.CN), pair.names(SideName.GLOBAL)
    if pair.cn.account_id == pair.global_.account_id:
        yield "global.userName", cn.user, other.user
        if pair.cn.region == pair.global_.region:
            yield "global.secretName", cn.secret, other.secret
