"""Render boot script, systemd unit and agent configuration of a worker from the files under `templates/`."""

from __future__ import annotations

import base64
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dualsync.components.config import egress

LIMIT = 16 * 1024
"""Bytes of user data that EC2 accepts, before base64 (EC2 guide: Run commands at launch)."""

WATCHDOG_SECONDS = 120
"""Seconds without a notification after which systemd restarts a worker."""

DRAIN_SECONDS = 240
"""Time in which a worker may finish its messages. Shorter than the lifecycle hook's heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Values of one side's boot script. Nothing secret: user data can be read by all who may describe instances."""

    region: str
    """Region of the side."""
    bundle_bucket: str
    """Bucket of the bundle."""
    bundle_key: str
    """Key of the bundle."""
    bundle_version: str
    """Version id of the bundle."""
    bundle_sha256: str
    """SHA-256 of the bundle, hexadecimal."""
    log_group: str
    """Log group of the workers."""
    group: str
    """Name of the Auto Scaling group."""
    hook: str
    """Name of the lifecycle hook."""
    metrics_namespace: str
    """Namespace of the side's own metrics."""
    environment: Mapping[str, str]
    """Environment variables of the worker."""


def render(boot: Boot) -> str:
    """Return the script. Raises `ValueError` if it is too long for EC2, or if a value would end its quotes."""
    text = script(boot)
    size = len(text.encode())
    if size > LIMIT:
        raise ValueError(f"user data has {size} bytes, EC2 takes {LIMIT}: shorten prefixes or names in the config")
    return text


def script(boot: Boot) -> str:
    """Return the script of any length. Raises `ValueError` if a value would end its quotes."""
    return fill(
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
            "EGRESS": exports(boot.environment),
            "EGRESS_UNITS": egress_units(boot.environment),
            "ENVIRONMENT": environment_file(boot.environment),
            "AGENT": json.dumps(agent(boot), indent=1),
            "WORKER_UNIT": worker_unit(),
            "DRAIN": template("drain.sh").rstrip("\n"),
            "ENDED": template("ended.sh").rstrip("\n"),
        },
    )


def encode(text: str) -> str:
    """Return the script as launch templates take it, in base64."""
    return base64.b64encode(text.encode()).decode()


def worker_unit() -> str:
    """Return the systemd unit that runs the worker."""
    values = {"WATCHDOG": str(WATCHDOG_SECONDS), "DRAIN_SECONDS": str(DRAIN_SECONDS)}
    return fill(template("worker.service"), values).rstrip("\n")


def agent(boot: Boot) -> dict[str, Any]:
    """Return the CloudWatch agent's configuration: both logs, memory, disk; by group, as the dashboard shows them.

    The group is a fixed dimension: the agent's `${aws:AutoScalingGroupName}` would need DescribeTags.
    """
    dimensions = {"append_dimensions": {"AutoScalingGroupName": boot.group}}
    files = [
        {"file_path": "/var/log/dualsync/worker.log", "log_stream_name": "{instance_id}/worker"},
        {"file_path": "/var/log/dualsync/boot.log", "log_stream_name": "{instance_id}/boot"},
    ]
    # It takes the FIPS endpoints as addresses (CloudWatch agent configuration file, `endpoint_override`).
    fips = egress.FIPS in boot.environment
    logs, metrics = (
        {"endpoint_override": f"https://{egress.fips_host(service, boot.region)}"} if fips else {}
        for service in ("logs", "monitoring")
    )
    return {
        "agent": {"metrics_collection_interval": 60, "omit_hostname": True},
        "logs": {
            "logs_collected": {"files": {"collect_list": [{**f, "log_group_name": boot.log_group} for f in files]}},
            "force_flush_interval": 5,
            **logs,
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
                    # Else the figure is reported, and billed, a second time with path and file system (CloudWatch agent
                    # configuration file). Memory has no such dimensions: without its original there would be none.
                    "drop_original_metrics": ["disk_used_percent"],
                    **dimensions,
                },
            },
            **metrics,
        },
    }


def exports(environment: Mapping[str, str]) -> str:
    """Return the line by which the script's own programs leave as the worker does; empty without such variables."""
    given = [f"{name}='{_quoted(environment[name])}'" for name in egress.carried(environment)]
    return "\n" + " ".join(("export", *given)) if given else ""


def egress_units(environment: Mapping[str, str]) -> str:
    """Return the lines that pass these variables on to what systemd starts; empty without them."""
    return "\n" + template("egress.sh").rstrip("\n") if exports(environment) else ""


def _quoted(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._/:,\[\]-]+", value):
        raise ValueError(f"{value!r}: only letters, digits and ._/:,[]- are allowed in the boot script")
    return value


def environment_file(environment: Mapping[str, str]) -> str:
    """Return a systemd `EnvironmentFile`: sorted lines, values in double quotes (systemd.exec: EnvironmentFile)."""
    lines = []
    for name, value in sorted(environment.items()):
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError(f"{name}: names are capitals, values without control characters")
        quoted = re.sub(r'(["\\$`])', r"\\\1", value)
        lines.append(f'{name}="{quoted}"')
    return "\n".join(lines)


def word(value: str) -> str:
    """Return `value` if it is safe between single quotes in a shell script; raises `ValueError` if not."""
    if not re.fullmatch(r"[A-Za-z0-9._/:+-]+", value):
        raise ValueError(f"{value!r}: only letters, digits and ._/:+- are allowed in the boot script")
    return value


def template(name: str) -> str:
    """Return a file of `templates/`."""
    return (importlib.resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with each `@NAME@` replaced, in one pass. Raises `KeyError` for a name without a value."""
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", lambda match: values[match.group(1)], text)
