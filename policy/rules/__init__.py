"""All rules, in the order of reports."""

from policy.rule import Rule
from policy.rules.access import confinement, keys, own_resources, peer_role, principals, privilege, wildcards
from policy.rules.hardening import boot, container, encryption, exposure, second_ways, transport
from policy.rules.operations import inventory, naming, partition, providers, retention, scaling
from policy.rules.wiring import buckets, guard, handover, notifications, parts, settings

RULES: tuple[Rule, ...] = (
    *guard.RULES,
    *handover.RULES,
    *notifications.RULES,
    *buckets.RULES,
    *settings.RULES,
    *parts.RULES,
    *keys.RULES,
    *privilege.RULES,
    *own_resources.RULES,
    *wildcards.RULES,
    *principals.RULES,
    *confinement.RULES,
    *peer_role.RULES,
    *transport.RULES,
    *encryption.RULES,
    *exposure.RULES,
    *boot.RULES,
    *container.RULES,
    *second_ways.RULES,
    *inventory.RULES,
    *retention.RULES,
    *scaling.RULES,
    *partition.RULES,
    *providers.RULES,
    *naming.RULES,
)
