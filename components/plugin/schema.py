"""The component's schema: inputs from config's keys and the model's types, outputs from what a side tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

from dualsync.components.config import stack_config
from dualsync.components.config.declared import keys
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

PAIR = "dualsync:index:DualSyncPair"
SIDE = "dualsync:index:SideOptions"
FACTS = "dualsync:index:SideFacts"

SIDE_FACTS: Mapping[str, str] = {
    "accountId": "Number of the side's account, twelve digits.",
    "region": "Region of the side's bucket; everything of the side is there.",
    "bucket": "The side's bucket. It must exist; it is never created, owned or deleted.",
    "prefix": "Only keys under it are synchronised.",
    "prefixListFile": "Key of a text file in the bucket: only keys under one of its lines, below `prefix`, are"
    " synchronised.",
    "partition": "Partition that the region must be in, as a check: aws, aws-cn …",
    "profile": "AWS profile of the side's account.",
    "roleArn": "Role to assume in the side's account.",
    "externalId": "External id for the role.",
    "endpoint": "Address instead of AWS's, for stand-in clouds and development only.",
    "userName": "Name of the dedicated user, instead of the program's own.",
    "secretName": "Name of the secret with the peer's key, instead of the program's own.",
    "formerUserIds": "Ids of earlier dedicated users, whose events may still be queued.",
    "eventsTopicArn": "SNS topic that gets the bucket's events, where the bucket has another consumer.",
    "permissionsBoundary": "ARN of the policy that every user and role of this side carries as its boundary.",
    "lifecycleExpires": "Whether lifecycle rules expire objects of the bucket, so that the finder takes no absence"
    " there for a deletion; if not given, as the bucket's rules say.",
}
"""Inputs that a side has alone; Pulumi.yaml tells of them in the description of `cn` and `global`."""

OUTPUTS: Mapping[str, str] = {
    "pair": "Name of the pair.",
    "manages": "The sides that this component provisions.",
    "userIds": "Id of each managed side's dedicated user: what its worker knows its echoes by.",
    "cn": "Where everything of side cn is, if this component manages it.",
    "global": "Where everything of side global is, if this component manages it.",
    "handOver": "The managed side's key for a peer that is reached otherwise (handOver is not provider); secret.",
}

FACT_OUTPUTS: Mapping[str, str] = {
    "accountId": "Number of the side's account.",
    "region": "Region of everything on this side.",
    "bucket": "The synchronised bucket.",
    "prefix": "Only keys under it are synchronised.",
    "userId": "Id of the dedicated user that the peer's workers act as here.",
    "userName": "Name of the dedicated user.",
    "keyId": "Id of the dedicated user's access key; no secret.",
    "queueUrl": "Queue with the bucket's events and the finder's findings.",
    "deadLetterQueueUrl": "Queue with what could not be done.",
    "ledgerTable": "Table of what both sides last agreed on.",
    "secretName": "Secret in this side's account with the peer's key.",
    "workerGroup": "Auto Scaling group of the workers.",
    "workerLogGroup": "Log group of the workers.",
    "finderCluster": "ECS cluster that the finder runs in.",
    "finderTask": "Family of the finder's task definition.",
    "finderLogGroup": "Log group of the finder.",
    "dashboard": "Name of the dashboard.",
    "dashboardUrl": "Address of the dashboard in the console.",
    "alarmTopic": "Topic that the alarms tell.",
    "metrics": "CloudWatch namespace of the side's own metrics.",
    "environment": "Settings of worker and finder; nothing secret.",
}

_MODELS = (PairModel, SideModel, Access, Network, FleetOptions, FinderOptions, Watch, Replicas)
_TYPES = {"string": "string", "integer": "integer", "boolean": "boolean"}


def inputs() -> dict[str, Any]:
    """The component's inputs: the stack's config keys, those that concern a stack alone left out."""
    left_out = {"peerStack", "cn", "global"}
    found = {name: _option(name) for name in keys() if name not in left_out}
    for side in ("cn", "global"):
        found[side] = {
            "$ref": f"#/types/{SIDE}",
            "plain": True,
            "description": f"The side {side}: account, region and bucket, how to reach the account, and any option"
            " below that counts for this side alone.",
        }
    found["manages"] |= {"items": {"type": "string", "plain": True}}
    # The one input that may be an output, and a secret: it comes out of another stack.
    found["peerCredential"] = {"type": "string", "secret": True, "description": keys()["peerCredential"].description}
    return dict(sorted(found.items()))


def side() -> dict[str, Any]:
    """What can be said of one side."""
    hints = get_type_hints(SideModel)
    facts = {
        name: {**_shape(hints.get(stack_config.SIDE_FACTS[name], str)), "plain": True, "description": text}
        for name, text in SIDE_FACTS.items()
    }
    # Without defaults: generated code would set them, and so hide what is said for both sides.
    options = {n: {k: v for k, v in _option(n).items() if k != "default"} for n in stack_config.SIDE_OPTIONS}
    return {
        "type": "object",
        "description": "One side of a pair.",
        "properties": dict(sorted({**facts, **options}.items())),
        "required": ["accountId", "bucket", "region"],
    }


def outputs() -> dict[str, Any]:
    """The component's outputs."""
    shapes: dict[str, dict[str, Any]] = {
        "pair": {"type": "string"},
        "manages": {"type": "array", "items": {"type": "string"}},
        "userIds": {"type": "object", "additionalProperties": {"type": "string"}},
        "cn": {"$ref": f"#/types/{FACTS}"},
        "global": {"$ref": f"#/types/{FACTS}"},
        "handOver": {"type": "string", "secret": True},
    }
    return {name: {**shapes[name], "description": text} for name, text in OUTPUTS.items()}


def facts() -> dict[str, Any]:
    """What a managed side tells of itself."""
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "type": "object",
        "description": "Where everything of a side is. Nothing secret.",
        "properties": {
            name: {**(texts if name == "environment" else {"type": "string"}), "description": text}
            for name, text in FACT_OUTPUTS.items()
        },
        "required": sorted(FACT_OUTPUTS),
    }


def component() -> dict[str, Any]:
    """The component as the schema's `resources` wants it."""
    return {
        PAIR: {
            "isComponent": True,
            "description": "Keeps two S3 buckets the same while both are written to, across accounts and partitions."
            " Provisions the sides that it manages: user and key, queue and subscription, ledger, workers, finder,"
            " and what watches over them.",
            "inputProperties": inputs(),
            "requiredInputs": ["cn", "global", "manages"],
            "properties": outputs(),
            "required": ["manages", "pair", "userIds"],
        }
    }


def types() -> dict[str, Any]:
    """Objects and enumerations that inputs and outputs refer to."""
    return {SIDE: side(), FACTS: facts(), **{_token(e): _enumeration(e) for e in _enumerations().values()}}


def _option(name: str) -> dict[str, Any]:
    """One config key as an input."""
    key = keys()[name]
    found: dict[str, Any] = {"plain": True, "description": key.description}
    choice = _enumerations().get(name)
    if choice is not None:
        return {"$ref": f"#/types/{_token(choice)}", **found}
    if key.type == "array":
        return {"type": "array", "items": _plain("string"), **found}
    if key.type == "object":
        return {"type": "object", "additionalProperties": _plain("string"), **found}
    if key.default not in (None, "", [], {}):
        found["default"] = key.default
    return {"type": _TYPES[key.type], **found}


def _shape(kind: Any) -> dict[str, Any]:
    """A model's type as the schema has it."""
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _plain("string")}
    return {"type": "boolean" if bool in (kind, *get_args(kind)) else "string"}


def _plain(kind: str) -> dict[str, Any]:
    return {"type": kind, "plain": True}


def _enumerations() -> dict[str, type[StrEnum]]:
    """Config keys whose value is one of a closed list, by the model's types."""
    hints = {name: kind for model in _MODELS for name, kind in get_type_hints(model).items()}
    found: dict[str, type[StrEnum]] = {}
    for name, path in {**stack_config.PAIR_OPTIONS, **stack_config.SIDE_OPTIONS}.items():
        kind = hints.get(path.rpartition(".")[2])
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            found[name] = kind
    return found


def _token(kind: type[StrEnum]) -> str:
    return f"dualsync:index:{kind.__name__}"


def _enumeration(kind: type[StrEnum]) -> dict[str, Any]:
    return {
        "type": "string",
        "description": " ".join((kind.__doc__ or "").split()),
        "enum": [{"name": choice.name.title().replace("_", ""), "value": choice.value} for choice in kind],
    }
