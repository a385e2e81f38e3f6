"""Reads a side's worker and finder from its deployment: the launch template and the task definition.

So a worker in the sandbox runs with exactly the environment and the role of an instance.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

_ENVIRONMENT = re.compile(r"^cat >/etc/dualsync/worker\.env <<'ENVIRONMENT'\n(.*?)^ENVIRONMENT$", re.M | re.S)
_LINE = re.compile(r'([A-Z][A-Z0-9_]*)="(.*)"')


@dataclass(frozen=True)
class Job:
    """One process as its instance or task runs it."""

    side: SideName
    """The side."""

    environment: Mapping[str, str]
    """Environment variables."""

    role_arn: str
    """Role of the instance profile or task."""

    credentials: Mapping[str, str] = field(repr=False)
    """Environment variables with a session of that role."""


def worker_job(cloud: Cloud, side: SideName, outputs: Mapping[str, Any], instance: str) -> Job:
    """Read the worker from the group's launch template: its user data and the role of its instance profile."""
    groups = cloud.client(side, "autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[outputs["workerGroup"]]
    )
    template = groups["AutoScalingGroups"][0]["LaunchTemplate"]
    versions = cloud.client(side, "ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
    )
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    name = data["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    profile = cloud.client(side, "iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    role = profile["Roles"][0]["Arn"]
    script = base64.b64decode(data["UserData"]).decode()
    return Job(side, boot_environment(script), role, _assume(cloud, side, role, instance))


def finder_job(cloud: Cloud, side: SideName, outputs: Mapping[str, Any]) -> Job:
    """Read the finder from the task definition: its container's environment and the task's role."""
    family = outputs["finderTask"]
    answer = cloud.client(side, "ecs").describe_task_definition(taskDefinition=family)
    definition = answer["taskDefinition"]
    environment = {e["name"]: e["value"] for e in definition["containerDefinitions"][0]["environment"]}
    # The container's folder for the bundle does not exist on this machine.
    environment.pop("TMPDIR", None)
    role = definition["taskRoleArn"]
    return Job(side, environment, role, _assume(cloud, side, role, "finder"))


def boot_environment(script: str) -> dict[str, str]:
    """Parse the `EnvironmentFile` that a boot script writes. Raises `ValueError` when it writes none."""
    found = _ENVIRONMENT.search(script)
    if found is None:
        raise ValueError("the boot script writes no /etc/dualsync/worker.env")
    values = {}
    for line in found[1].splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f'worker.env: not a line of the form NAME="value": {line!r}')
        values[match[1]] = re.sub(r'\\(["\\$`])', r"\1", match[2])
    return values


def _assume(cloud: Cloud, side: SideName, role: str, session: str) -> dict[str, str]:
    given = cloud.client(side, "sts").assume_role(RoleArn=role, RoleSessionName=session, DurationSeconds=43200)
    keys = given["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
