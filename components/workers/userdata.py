"""The worker's boot script, its unit, its agent's configuration: files under `templates/` with `@NAMES@` filled in."""

from __future__ import annotations

import base64
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIMIT = 16 * 1024
"""Bytes of user data that EC2 takes, before base64 (EC2 guide: Run commands at launch)."""

WATCHDOG_SECONDS = 120
"""A worker that has not told systemd for so long that it is alive is restarted."""

DRAIN_SECONDS = 240
"""What a worker gets to finish what it has in hand. Shorter than the lifecycle hook's heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What one side's boot script needs to know. No secret: whoever may describe instances reads user data."""

    region: str
    bundle_bucket: str
    bundle_key: str
    bundle_version: str
    bundle_sha256: str
    log_group: str
    group: str
    hook: str
    metrics_namespace: str
    environment: Mapping[str, str]


def render(boot: Boot) -> str:
    """The script as text. Raises `ValueError` when it is too long for EC2, or a value would break out of its place."""
    script = fill(
        template("boot.sh"),
        {
            "REGION": word(boot.region),
            "BUNDLE_BUCKET": word(boot.bundle_bucket),
            "BUNDLE_KEY": word(boot.bundle_key),
            "BUNDLE_VERSION": word(boot.bundle_version) if boot.bundle_version else "",
            "BUNDLE_SHA256": word(boot.bundle_sha256),
            "LOG_GROUP": word(boot.log_group),
            "GROUP": word(boot.group),
            "HOOK": word(boot.hook),
            "ENVIRONMENT": environment_file(boot.environment),
            "AGENT": json.dumps(agent(boot), indent=1),
            "WORKER_UNIT": worker_unit(),
            "DRAIN": template("drain.sh").rstrip("\n"),
            "ENDED": template("ended.sh").rstrip("\n"),
        },
    )
    size = len(script.encode())
    if size > LIMIT:
        raise ValueError(f"user data has {size} bytes, EC2 takes {LIMIT}: shorten prefixes or names in the config")
    return script


def encode(script: str) -> str:
    """As launch templates want it."""
    return base64.b64encode(script.encode()).decode()


def worker_unit() -> str:
    """The systemd unit that runs the worker."""
    values = {"WATCHDOG": str(WATCHDOG_SECONDS), "DRAIN_SECONDS": str(DRAIN_SECONDS)}
    return fill(template("worker.service"), values).rstrip("\n")


def agent(boot: Boot) -> dict[str, Any]:
    """The CloudWatch agent's configuration: both logs, memory, disk; by group, as the dashboard shows them.

    The group is given as a dimension of our own: the agent's `${aws:AutoScalingGroupName}` would need DescribeTags.
    """
    dimensions = {"append_dimensions": {"AutoScalingGroupName": boot.group}}
    files = [
        {"file_path": "/var/log/dualsync/worker.log", "log_stream_name": "{instance_id}/worker"},
        {"file_path": "/var/log/dualsync/boot.log", "log_stream_name": "{instance_id}/boot"},
    ]
    return {
        "agent": {"metrics_collection_interval": 60, "omit_hostname": True},
        "logs": {
            "logs_collected": {"files": {"collect_list": [{**f, "log_group_name": boot.log_group} for f in files]}},
            "force_flush_interval": 5,
        },
        "metrics": {
            "namespace": boot.metrics_namespace,
            "aggregation_dimensions": [["AutoScalingGroupName"]],
            "metrics_collected": {
                "mem": {"measurement": ["mem_used_percent"], **dimensions},
                "disk": {
                    "measurement": ["disk_used_percent"],
                    "resources": ["/"],
                    "drop_device": True,
                    **dimensions,
                },
            },
        },
    }


def environment_file(environment: Mapping[str, str]) -> str:
    """Lines of a systemd `EnvironmentFile`, sorted; values in double quotes (systemd.exec: EnvironmentFile)."""
    lines = []
    for name, value in sorted(environment.items()):
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError(f"{name}: names are capitals, values without control characters")
        quoted = re.sub(r'(["\\$`])', r"\\\1", value)
        lines.append(f'{name}="{quoted}"')
    return "\n".join(lines)


def word(value: str) -> str:
    """`value` if it can stand between single quotes in a shell script; raises `ValueError` if not."""
    if not re.fullmatch(r"[A-Za-z0-9._/:+-]+", value):
        raise ValueError(f"{value!r}: only letters, digits and ._/:+- can stand in the boot script")
    return value


def template(name: str) -> str:
    """A file of `templates/`."""
    return (importlib.resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with each `@NAME@` replaced, in one pass. Raises `KeyError` for a name without a value."""
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", lambda match: values[match.group(1)], text)
