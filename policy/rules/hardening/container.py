"""The finder's containers: a known image, no privileges, and no writable folder but the work folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dualsync.components.config.partitions import partition_of
from dualsync.components.finder import ROOT
from policy.environment import containers
from policy.ownership import REGISTRY
from policy.plan import UNKNOWN, Resource
from policy.rule import Finding, Option, Options, Rule

PUBLIC = "public.ecr.aws/lambda/python"
"""AWS's own Python image in its public registry."""

PREPARE = "prepare"
PREPARE_ENTRY_POINT = ["python3", "-c", f"import os; os.chmod({ROOT!r}, 0o1777)"]
"""Name and entry point of the container that opens the finder's folder to the finder's user."""

_DIGEST = re.compile(r"[^@]+@sha256:[0-9a-f]{64}")

PROPERTIES = frozenset(
    [
        *("name", "image", "essential", "entryPoint", "command", "environment", "user", "readonlyRootFilesystem"),
        *("linuxParameters", "logConfiguration", "cpu", "memory", "memoryReservation", "mountPoints", "dependsOn"),
        *("startTimeout", "stopTimeout"),
    ]
)
"""Properties of a container definition that the finder needs, or that give it no further rights."""

_LINUX = frozenset({"capabilities", "initProcessEnabled"})
"""The same of its Linux parameters."""

_MORE_POWER = {
    "privileged": "is privileged",
    "dockerSecurityOptions": "changes its security options",
    "credentialSpecs": "takes credentials of a domain",
    "repositoryCredentials": "logs in to another registry",
    "environmentFiles": "takes its environment from a file",
    "secrets": "takes secrets from elsewhere",
    "extraHosts": "redirects host names",
    "portMappings": "opens ports",
    "interactive": "takes input",
    "pseudoTerminal": "has a terminal",
    "volumesFrom": "mounts the volumes of another container",
    "firelensConfiguration": "routes its log elsewhere",
    "healthCheck": "runs another command (healthCheck)",
    "dnsServers": "resolves names elsewhere",
    "systemControls": "changes the kernel's parameters",
}
"""Effects of further properties (ECS API Reference, ContainerDefinition)."""


def confined(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield containers with a foreign image, privileges, or a file system that can be written to."""
    if resource.kind != "ecs.TaskDefinition" or resource.get("containerDefinitions") is UNKNOWN:
        return
    for container in containers(resource):
        for problem in _problems(resource, container, options):
            yield Finding(resource, f"{resource.name}: container {container.get('name')} {problem}")
    if resource.get("networkMode") not in ("awsvpc", UNKNOWN):
        yield Finding(resource, f"{resource.name} shares the host's network")
    for path in ("pidMode", "ipcMode"):
        if resource.get(path) == "host":
            yield Finding(resource, f"{resource.name} shares the host's processes ({path})")
    for volume in resource.items("volumes"):
        if isinstance(volume, Mapping) and any(volume.get(k) for k in volume if k != "name"):
            yield Finding(resource, f"{resource.name} mounts {volume.get('name')} from outside the task")


def _problems(resource: Resource, container: Mapping[str, Any], options: Options) -> Iterator[str]:
    image = str(container.get("image"))
    if not _known_image(resource, image, options):
        yield f"runs {image}, which is from neither AWS's public Python image nor the account's own registry"
    if not _DIGEST.fullmatch(image):
        yield f"runs {image}, which is not named by its digest"
    for path in sorted(container):
        if path not in PROPERTIES and container[path]:
            yield _MORE_POWER.get(path, f"has {path}, which the finder does not need")
    for path, value in (container.get("linuxParameters") or {}).items():
        if path not in _LINUX and value:
            yield f"has the Linux parameter {path}, which the finder does not need"
    if container.get("readonlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if not _prepares(container) and str(container.get("user") or "root").partition(":")[0] in ("root", "0"):
        yield "runs as root"
    capabilities = (container.get("linuxParameters") or {}).get("capabilities") or {}
    if capabilities.get("add") or "ALL" not in (capabilities.get("drop") or ()):
        yield "keeps Linux capabilities"
    log = (container.get("logConfiguration") or {}).get("logDriver")
    if log != "awslogs":
        yield f"writes its log with {log}, not to CloudWatch"


def _prepares(container: Mapping[str, Any]) -> bool:
    """Return whether it is the container that opens the task's folder, which takes its owner, without a capability."""
    return container.get("name") == PREPARE and container.get("entryPoint") == PREPARE_ENTRY_POINT


def _known_image(resource: Resource, image: str, options: Options) -> bool:
    if any(image.startswith((f"{i}@", f"{i}:")) or image == i for i in (PUBLIC, *options["otherImages"])):
        return True
    match = REGISTRY.fullmatch(image)
    if match is None or resource.account is None:
        return False
    own = partition_of(resource.account.region)
    return (
        match["account"] in resource.account.account_ids
        and own is not None
        and partition_of(match["region"]) == own
        and match["suffix"] == own.dns_suffix
    )


RULES = (
    Rule(
        name="container-confined",
        what="The finder's container runs a known image by digest, without root, privileges or capabilities, on a"
        " read-only root file system.",
        why="The task's role reads the peer's key. A tag can be moved to another image tomorrow, and an intruder into"
        " an unconfined container keeps the rights of root.",
        remedy="Take the image from AWS's public Python image or from the account's own registry, by digest (config key"
        " finderImage), or name yours in `otherImages`. Set user, readonlyRootFilesystem and capabilities.drop ALL.",
        each=confined,
        options={
            "otherImages": Option(
                default=[],
                help="Repositories of images besides AWS's Python image and the account's own registry.",
                schema={"type": "array", "items": {"type": "string"}},
            ),
        },
    ),
)
