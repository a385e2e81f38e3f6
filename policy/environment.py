"""The runtime settings as they stand in a plan: in the workers' user data and in the finder's container."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dualsync.runtime.settings import PREFIX
from policy.plan import UNKNOWN, Plan, Resource

HOLDERS = {"ec2.LaunchTemplate": "userData", "ecs.TaskDefinition": "containerDefinitions"}
"""Kinds that start worker and finder, and the property with their environment."""

_LINE = re.compile(rf'^({PREFIX}[A-Z0-9_]+)="(.*)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Environment:
    """Settings of one process; `variables` is None while they are not known."""

    holder: Resource
    path: str
    variables: Mapping[str, str] | None

    @property
    def process(self) -> str:
        """What it starts."""
        return "worker" if self.holder.kind == "ec2.LaunchTemplate" else "finder"


def environments(plan: Plan) -> Iterator[Environment]:
    """Of every worker and finder in the plan."""
    for resource in plan.of(*HOLDERS):
        path = HOLDERS[resource.kind]
        value = resource.get(path)
        yield Environment(resource, path, None if value in (None, UNKNOWN) else _read(resource.kind, str(value)))


def user_data(value: str) -> str:
    """User data as text, whether or not it is encoded."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return value


def _read(kind: str, value: str) -> Mapping[str, str]:
    if kind == "ec2.LaunchTemplate":
        return {name: re.sub(r'\\(["\\$`])', r"\1", text) for name, text in _LINE.findall(user_data(value))}
    try:
        containers: Any = json.loads(value)
    except json.JSONDecodeError:
        return {}
    return {
        str(entry.get("name")): str(entry.get("value"))
        for container in containers
        for entry in container.get("environment") or ()
        if str(entry.get("name", "")).startswith(PREFIX)
    }
