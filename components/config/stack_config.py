"""Config in: every key, its type, and how the values become a `PairModel`. Nothing else in the program reads config.

`Pulumi.yaml` declares the same keys with description and default (a test keeps both alike). An option of a side may
stand at the top, for the sides a stack manages, or inside `cn` or `global`, where it wins.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import (
    Access,
    FinderOptions,
    FleetOptions,
    Network,
    PairModel,
    Replicas,
    SideModel,
    Watch,
)
from dualsync.components.config.partitions import partition_of
from dualsync.components.config.validation import check
from dualsync.runtime.settings import SideName

PROJECT = "dualsync"
"""Namespace of the keys."""


class Source(Protocol):
    """What `pulumi.Config` offers of itself here."""

    def get(self, key: str) -> str | None: ...


E_ = TypeVar("E_", bound=StrEnum)

SIDE_FACTS = {
    "accountId": "account_id",
    "region": "region",
    "bucket": "bucket",
    "prefix": "prefix",
    "prefixListFile": "prefix_list_file",
    "partition": "",
    "profile": "access.profile",
    "roleArn": "access.role_arn",
    "externalId": "access.external_id",
    "endpoint": "access.endpoint",
    "userName": "user_name",
    "secretName": "secret_name",
    "formerUserIds": "former_user_ids",
    "eventsTopicArn": "events_topic_arn",
    "permissionsBoundary": "permissions_boundary",
    "lifecycleExpires": "lifecycle_expires",
}
"""Keys inside `cn` and `global` only, and the model's fields that they fill."""

SIDE_OPTIONS = {
    "vpcId": "network.vpc_id",
    "subnetIds": "network.subnet_ids",
    "publicIp": "network.public_ip",
    "gatewayEndpoints": "network.gateway_endpoints",
    "instanceType": "fleet.instance_type",
    "architecture": "fleet.architecture",
    "machineImage": "fleet.image_id",
    "minCapacity": "fleet.min_capacity",
    "desiredCapacity": "fleet.desired_capacity",
    "maxCapacity": "fleet.max_capacity",
    "spotPercent": "fleet.spot_percent",
    "volumeSize": "fleet.volume_gib",
    "workerConcurrency": "fleet.concurrency",
    "giantThreshold": "fleet.giant_bytes",
    "finderIntervalMinutes": "finder.interval_minutes",
    "finderGraceSeconds": "finder.grace_seconds",
    "finderNumber": "finder.number",
    "finderCpu": "finder.cpu",
    "finderMemory": "finder.memory",
    "finderArchitecture": "finder.architecture",
    "finderImage": "finder.image",
    "finderCluster": "finder.cluster",
    "alarmEmail": "watch.email",
    "logRetentionDays": "watch.log_days",
    "lagAlarmSeconds": "watch.lag_seconds",
    "deletionsAlarm": "watch.deletions",
    "conflictsAlarm": "watch.conflicts",
    "includeMetadata": "replicas.include_metadata",
    "storageClass": "replicas.storage_class",
    "acl": "replicas.acl",
    "includeTags": "replicas.include_tags",
    "encryption": "replicas.encryption",
    "kmsKey": "replicas.kms_key",
    "requesterPays": "replicas.requester_pays",
}
"""Keys at the top (for the managed sides) or inside `cn` and `global` (for that side)."""

PAIR_OPTIONS = {
    "pair": "name",
    "handOver": "hand_over",
    "events": "events",
    "conflictPolicy": "conflict_policy",
    "keepLoser": "keep_loser",
    "onLifecycleExpiry": "on_lifecycle_expiry",
    "deletionLimit": "deletion_limit",
    "deletionLimitPercent": "deletion_limit_percent",
    "tombstoneDays": "tombstone_days",
    "queueRetentionDays": "queue_days",
    "keyVersion": "key_version",
    "protect": "protect",
    "logLevel": "log_level",
    "tags": "tags",
}
"""Keys at the top that both sides must have alike."""

STACK_KEYS = ("cn", "global", "manages", "peerStack", "peerCredential", "bundle")
"""Keys at the top that are neither."""

_GROUPS: dict[str, type[Any]] = {
    "access": Access,
    "network": Network,
    "fleet": FleetOptions,
    "finder": FinderOptions,
    "watch": Watch,
    "replicas": Replicas,
}


def all_keys() -> tuple[str, ...]:
    """Every key at the top."""
    return (*STACK_KEYS, *PAIR_OPTIONS, *SIDE_OPTIONS)


def read(source: Source) -> dict[str, Any]:
    """The keys that are set, typed. Raises `ConfigError` for a value that is not of its key's type."""
    values: dict[str, Any] = {}
    for key in all_keys():
        text = source.get(key)
        if text is not None:
            values[key] = text if key == "peerCredential" else _typed(key, text, _kind(key))
    return values


def pair_of(values: Mapping[str, Any]) -> PairModel:
    """The checked model. Raises `ConfigError` naming key, value and remedy; nothing has been created by then."""
    manages = tuple(_choice("manages", m, SideName) for m in values.get("manages", ()))
    if len(set(manages)) != len(manages) or not manages:
        raise ConfigError("manages", list(map(str, manages)), "not a choice of sides", "use [cn], [global], or both")
    pair: dict[str, Any] = {
        field: _cast(key, values[key], _field_type(PairModel, field))
        for key, field in PAIR_OPTIONS.items()
        if key in values
    }
    sides = {name: _side(name, values, manages) for name in SideName}
    model = PairModel(cn=sides[SideName.CN], global_=sides[SideName.GLOBAL], manages=manages, **pair)
    check(model)
    return model


def _side(name: SideName, values: Mapping[str, Any], manages: Sequence[SideName]) -> SideModel:
    own: Mapping[str, Any] = values.get(str(name), {})
    known = {**SIDE_FACTS, **SIDE_OPTIONS}
    for key in own:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise ConfigError(
                f"{name}.{key}", own[key], "no such key", f"use {near[0]}" if near else "see Pulumi.yaml for the keys"
            )
    for key in ("accountId", "region", "bucket"):
        if not own.get(key):
            raise ConfigError(
                f"{name}.{key}",
                own.get(key, ""),
                "is missing",
                f"give it under {PROJECT}:{name} (which, in a stack's file, replaces Pulumi.yaml's as a whole)",
            )
    # A stack's own options are for what it manages; of the other side it needs only where it is.
    options = {k: values[k] for k in SIDE_OPTIONS if k in values} if name in manages else {}
    at_top = (frozenset(SIDE_OPTIONS) if list(manages) == [name] else frozenset(options)) - frozenset(own)
    model = SideModel(side=name, account_id="", region="", bucket="", at_top=at_top)
    for key, value in {**options, **own}.items():
        shown = f"{name}.{key}" if key in own else key
        if key == "partition":
            _partition(shown, str(value), own["region"])
        else:
            model = _with(model, shown, known[key], value)
    return model


def _partition(key: str, value: str, region: str) -> None:
    actual = partition_of(region)
    if value and actual is not None and actual.id != value:
        side = key.split(".")[0]
        raise ConfigError(
            f"{side}.region", region, f"is in partition {actual.id}, not in {value}", f"mend it, or {key}"
        )


def _with(model: SideModel, key: str, path: str, value: Any) -> SideModel:
    group, _, name = path.rpartition(".")
    if not group:
        return replace(model, **{name: _cast(key, value, _field_type(SideModel, name))})
    changed = replace(getattr(model, group), **{name: _cast(key, value, _field_type(_GROUPS[group], name))})
    return replace(model, **{group: changed})


def _field_type(owner: type[Any], name: str) -> type[Any]:
    kind: Any = get_type_hints(owner)[name]
    if get_origin(kind) is UnionType:
        kind = next(k for k in get_args(kind) if k is not NoneType)
    plain: type[Any] = get_origin(kind) or kind
    return plain


def _kind(key: str) -> type[Any]:
    """How a key's text is read: str, int, bool, list or dict, as `Pulumi.yaml` declares it."""
    if key in ("cn", "global", "tags"):
        return dict
    if key == "manages":
        return list
    if key in PAIR_OPTIONS:
        kind = _field_type(PairModel, PAIR_OPTIONS[key])
    elif key in SIDE_OPTIONS:
        group, _, name = SIDE_OPTIONS[key].partition(".")
        kind = _field_type(_GROUPS[group], name)
    else:
        return str
    return {tuple: list}.get(kind, kind if kind in (int, bool) else str)


def _typed(key: str, text: str, kind: type[Any]) -> Any:
    if kind is str:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if type(value) is not kind:
        raise ConfigError(key, text, f"is not {_A[kind]}", f"give {_A[kind]}")
    return value


_A: dict[type[Any], str] = {
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    str: "text",
    tuple: "a list",
}


def _cast(key: str, value: Any, kind: type[Any]) -> Any:
    """A JSON value as the model's type."""
    if issubclass(kind, StrEnum):
        return _choice(key, value, kind)
    if kind is tuple:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ConfigError(key, value, "is not a list of texts", "give a list, each in quotes")
        return tuple(_cast(key, v, str) for v in value)
    if issubclass(kind, Mapping):
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise ConfigError(key, value, "is not an object of texts", "give each value in quotes")
        return {_cast(key, k, str): _cast(f"{key}.{k}", v, str) for k, v in value.items()}
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise ConfigError(key, value, "holds a lone surrogate, which is no character", "remove it")
    if type(value) is not kind:
        remedy = "put it in quotes" if kind is str and isinstance(value, (int, float)) else f"give {_A[kind]}"
        raise ConfigError(key, value, f"is not {_A[kind]}", remedy)
    return value


def _choice(key: str, value: Any, choices: type[E_]) -> E_:
    for choice in choices:
        if choice.value == value:
            return choice
    raise ConfigError(key, value, "unknown choice", f"use one of {', '.join(choices)}")
