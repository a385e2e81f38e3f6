"""Make the environment of worker and finder with `dualsync.runtime.settings`, which checks every variable."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pulumi

from dualsync.components.config import egress
from dualsync.components.config.model import PAIR_OPTIONS, SIDE_FACTS, SIDE_OPTIONS, PairModel, PeerIdentity
from dualsync.components.config.options import Option
from dualsync.runtime.settings import OnLifecycleExpiry, Settings, SideName, variable

_LATER = "known-after-deployment"

UNKNOWN: Mapping[SideName, bool] = MappingProxyType({})
"""Neither bucket's lifecycle rules are known."""


def settings_of(
    pair: PairModel,
    side: SideName,
    *,
    queue_url: str = _LATER,
    dead_letter_queue_url: str = _LATER,
    ledger_table: str = _LATER,
    user_id: str = _LATER,
    keys: tuple[str, str] | None = None,
    expires: Mapping[SideName, bool] = UNKNOWN,
) -> Settings:
    """Return the settings of one side. Raises `SettingError` for what the runtime would refuse.

    `keys` are the ARNs of the keys for tokens and messages, both empty unless the peer is a role.
    `expires` holds for each bucket whether a lifecycle rule may have removed an absent object (`preflight.expiring`).
    For a bucket that is not in it the answer is yes, and the finder takes no absence there for a deletion. With
    onLifecycleExpiry=propagate an expiry deletes at the peer as a user's deletion does. An absence is then a deletion
    in either case, so both settings are false and the finder completes a deletion whose event was lost.
    """
    local, remote = pair.side(side), pair.side(side.peer)
    if keys is None:
        keys = (_LATER, _LATER) if pair.peer_identity is PeerIdentity.ROLE else ("", "")
    hold = pair.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE
    carries = pair.carries(side)
    return Settings(
        pair=pair.name,
        side=side,
        local_bucket=local.bucket,
        local_region=local.region,
        local_account=local.account_id,
        local_prefix=local.prefix,
        local_endpoint=local.access.endpoint,
        remote_bucket=remote.bucket,
        remote_region=remote.region,
        remote_account=remote.account_id,
        remote_prefix=remote.prefix,
        remote_endpoint=egress.peer_endpoint(pair, local, "s3"),
        remote_sts_endpoint=egress.peer_endpoint(pair, local, "sts"),
        queue_url=queue_url if carries else "",
        dead_letter_queue_url=dead_letter_queue_url if carries else "",
        ledger_table=ledger_table if carries else "",
        peer_secret=pair.names(side).secret if carries else "",
        own_user_ids=((user_id,) if pair.receives(side) else ()) + local.former_user_ids,
        token_key=keys[0],
        message_key=keys[1],
        worker_role=pair.names(side).worker_role if carries else "",
        keep_loser=bool(pair.keep_loser),
        local_expires=hold and expires.get(side, True),
        # An object that is missing at a one-way pair's destination is copied again, unless a lifecycle rule there may
        # have removed it: the rule would remove each copy.
        remote_expires=(hold or pair.direction.one_way) and expires.get(side.peer, True),
        **_declared(local, {**SIDE_FACTS, **SIDE_OPTIONS}),
        **_declared(pair, PAIR_OPTIONS),
    )


def _declared(model: object, options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the settings that carry a config key's value as it is (`Declaration.setting`)."""
    carried = (option for option in options.values() if option.declared.setting)
    return {option.declared.setting: option.value(model) for option in carried}


def environment(
    pair: PairModel,
    side: SideName,
    *,
    queue_url: pulumi.Input[str] | None = None,
    dead_letter_queue_url: pulumi.Input[str] | None = None,
    ledger_table: pulumi.Input[str] | None = None,
    user_id: pulumi.Output[str] | None = None,
    keys: tuple[pulumi.Output[str], pulumi.Output[str]] | None = None,
    expires: Mapping[SideName, bool] = UNKNOWN,
) -> Mapping[str, pulumi.Input[str]]:
    """Return the settings as environment variables, with outputs for values that are known at deployment only.

    None is for what a one-way pair's side does not have: queue and ledger at the destination, the user at the source.
    """
    known = settings_of(pair, side, expires=expires).to_environment()
    former = pair.side(side).former_user_ids
    later: dict[str, pulumi.Input[str] | None] = {
        variable("queue_url"): queue_url,
        variable("dead_letter_queue_url"): dead_letter_queue_url,
        variable("ledger_table"): ledger_table,
        variable("own_user_ids"): user_id and user_id.apply(lambda current: ",".join((current, *former))),
    }
    if keys is not None:
        later |= {variable("token_key"): keys[0], variable("message_key"): keys[1]}
    endpoint = pair.side(side).access.endpoint
    services = {"AWS_ENDPOINT_URL": endpoint} if endpoint else {}
    way_out = egress.variables(pair.side(side)) if pair.carries(side) else {}
    return {**known, **{name: value for name, value in later.items() if value is not None}, **services, **way_out}
