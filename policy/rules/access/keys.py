"""Long-lived keys belong to the dedicated users, are kept in Secrets Manager, and are renewed without a gap."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policy.environment import user_data
from policy.plan import Plan, Resource, known, texts
from policy.rule import Finding, Options, Rule

KEY_ID = re.compile(r"(?<![A-Z0-9])AKIA[A-Z0-9]{12,124}(?![A-Z0-9])")
"""Ids of long-lived keys begin with AKIA (IAM User Guide, unique identifiers)."""

KEEPER = ("secretsmanager.SecretVersion", "secretString")
"""The one kind and property that may hold a key."""

HAND_OVER = "handOver"
"""The stack's secret output, where the two sides' stacks have no provider for each other."""

_FORBIDDEN = {
    "iam.UserLoginProfile": "gives a user a password",
    "iam.SshKey": "gives a user a key for code repositories",
    "ec2.KeyPair": "is a key for logging in to machines",
    "iam.ServiceSpecificCredential": "gives a user another password",
}


def in_secrets_manager_only(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield properties, other than a secret's, that are made from an access key or hold one in clear text."""
    keys = [k for k in plan.of("iam.AccessKey") if k.kind == "iam.AccessKey"]
    secrets = {s for k in keys if isinstance(s := k.get("secret"), str) and len(s) > 16}
    for resource in plan.resources:
        yield from _forbidden(resource)
        if resource.kind == "iam.AccessKey":
            continue
        for path in resource.depends:
            if (resource.kind, path) != KEEPER and plan.behind(resource, path, "iam.AccessKey"):
                yield Finding(resource, f"{resource.name}.{path} is made from an access key")
        for path, text in texts(resource.properties):
            if (resource.kind, path) == KEEPER or path.split(".")[0] == HAND_OVER or _names_only(resource, path):
                continue
            shown = user_data(text) if path == "userData" else text
            if KEY_ID.search(shown) or any(s in shown for s in secrets):
                yield Finding(resource, f"{resource.name}.{path} holds an access key")


def new_before_old(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield keys that a replacement deletes before their successor exists."""
    if resource.kind == "iam.AccessKey" and resource.delete_before_replace:
        yield Finding(resource, f"{resource.name} is deleted before its successor is made")


def _forbidden(resource: Resource) -> Iterator[Finding]:
    if resource.kind in _FORBIDDEN:
        yield Finding(resource, f"{resource.name} {_FORBIDDEN[resource.kind]}")
    if resource.kind in ("ec2.LaunchTemplate", "ec2.Instance") and known([resource.get("keyName") or None]):
        yield Finding(resource, f"{resource.name} lets the holder of an SSH key in (keyName)")
    if resource.type == "pulumi:providers:aws":
        for path in ("accessKey", "secretKey"):
            if known([resource.get(path) or None]):
                yield Finding(resource, f"provider {resource.name} is given a long-lived key ({path})")


def _names_only(resource: Resource, path: str) -> bool:
    """Return whether the path holds a key's id, which is no secret: outputs name it, so that operators find the key."""
    return not resource.type.startswith("aws:") and path.endswith("keyId")


RULES = (
    Rule(
        name="keys-in-secrets-manager-only",
        what="The only long-lived keys are the dedicated users', and they are kept in Secrets Manager alone.",
        why="With a dedicated user's key anybody can write into the bucket in a way that the loop guard takes for the"
        " worker's. Anywhere else (user data, an environment, a provider's settings) those who may only read the"
        " configuration could read it too.",
        remedy="Take it out; the worker reads the secret itself. For providers use a profile, a role or web identity;"
        " for machines Session Manager.",
        all=in_secrets_manager_only,
    ),
    Rule(
        name="key-renewed-without-gap",
        what="A renewed key is made before the old one is deleted.",
        why="From the deletion to the hand-over of the next key the peer's worker is refused, and every change waits.",
        remedy="Leave deleteBeforeReplace of access keys off.",
        each=new_before_old,
    ),
)
