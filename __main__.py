"""Keep two S3 buckets identical: read config, register the pair, export outputs. `Pulumi.yaml` lists every key."""

from pathlib import Path

import pulumi

from dualsync.components import peer_stack
from dualsync.components.bundle.builder import default_builder
from dualsync.components.bundle.bundle import Ready
from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.pair import DualSyncPair, DualSyncPairArgs


def main() -> None:
    """Register everything that this stack manages, and export its names and addresses."""
    values = stack_config.read(pulumi.Config(stack_config.PROJECT), stack_config.names_set())
    model = stack_config.pair_of(values)

    stack = values.get("peerStack", "")
    if stack and "/" not in stack:
        stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    found = peer_stack.read_outputs(stack) if stack else None
    outputs = found or {}
    peer_stack.cross_check(model, outputs, stack)

    bundle = values.get("bundle", "")
    pair = DualSyncPair(
        model.name,
        DualSyncPairArgs(
            model=model,
            received=peer_stack.received(model, values.get("peerCredential", ""), outputs),
            builder=Ready(Path(bundle)) if bundle else default_builder(),
        ),
    )

    # The engine prints outputs in the order of their names: this is the first.
    pulumi.export("addresses", pair.addresses)
    pulumi.export("pair", model.name)
    pulumi.export("direction", str(model.direction))
    pulumi.export("manages", [str(side) for side in model.manages])
    pulumi.export("userIds", pair.user_ids)
    for side, facts in pair.sides.items():
        pulumi.export(side, facts)
    if stack:
        pulumi.export(
            "peer", {"stack": stack, "deployed": bool(outputs.get("manages")), "userIds": outputs.get("userIds") or {}}
        )
    if pair.hand_over is not None:
        pulumi.export(peer_stack.HAND_OVER, pair.hand_over)


try:
    main()
except ConfigError as e:
    # The error is one line; a traceback would hide it.
    raise pulumi.RunError(stack_config.text_of(e)) from None
