"""Read the outputs of the peer's stack, if it exists: to compare config with them, and in one mode for its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import SIDE_FACTS, SIDE_OPTIONS, HandOverMode, PairModel, PeerIdentity, SideModel
from dualsync.components.handover import identity_in
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.settings import Direction, SideName, variable

TOKEN = "pulumi:pulumi:readStackOutputs"  # noqa: S105 - a function's name
HAND_OVER = "handOver"
"""Output with a side's key, in the modes that need it; secret."""

OPTIONS, PEER_OPTIONS = "options", "peerOptions"
"""Facts of a side: its own options that the peer's stack needs, and those of the peer that this stack assumes."""

PEER_IDENTITY = "peerIdentity"
"""Fact of a side: the kind of identity of the peer's workers there. Stacks without it have a user."""

SECRET_NAME = "secretName"  # noqa: S105 - the name of a fact
"""Fact of a side: the secret from which its workers read the peer's hand-over. The peer's stack may write it."""

ENVIRONMENT = "environment"
"""Fact of a side: the settings of its workers and finder."""

SHARED_RULES = {
    "conflictPolicy": "conflict_policy",
    "keepLoser": "keep_loser",
    "firstContact": "first_contact",
    "onLifecycleExpiry": "on_lifecycle_expiry",
}
"""Keys by which workers of both sides decide about one object, with the settings that carry them."""

SHARED_FACTS = ("bucket", "region", "prefix", "accountId")
"""Facts of a side that both stacks must give alike."""

POLICY_OPTIONS = ("acl", "includeTags", "kmsKey")
"""Options of a side's worker that the policy of the peer's dedicated user must allow. The peer's stack writes it."""

SECRET_OPTIONS = ("kmsKeyArn", "deployers")
"""Options of the account that holds a secret. The peer's stack writes the secret."""


def read_outputs(stack: str) -> dict[str, Any] | None:
    """Return the outputs of `organization/project/stack`, or None if that stack was never created or was removed.

    A `StackReference` to such a stack would end the deployment and could not be caught. The lookup returns secrets in
    clear beside their names, so they are made secret outputs again.
    """
    try:
        answer = pulumi.runtime.invoke(TOKEN, {"name": stack}).value
    except Exception as e:
        # The engine has no type for it. Any other failure must not pass for an absent peer.
        if "unknown stack" in str(e) or "no stack named" in str(e):
            return None
        raise
    secret = set(answer.get("secretOutputNames") or ())
    outputs = answer.get("outputs") or {}
    if HAND_OVER in outputs and identity_in(outputs[HAND_OVER]) is None:
        raise ConfigError(
            "peerStack",
            stack,
            "its hand-over can't be decrypted here",
            "give both stacks one secrets provider with `pulumi stack change-secrets-provider`, or use handOver=config",
        )
    return {k: pulumi.Output.secret(v) if k in secret or k == HAND_OVER else v for k, v in outputs.items()}


def shared_options(side: SideModel) -> dict[str, str]:
    """Return the options of a side that both stacks need, as texts for outputs."""
    return {key: _text(SIDE_OPTIONS[key].value(side)) for key in (*POLICY_OPTIONS, *SECRET_OPTIONS)}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def cross_check(pair: PairModel, outputs: Mapping[str, Any], stack: str) -> None:
    """Compare config with what the peer's stack has deployed. Raises `ConfigError` where they contradict each other."""
    _check_types(outputs, stack)
    if outputs.get("pair") not in (None, pair.name):
        raise ConfigError(
            "pair",
            pair.name,
            f"stack {stack} has pair {outputs['pair']!r}, and a deployed pair can't be renamed",
            f"set pair to {outputs['pair']!r} again, or run `pulumi destroy` in both stacks and deploy them again,"
            " which loses the ledgers' proof of deletions and the events in the queues",
        )
    theirs = [str(side) for side in outputs.get("manages") or ()]
    both = sorted({*map(str, pair.manages)} & {*theirs})
    if both:
        raise ConfigError(
            "manages",
            [*map(str, pair.manages)],
            f"stack {stack} manages {', '.join(both)} too",
            "let one of them do so",
        )
    if theirs:
        _compare_direction(pair, outputs, stack)
    for name in theirs:
        facts, side = outputs.get(name) or {}, SideName(name)
        for key in SHARED_FACTS:
            value = SIDE_FACTS[key].value(pair.side(side))
            if facts.get(key) not in (None, value):
                raise ConfigError(
                    f"{name}.{key}", value, f"stack {stack} deployed {facts[key]!r}", "give both stacks the same"
                )
        theirs_is = facts.get(PEER_IDENTITY, str(PeerIdentity.USER))
        if theirs_is != str(pair.peer_identity):
            raise ConfigError(
                PEER_IDENTITY,
                str(pair.peer_identity),
                f"stack {stack} deployed {theirs_is}",
                "give both stacks the same in Pulumi.yaml (to change a deployed pair: Runbook, From keys to roles)",
            )
        _compare_hand_over(pair, side, facts, stack)
        _compare_options(pair, side, facts, stack)
        _compare_rules(pair, side, facts.get(ENVIRONMENT) or {}, stack)


def _check_types(outputs: Mapping[str, Any], stack: str) -> None:
    """Refuse outputs that this program does not export: the name may be another program's stack.

    The error names types and no values, since a value may be secret.
    """
    for output, value, wanted, fits in _typed(outputs):
        if value is not None and not fits:
            kind = "secret" if isinstance(value, pulumi.Output) else type(value).__name__
            raise ConfigError(
                "peerStack",
                stack,
                f"its output {output} is not {wanted} (its type is {kind})",
                "give the name of the stack that deploys the pair's other side with this program",
            )


def _typed(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, bool]]:
    """Yield (name, value, what it must be, whether it is that) per output that is read here."""
    pair, direction, manages = (outputs.get(name) for name in ("pair", "direction", "manages"))
    yield "pair", pair, "a text", isinstance(pair, str)
    yield "direction", direction, f"one of {', '.join(Direction)}", direction in ("", *Direction)
    listed = isinstance(manages, list) and all(isinstance(name, str) and name in [*SideName] for name in manages)
    yield "manages", manages, "a list of sides", listed
    yield "userIds", outputs.get("userIds"), "a mapping", isinstance(outputs.get("userIds"), Mapping)
    for side in manages or ():
        facts = outputs.get(side)
        yield side, facts, "a mapping", isinstance(facts, Mapping)
        for name, value in (facts or {}).items():
            if name in (OPTIONS, PEER_OPTIONS, ENVIRONMENT):
                texts = isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
                yield f"{side}.{name}", value, "a mapping of texts", texts
            elif name in (*SHARED_FACTS, PEER_IDENTITY, SECRET_NAME):
                yield f"{side}.{name}", value, "a text", isinstance(value, str)


def _compare_direction(pair: PairModel, outputs: Mapping[str, Any], stack: str) -> None:
    """Compare the direction with that of the peer's stack. If they differ, only the source's stack may be one-way.

    Then no key of the source's account exists, so the workers of the other side wait. In the opposite case the source's
    workers would still apply changes of the destination, where no worker runs.
    """
    ours, theirs = pair.direction, Direction(outputs.get("direction") or Direction.BOTH)
    if ours is theirs:
        return
    key, value, deployed = "direction", str(ours), f"stack {stack} deployed {str(theirs)!r}"
    if ours.one_way and theirs.one_way:
        remedy = "set direction to both in both stacks and deploy them, then the new direction, the new source first"
        raise ConfigError(key, value, deployed, remedy)
    source = ours.source or theirs.source
    is_source = source in pair.manages
    if is_source is not ours.one_way:
        why = "and the source's stack is the first to become one-way" if ours.one_way else ""
        why = why or "and the source's stack is the last to become two-way"
        raise ConfigError(key, value, f"{deployed}, {why}", f"deploy stack {stack} with direction={value!r} first")
    pulumi.log.warn(
        f"direction={value!r}: {deployed}; deploy it with the same direction next, until then changes of side"
        f" {source.peer if source else ''} are not copied"
    )


def _compare_hand_over(pair: PairModel, peer: SideName, facts: Mapping[str, Any], stack: str) -> None:
    """Compare the secret that this stack writes with the one that the peer's workers read, and the issuer of tokens.

    If they differ, the peer's workers wait for this side's hand-over, or their tokens are refused, without an alarm.
    """
    wanted: dict[str, tuple[str, str]] = {}
    if pair.hand_over is HandOverMode.PROVIDER and pair.receives(peer.peer):
        wanted[SECRET_NAME] = pair.names(peer).secret, facts.get(SECRET_NAME) or ""
    if pair.peer_identity is PeerIdentity.ROLE:
        issuer = (facts.get(ENVIRONMENT) or {}).get(variable("token_issuer"), "")
        wanted["issuer"] = pair.side(peer).issuer, issuer
    for key, (ours, theirs) in wanted.items():
        if theirs not in ("", ours):
            raise ConfigError(
                f"{peer}.{key}",
                ours,
                f"stack {stack} deployed {theirs!r}",
                f"give both stacks the same in Pulumi.yaml; where that is the case, deploy stack {stack} first",
            )


def _compare_options(pair: PairModel, peer: SideName, facts: Mapping[str, Any], stack: str) -> None:
    """Compare the options of one stack's worker with the rights that the other stack's policy gives it.

    Options beyond the deployed policy would let copies be refused for hours. So a right is added at the policy's stack
    first, and removed at the worker's stack first.
    """
    own = peer.peer
    for key, wanted, allowed in _uncovered(shared_options(pair.side(own)), facts.get(PEER_OPTIONS), POLICY_OPTIONS):
        raise ConfigError(
            pair.side(own).key(key),
            wanted,
            f"stack {stack} allows this side's worker {allowed or 'none'}",
            f"give it under {own} in Pulumi.yaml, which both stacks read, and deploy stack {stack} first",
        )
    for key, wanted, allowed in _uncovered(facts.get(OPTIONS), shared_options(pair.side(peer)), POLICY_OPTIONS):
        if key in pair.side(peer).given:
            pulumi.log.warn(
                f"{peer}.{key}={allowed!r}: the worker of stack {stack} still has {wanted}, and its copies will be"
                f" refused until that stack is deployed too"
            )
            continue
        raise ConfigError(
            f"{peer}.{key}",
            allowed,
            f"stack {stack} gives its worker {wanted}, which this stack's policy would refuse",
            f"give {key} under {peer} in Pulumi.yaml, which both stacks read",
        )
    deployed, assumed = facts.get(OPTIONS) or {}, shared_options(pair.side(peer))
    for key in SECRET_OPTIONS:
        if deployed.get(key, assumed[key]) != assumed[key]:
            pulumi.log.warn(
                f"{peer}.{key}={assumed[key]!r}: stack {stack} deployed {deployed[key]!r}; give it under {peer} in"
                " Pulumi.yaml, which both stacks read, and deploy that stack first"
            )


def _compare_rules(pair: PairModel, peer: SideName, theirs: Mapping[str, str], stack: str) -> None:
    """Warn of rules for conflicts and expiries in which the two stacks differ.

    That is no error, because a change of a rule is deployed to one stack after the other.
    """
    ours = settings_of(pair, peer.peer).to_environment()
    for key, setting in SHARED_RULES.items():
        name = variable(setting)
        if theirs.get(name, ours[name]) != ours[name]:
            pulumi.log.warn(
                f"{key}={ours[name]!r}: stack {stack} deployed {theirs[name]!r}, so the workers of the two sides decide"
                " differently about one object; give both stacks the same, and deploy both"
            )


def _uncovered(
    wanted: Mapping[str, str] | None, allowed: Mapping[str, str] | None, keys: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield (key, worker's option, policy's option) where the policy does not cover the worker's option."""
    if not wanted or not allowed:
        return
    for key in keys:
        asked, given = wanted.get(key, ""), allowed.get(key, "")
        if asked not in ("", "false", given):
            yield key, asked, given


def received(pair: PairModel, credential: str, outputs: Mapping[str, Any]) -> pulumi.Input[str] | None:
    """Return the peer's hand-over if it does not come through a provider; None until there is one: workers wait."""
    if not any(map(pair.carries, pair.manages)):
        if credential:
            pulumi.log.warn("peerCredential: has no use at a one-way pair's destination; remove it from the stack")
        return None
    if pair.hand_over is HandOverMode.STACK_REFERENCE:
        return outputs.get(HAND_OVER)
    if pair.hand_over is HandOverMode.PROVIDER or not credential:
        return None
    check_credential(pair, credential)
    return pulumi.Output.secret(credential)


def check_credential(pair: PairModel, credential: object) -> None:
    """Raise `ConfigError` for a text that is no hand-over of the pair's kind. The text is a secret and is not shown."""
    handed_over = identity_in(credential)
    if handed_over is None:
        raise ConfigError(
            "peerCredential",
            None,
            "is not a hand-over",
            "set it with --secret to the text of `pulumi stack output handOver --show-secrets` in the peer's stack",
        )
    if handed_over is not pair.peer_identity:
        raise ConfigError(
            "peerCredential",
            None,
            f"hands over a {handed_over}, and peerIdentity is {pair.peer_identity}",
            "give both stacks the same peerIdentity, deploy the peer's stack, and set its output handOver again",
        )
