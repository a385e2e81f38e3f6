"""Describe the component in the package's schema: inputs as the model declares them, outputs as a side exports."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from dualsync.components.config.declared import SIDES, keys
from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, SIDE_OPTIONS
from dualsync.components.config.options import Option

DOWNLOAD_URL = "https://dualsync.invalid/not-published-run-pulumi-in-the-folder-of-the-program"
"""Where the engine fetches the provider if it does not find it: nowhere (RFC 2606). Without an address the engine would
look for a `pulumi-dualsync` of the organisation `pulumi` at GitHub, which is not this project's, and run it."""

PAIR = "dualsync:index:DualSyncPair"
SIDE = "dualsync:index:SideOptions"
FACTS = "dualsync:index:SideFacts"

OUTPUTS: Mapping[str, str] = {
    "pair": "Name of the pair.",
    "direction": "The directions in which the pair copies.",
    "manages": "The sides that this component provisions.",
    "userIds": "Id of each managed side's dedicated user or role, by which its worker recognises echoes."
    " A one-way pair's source has none.",
    "cn": "Names and addresses of side cn's parts, if this component manages it.",
    "global": "Names and addresses of side global's parts, if this component manages it.",
    "handOver": "The managed side's access key or role for a peer that this program does not reach; secret. A"
    " one-way pair's source has none.",
}

FACT_OUTPUTS: Mapping[str, str] = {
    "accountId": "Number of the side's account.",
    "region": "Region of everything on this side.",
    "bucket": "The synchronised bucket.",
    "prefix": "Only keys under this prefix are synchronised.",
    "userId": "Id of the dedicated user or role, as which the peer's workers act here.",
    "userName": "Name of the dedicated user; empty if it is a role.",
    "keyId": "Id of the dedicated user's access key; not secret. Empty for a role.",
    "queueUrl": "Queue of the bucket's events and the finder's requests.",
    "deadLetterQueueUrl": "Queue of messages that failed for good.",
    "ledgerTable": "Table of the versions that both sides last had in common.",
    "secretName": "Secret in this side's account with the peer's key or role.",
    "workerGroup": "Auto Scaling group of the workers.",
    "workerLogGroup": "Log group of the workers.",
    "finderCluster": "ECS cluster in which the finder runs.",
    "finderTask": "Family of the finder's task definition.",
    "finderLogGroup": "Log group of the finder.",
    "dashboard": "Name of the dashboard; empty if there is none.",
    "dashboardUrl": "Address of the dashboard in the console; empty if there is none.",
    "alarmTopic": "Topic that receives the alarms.",
    "metrics": "CloudWatch namespace of the side's own metrics.",
    "environment": "Settings of worker and finder; nothing secret.",
    "options": "The side's options that the peer's stack reads, as texts.",
    "peerOptions": "The peer's options that this side's policies and secret assume, as texts.",
    "peerIdentity": "As what the peer's workers act here: user or role.",
    "roleArn": "ARN of the role as which the peer's workers act here; empty if it is a user.",
    "issuer": "Documents of this side's token issuer to publish, as texts by their addresses; empty with a user.",
}


def inputs() -> dict[str, Any]:
    """Return the component's inputs: the stack's config keys without those that concern a stack alone."""
    found = {name: _input(option) for name, option in keys().items() if name != "peerStack"}
    for side in SIDES:
        found[side] = {
            "$ref": f"#/types/{SIDE}",
            "plain": True,
            "description": f"The side {side}: account, region and bucket, how to reach the account, and any option"
            " below that applies to this side alone.",
        }
    found["manages"] |= {"items": {"type": "string", "plain": True}}
    # The one input that may be an output, and a secret: it comes out of another stack.
    credential = keys()["peerCredential"].declared
    found["peerCredential"] = {"type": "string", "secret": True, "description": credential.description}
    return dict(sorted(found.items()))


def side() -> dict[str, Any]:
    """Return the type of one side."""
    # Without defaults: generated code would set them, and so hide what is given for both sides.
    found = {
        name: {k: v for k, v in _input(option).items() if k != "default"}
        for name, option in {**SIDE_FACTS, **SIDE_OPTIONS}.items()
    }
    return {
        "type": "object",
        "description": "One side of a pair.",
        "properties": dict(sorted(found.items())),
        "required": ["accountId", "bucket", "region"],
    }


def outputs() -> dict[str, Any]:
    """Return the component's outputs."""
    shapes: dict[str, dict[str, Any]] = {
        "pair": {"type": "string"},
        "direction": {"type": "string"},
        "manages": {"type": "array", "items": {"type": "string"}},
        "userIds": {"type": "object", "additionalProperties": {"type": "string"}},
        "cn": {"$ref": f"#/types/{FACTS}"},
        "global": {"$ref": f"#/types/{FACTS}"},
        "handOver": {"type": "string", "secret": True},
    }
    return {name: {**shapes[name], "description": text} for name, text in OUTPUTS.items()}


_MAPS = ("environment", "issuer", "options", "peerOptions")
"""Facts that hold several texts each."""


def facts() -> dict[str, Any]:
    """Return the type of a managed side's outputs."""
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "type": "object",
        "description": "Names and addresses of a side's parts. Nothing secret. A one-way pair's side has not all of"
        " them: the outputs of the others are empty.",
        "properties": {
            name: {**(texts if name in _MAPS else {"type": "string"}), "description": text}
            for name, text in FACT_OUTPUTS.items()
        },
        "required": sorted(FACT_OUTPUTS),
    }


def component() -> dict[str, Any]:
    """Return the component as the schema's `resources` holds it."""
    return {
        PAIR: {
            "isComponent": True,
            "description": "Keeps two S3 buckets identical while users write to both, across accounts and partitions."
            " Provisions the sides that it manages: user and key, queue and subscription, ledger, workers, finder,"
            " and observability.",
            "inputProperties": inputs(),
            "requiredInputs": ["cn", "global", "manages"],
            "properties": outputs(),
            "required": ["direction", "manages", "pair", "userIds"],
        }
    }


def types() -> dict[str, Any]:
    """Return the objects and enumerations that inputs and outputs refer to."""
    return {SIDE: side(), FACTS: facts(), **{_token(e): _enumeration(e) for e in _enumerations()}}


def _input(option: Option) -> dict[str, Any]:
    """Return one config key as an input."""
    found: dict[str, Any] = {"plain": True, "description": option.declared.description}
    if issubclass(option.kind, StrEnum):
        return {"$ref": f"#/types/{_token(option.kind)}", **found}
    if option.type == "array":
        return {"type": "array", "items": _plain("string"), **found}
    if option.type == "object":
        return {"type": "object", "additionalProperties": _plain("string"), **found}
    if option.default not in (None, "", [], {}):
        found["default"] = option.default
    return {"type": option.type, **found}


def _plain(kind: str) -> dict[str, Any]:
    return {"type": kind, "plain": True}


def _enumerations() -> list[type[StrEnum]]:
    """Return the types of config keys whose value is one of a closed list."""
    kinds = [option.kind for option in {**PAIR_OPTIONS, **SIDE_OPTIONS}.values()]
    return list(dict.fromkeys(kind for kind in kinds if issubclass(kind, StrEnum)))


def _token(kind: type[StrEnum]) -> str:
    return f"dualsync:index:{kind.__name__}"


def _enumeration(kind: type[StrEnum]) -> dict[str, Any]:
    return {
        "type": "string",
        "description": " ".join((kind.__doc__ or "").split()),
        "enum": [{"name": choice.name.title().replace("_", ""), "value": choice.value} for choice in kind],
    }
