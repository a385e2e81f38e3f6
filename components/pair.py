"""Two buckets kept the same: the sides that this program manages, with a provider for each account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pulumi

from dualsync.components import preflight
from dualsync.components.bundle.builder import default_builder
from dualsync.components.bundle.bundle import MakesBundles
from dualsync.components.config.model import HandOver, PairModel
from dualsync.components.context import SideContext
from dualsync.components.providers import SideProviders, side_providers
from dualsync.components.side import Side, SideArgs
from dualsync.runtime.settings import SideName


@dataclass(frozen=True, kw_only=True)
class DualSyncPairArgs:
    """The checked model; the peer's hand-over, in the modes in which it is passed in; who builds the bundle."""

    model: PairModel
    received: pulumi.Input[str] | None = None
    builder: MakesBundles = field(default_factory=default_builder)


class DualSyncPair(pulumi.ComponentResource):
    """Provisions every managed side. Each writes its key into the peer's account, so none waits for the other."""

    user_ids: dict[str, pulumi.Output[str]]
    """Id of each managed side's dedicated user: what its worker knows its echoes by, and its peer's worker must be."""

    sides: dict[str, dict[str, Any]]
    """Facts of each managed side; nothing secret."""

    hand_over: pulumi.Output[str] | None
    """The managed side's key for a peer that is reached otherwise, secret."""

    def __init__(self, name: str, args: DualSyncPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:DualSyncPair", name, None, opts)
        model = args.model
        reached = list(SideName) if model.hand_over is HandOver.PROVIDER else list(model.manages)
        providers: dict[SideName, SideProviders] = {side: side_providers(model, side, self) for side in reached}
        contexts = {side: SideContext(model, side, p.aws) for side, p in providers.items()}
        facts = {side: preflight.check_bucket(context, providers[side].sync) for side, context in contexts.items()}
        expires = preflight.expiring(model, facts)
        for side in model.manages:
            preflight.check_image(contexts[side])
        managed = {
            side: Side(
                contexts[side],
                SideArgs(
                    sync=providers[side].sync,
                    peer=contexts.get(side.peer),
                    received=args.received,
                    builder=args.builder,
                    expires=expires,
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for side in model.manages
        }
        self.sides = {str(side): part.outputs for side, part in managed.items()}
        self.user_ids = {str(side): part.outputs["userId"] for side, part in managed.items()}
        self.hand_over = None if model.hand_over is HandOver.PROVIDER else managed[model.manages[0]].hand_over
        self.register_outputs({"userIds": self.user_ids})
