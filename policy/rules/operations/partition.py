"""Every ARN and host belongs to the partition of the account that it is used in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dualsync.components.config.partitions import partition_of, partitions
from policy.environment import user_data
from policy.plan import Resource, texts
from policy.rule import Finding, Options, Rule

_ARN = re.compile(r"\barn:(aws[a-z-]*):")
_HOST = re.compile(
    r"\b(?P<service>[a-z0-9.-]+)\.(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9])\.(?P<suffix>[a-z0-9.-]*[a-z])"
)

HAND_OVER = ("secretsmanager.SecretVersion", "secretString")
"""The kind and the property that may name the other side's role."""

_ROLE = re.compile(r'"role_arn": *"arn:aws[a-z-]*:iam::[0-9]{12}:role/[^"]*"')

_VIA = re.compile(r'"kms:ViaService": *(?:"[^"]*"|\[[^\]]*\])')
"""The services through which a key is used. A side in China names them with both domains (`via_services`)."""


def own_partition(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield ARNs of another partition than the provider's, and hosts of another domain."""
    region = resource.account.region if resource.account is not None else ""
    own = partition_of(region)
    if own is None or not resource.type.startswith("aws:"):
        return
    seen: set[tuple[str, str]] = set()
    for path, text in texts(resource.properties):
        shown = user_data(text) if path == "userData" else text
        if (resource.kind, path) == HAND_OVER:
            # The peer's role is in the peer's partition.
            shown = _ROLE.sub("", shown)
        elif path == "policy":
            shown = _VIA.sub("", shown)
        for wrong in _wrong(shown, own.id):
            if (path, wrong) not in seen:
                seen.add((path, wrong))
                yield Finding(resource, f"{resource.name}.{path}: {wrong}, and the account is in {own.id} ({region})")


def _wrong(text: str, own: str) -> Iterator[str]:
    for match in _ARN.finditer(text):
        if match[1] != own:
            yield f"an ARN of partition {match[1]}"
    for match in _HOST.finditer(text):
        partition = partition_of(match["region"])
        if partition is None or not match["suffix"].startswith(("amazonaws.", "api.", "c2s.", "sc2s.")):
            continue
        if match["suffix"] != partition.dns_suffix and any(match["suffix"] == p.dns_suffix for p in partitions()):
            yield f"host {match[0]} does not exist"


RULES = (
    Rule(
        name="own-partition",
        what="ARNs and hosts are those of the account's partition.",
        why="One side is in China, where ARNs begin with arn:aws-cn and services answer under amazonaws.com.cn. A"
        " literal of the other partition fails only there, and in a policy it silently matches nothing.",
        remedy="Derive partition and DNS suffix from the side's region.",
        each=own_partition,
    ),
)
