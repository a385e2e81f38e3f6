"""All rules, in the order in which a report names them."""

from policy.rule import Rule
from policy.rules import (
    buckets,
    encryption,
    exposure,
    guard,
    handover,
    keys,
    naming,
    notifications,
    partition,
    privilege,
    providers,
    retention,
    scaling,
    transport,
    wildcards,
)

RULES: tuple[Rule, ...] = (
    *guard.RULES,
    *handover.RULES,
    *notifications.RULES,
    *buckets.RULES,
    *keys.RULES,
    *privilege.RULES,
    *wildcards.RULES,
    *transport.RULES,
    *encryption.RULES,
    *exposure.RULES,
    *retention.RULES,
    *scaling.RULES,
    *partition.RULES,
    *providers.RULES,
    *naming.RULES,
)
