"""Register the pair as a component: a program in another language gives the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.errors import InputPropertyError
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.provider.experimental.provider import ConstructRequest, ConstructResponse
from pulumi.runtime.rpc import UNKNOWN

from dualsync.components import peer_stack
from dualsync.components.bundle.builder import default_builder
from dualsync.components.bundle.bundle import Ready
from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import HandOverMode, PairModel
from dualsync.components.pair import DualSyncPair, DualSyncPairArgs
from dualsync.components.plugin import schema
from dualsync.components.plugin.schema import PAIR
from dualsync.runtime.settings import SideName

CREDENTIAL, BUNDLE = "peerCredential", "bundle"


async def construct(request: ConstructRequest) -> ConstructResponse:
    """Register the pair. An invalid input is reported by its name, before anything is created."""
    if request.resource_type != PAIR:
        raise InputPropertyError("type", f"{request.resource_type} is no component of this package; use {PAIR}")
    given = {k: plain(v) for k, v in request.inputs.items() if k not in (CREDENTIAL, BUNDLE)}
    values = as_texts(given, schema.inputs())
    for side in SideName:
        if isinstance(values.get(side), dict):
            values[side] = as_texts(values[side], schema.side()["properties"])
    try:
        model = stack_config.pair_of(values)
        bundle = plain(request.inputs.get(BUNDLE, PropertyValue("")))
        pair = DualSyncPair(
            request.name,
            DualSyncPairArgs(
                model=model,
                received=received(model, request.inputs.get(CREDENTIAL)),
                builder=Ready(Path(bundle)) if bundle else default_builder(),
            ),
            request.options,
        )
    except ConfigError as e:
        raise InputPropertyError(e.key, str(e)) from None
    urn = await pair.urn.future()
    state = {
        "pair": model.name,
        "direction": str(model.direction),
        "manages": [str(side) for side in model.manages],
        "userIds": pair.user_ids,
        **pair.sides,
        **({} if pair.hand_over is None else {"handOver": pair.hand_over}),
    }
    return ConstructResponse(
        urn=urn or "", state={k: await property_value(v) for k, v in state.items()}, state_dependencies={}
    )


def as_texts(values: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the set values with text keys as text, because some languages pass an account's number as a number."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if type(value) is int and properties.get(name, {}).get("type") == "string":
            value = f"{value:012}" if name == "accountId" else str(value)
        if value is not None:
            found[name] = value
    return found


def received(model: PairModel, given: PropertyValue | None) -> pulumi.Output[str] | None:
    """Return the peer's hand-over, which may be another stack's output and known only later. Raises `ConfigError`."""
    if given is None or given.value in (None, "") or model.hand_over is HandOverMode.PROVIDER:
        return None
    if _is_unknown(given):
        return pulumi.Output.secret(cast(Any, pulumi.UNKNOWN))
    peer_stack.check_credential(model, given.value)
    return pulumi.Output.secret(cast(str, given.value))


def plain(value: PropertyValue) -> Any:
    """Return the value as config has it. Raises `InputPropertyError` for one that is not known yet."""
    inner = value.value
    if _is_unknown(value):
        raise InputPropertyError(
            "inputs", "all but peerCredential must be known before the deployment; give plain values"
        )
    if isinstance(inner, Mapping):
        return {k: plain(v) for k, v in inner.items()}
    if isinstance(inner, (list, tuple)):
        return [plain(v) for v in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    return inner


async def property_value(value: Any) -> PropertyValue:
    """Return an output, or a value with outputs inside, with its secrecy and its dependencies."""
    if isinstance(value, pulumi.Output):
        known, secret = await value.is_known(), await value.is_secret()
        inner = await property_value(await value.future()) if known else PropertyValue(UNKNOWN)
        urns = {await r.urn.future() for r in await value.resources()}
        return PropertyValue(inner.value, secret, {u for u in urns if u})
    if isinstance(value, Mapping):
        return PropertyValue({str(k): await property_value(v) for k, v in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([await property_value(v) for v in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def _is_unknown(value: PropertyValue) -> bool:
    return isinstance(value.value, Computed) or value.value == UNKNOWN
