"""What only the cloud can tell, asked at preview before the first resource, with each side's own provider."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from dualsync.components import finder
from dualsync.components.bucket_access import inspection
from dualsync.components.bucket_access.inspection import BucketFacts
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel
from dualsync.components.config.prefixes import is_exact_in_policies
from dualsync.components.context import SideContext
from dualsync.components.providers import SyncProvider
from dualsync.runtime.settings import OnLifecycleExpiry, SideName


def check_bucket(context: SideContext, sync: SyncProvider) -> BucketFacts:
    """Look at the side's bucket. Raises `ConfigError`; warns of lifecycle rules that delete objects, by their names."""
    local, key = context.local, f"{context.side}.bucket"
    result = pulumi.runtime.invoke(
        inspection.TOKEN,
        {"bucket": local.bucket, "accountId": local.account_id, "region": local.region, "prefix": local.prefix},
        pulumi.InvokeOptions(provider=sync),
    ).value
    facts = inspection.from_result(result)
    if facts.problem:
        problem, _, remedy = facts.problem.partition("; ")
        raise ConfigError(key, local.bucket, problem, remedy)
    acl = context.peer.replicas.acl
    if facts.ownership == "BucketOwnerEnforced" and acl not in ("", "bucket-owner-full-control"):
        raise ConfigError(
            context.peer.key("acl"),
            acl,
            f"is refused by bucket {local.bucket}, where the owner owns every object",
            "use bucket-owner-full-control or nothing",
        )
    if not is_exact_in_policies(local.prefix):
        pulumi.log.warn(
            f"{context.side}.prefix={local.prefix!r}: IAM policies take no characters above U+00FF, so the policies of"
            " worker, finder and the peer's user name each of them as `?` and also reach keys that differ only there;"
            " to bound them exactly, use a prefix of Latin-1 characters or a bucket of its own"
        )
    for rule in facts.expiring_rules:
        meaning = (
            "deletes the objects on the other side too (onLifecycleExpiry=propagate)"
            if not _ignored(context.pair)
            else "deletes objects here only: they stay on the other side (onLifecycleExpiry=ignore)"
        )
        pulumi.log.warn(f"{key}={local.bucket!r}: lifecycle rule {rule!r} {meaning}")
    if facts.expiring_rules and local.lifecycle_expires is False:
        pulumi.log.warn(
            f"{context.side}.lifecycleExpires=false, but bucket {local.bucket} has such rules: when an expiry's event"
            " is lost, the finder takes it for a deletion; remove the key, or the rules"
        )
    return facts


def expiring(pair: PairModel, facts: Mapping[SideName, BucketFacts]) -> dict[SideName, bool]:
    """Of each bucket, whether a lifecycle rule may have taken what is absent there: as config says, else its rules.

    Where neither says so (the peer's bucket without a provider for its account, rules that may not be read) the answer
    is yes: a deletion whose event was lost is then not made up for, which is less bad than an expiry that empties the
    other side.
    """
    found: dict[SideName, bool] = {}
    for side in SideName:
        given, known = pair.side(side).lifecycle_expires, facts.get(side)
        if given is None and (known is None or not known.rules_read) and _ignored(pair):
            pulumi.log.info(
                f"{side}.lifecycleExpires: not given, and the lifecycle rules of bucket {pair.side(side).bucket} can't"
                " be read from here, so the finder takes no absence there for a deletion; give false if no rule expires"
                " objects there"
            )
        found[side] = (known is None or not known.rules_read or bool(known.expiring_rules)) if given is None else given
    return found


def _ignored(pair: PairModel) -> bool:
    return pair.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE


def check_image(context: SideContext) -> None:
    """Raise `ConfigError` if the finder's image is to be had nowhere."""
    finder.image(context)
