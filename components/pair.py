"""Provision the sides of a pair that this program manages, with a provider per account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pulumi

from dualsync.components import preflight
from dualsync.components.bundle.builder import default_builder
from dualsync.components.bundle.bundle import MakesBundles
from dualsync.components.config.model import HandOverMode, PairModel
from dualsync.components.context import SideContext
from dualsync.components.providers import SideProviders, side_providers
from dualsync.components.side import Side, SideArgs
from dualsync.runtime.settings import SideName

ADDRESSES = ("bucket", "dashboardUrl", "alarmTopic", "workerLogGroup", "finderLogGroup")
"""Facts of a side that an operator opens or subscribes to. All others are for commands and for the peer's stack."""


@dataclass(frozen=True, kw_only=True)
class DualSyncPairArgs:
    """Arguments of `DualSyncPair`."""

    model: PairModel
    """The checked model."""
    received: pulumi.Input[str] | None = None
    """The peer's hand-over, in the modes in which it is passed in."""
    builder: MakesBundles = field(default_factory=default_builder)
    """Builder of the bundles."""


class DualSyncPair(pulumi.ComponentResource):
    """Every managed side. Each writes its key into the peer's account, so neither waits for the other."""

    user_ids: dict[str, pulumi.Output[str]]
    """Id of each managed side's dedicated user or role: its worker recognises echoes by it, the peer's checks it.

    A one-way pair's source has none.
    """

    sides: dict[str, dict[str, Any]]
    """Names and addresses of each managed side's parts. Nothing secret."""

    addresses: dict[str, dict[str, Any]]
    """What an operator looks up after a deployment, by managed side: some of `sides`."""

    hand_over: pulumi.Output[str] | None
    """The managed side's access key or role for a peer that is reached in another way; secret. None without one."""

    def __init__(self, name: str, args: DualSyncPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:DualSyncPair", name, None, opts)
        model = args.model
        reached = list(SideName) if model.hand_over is HandOverMode.PROVIDER else list(model.manages)
        providers: dict[SideName, SideProviders] = {side: side_providers(model, side, self) for side in reached}
        contexts = {side: SideContext(model, side, p.aws) for side, p in providers.items()}
        facts = preflight.check_buckets(model, contexts, {side: p.sync for side, p in providers.items()})
        expires = preflight.expiring(model, facts)
        for side in model.manages:
            if model.carries(side):
                preflight.check_side(contexts[side])
            preflight.check_documents(contexts[side])
            for holder in _secret_holders(model, side, args.received):
                preflight.check_deployer(contexts[holder])
        managed: dict[SideName, Side] = {}
        for side in model.manages:
            # Two sides in one bucket write one notification document: one after the other.
            shared = model.cn.bucket == model.global_.bucket
            before = [part.subscription for part in managed.values() if part.subscription] if shared else []
            managed[side] = Side(
                contexts[side],
                SideArgs(
                    sync=providers[side].sync,
                    peer=contexts.get(side.peer),
                    received=args.received,
                    builder=args.builder,
                    expires=expires,
                    after=before,
                ),
                pulumi.ResourceOptions(parent=self),
            )
        self.sides = {str(side): part.outputs for side, part in managed.items()}
        self.addresses = {
            side: {name: facts[name] for name in ADDRESSES if facts[name] != ""} for side, facts in self.sides.items()
        }
        self.user_ids = {str(side): part.outputs["userId"] for side, part in managed.items() if model.receives(side)}
        self.hand_over = None if model.hand_over is HandOverMode.PROVIDER else managed[model.manages[0]].hand_over
        self.register_outputs({"userIds": self.user_ids})


def _secret_holders(model: PairModel, side: SideName, received: pulumi.Input[str] | None) -> list[SideName]:
    """Return the sides in whose accounts this program writes a secret on behalf of one managed side."""
    if model.hand_over is HandOverMode.PROVIDER:
        return [side.peer] if model.receives(side) else []
    return [side] if received is not None and model.carries(side) else []
