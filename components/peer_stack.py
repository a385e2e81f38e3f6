"""What the peer's stack says of itself, if it is there: a cross-check, and in one mode its key. Never a must."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import HandOver, PairModel
from dualsync.components.handover import is_complete

TOKEN = "pulumi:pulumi:readStackOutputs"  # noqa: S105 - a function's name
HAND_OVER = "handOver"
"""Output with a side's key, in the modes that need it; secret."""


def read_outputs(stack: str) -> dict[str, Any] | None:
    """The outputs of `organization/project/stack`, or None if that stack was never created (or was removed).

    A `StackReference` to such a stack would end the deployment, and could not be caught. The lookup gives secrets in
    clear beside their names, so those come back as secret outputs.
    """
    try:
        answer = pulumi.runtime.invoke(TOKEN, {"name": stack}).value
    except Exception as e:
        # The engine has no type for it; any other failure must not pass for an absent peer.
        if "unknown stack" in str(e) or "no stack named" in str(e):
            return None
        raise
    secret = set(answer.get("secretOutputNames") or ())
    outputs = answer.get("outputs") or {}
    if HAND_OVER in outputs and not is_complete(outputs[HAND_OVER]):
        raise ConfigError(
            "peerStack",
            stack,
            "its hand-over can't be decrypted here",
            "give both stacks one secrets provider with `pulumi stack change-secrets-provider`, or use handOver=config",
        )
    return {k: pulumi.Output.secret(v) if k in secret or k == HAND_OVER else v for k, v in outputs.items()}


def cross_check(pair: PairModel, outputs: Mapping[str, Any], stack: str) -> None:
    """Raise `ConfigError` where the peer's stack, as deployed, contradicts this one's config."""
    if outputs.get("pair") not in (None, pair.name):
        raise ConfigError("pair", pair.name, f"stack {stack} has pair {outputs['pair']!r}", "give both the same")
    theirs = [str(side) for side in outputs.get("manages") or ()]
    both = sorted({*map(str, pair.manages)} & {*theirs})
    if both:
        raise ConfigError(
            "manages",
            [*map(str, pair.manages)],
            f"stack {stack} manages {', '.join(both)} too",
            "let one of them do so",
        )
    for side in theirs:
        facts = outputs.get(side) or {}
        ours = pair.cn if side == "cn" else pair.global_
        for key, value in (
            ("bucket", ours.bucket),
            ("region", ours.region),
            ("prefix", ours.prefix),
            ("accountId", ours.account_id),
        ):
            if facts.get(key) not in (None, value):
                raise ConfigError(
                    f"{side}.{key}", value, f"stack {stack} deployed {facts[key]!r}", "give both stacks the same"
                )


def received(pair: PairModel, credential: str, outputs: Mapping[str, Any]) -> pulumi.Input[str] | None:
    """The peer's hand-over where it doesn't come through a provider; None while there is none yet: workers wait."""
    if pair.hand_over is HandOver.STACK_REFERENCE:
        return outputs.get(HAND_OVER)
    if pair.hand_over is HandOver.PROVIDER or not credential:
        return None
    if not is_complete(credential):
        raise ConfigError(
            "peerCredential",
            None,
            "is not a hand-over",
            "set it with --secret to the text of `pulumi stack output handOver --show-secrets` in the peer's stack",
        )
    return pulumi.Output.secret(credential)
