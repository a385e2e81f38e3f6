"""What only the cloud can tell, asked at preview before the first resource, with each side's own provider."""

from __future__ import annotations

import pulumi

from components import finder, inspection
from components.context import SideContext
from components.errors import ConfigError
from components.providers import SyncProvider
from runtime.settings import OnLifecycleExpiry


def check_bucket(context: SideContext, sync: SyncProvider) -> None:
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
            f"{context.side.peer}.acl",
            acl,
            f"is refused by bucket {local.bucket}, where the owner owns every object",
            "use bucket-owner-full-control or nothing",
        )
    for rule in facts.expiring_rules:
        meaning = (
            "deletes the objects on the other side too (onLifecycleExpiry=propagate)"
            if context.pair.on_lifecycle_expiry is OnLifecycleExpiry.PROPAGATE
            else "deletes objects here only: they stay on the other side (onLifecycleExpiry=ignore)"
        )
        pulumi.log.warn(f"{key}={local.bucket!r}: lifecycle rule {rule!r} {meaning}")


def check_image(context: SideContext) -> None:
    """Raise `ConfigError` if the finder's image is to be had nowhere."""
    finder.image(context)
