"""The runtime settings in a plan: in the workers' user data and in the finder's container."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy.plan import UNKNOWN, Plan, Resource

HOLDERS = {"ec2.LaunchTemplate": "userData", "ecs.TaskDefinition": "containerDefinitions"}
"""Kinds that start worker and finder, and the property with their environment."""

_LINE = re.compile(r'^([A-Z][A-Z0-9_]*)="(.*)"$', re.MULTILINE)
_BLOCK = re.compile(r"<<'ENVIRONMENT'\n(.*?)^ENVIRONMENT$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of one process."""

    holder: Resource
    """The resource that starts the process."""
    path: str
    """The property that holds the environment."""
    variables: Mapping[str, str] | None
    """Value by name of variable; None while not known."""

    @property
    def process(self) -> str:
        """Return which process it is: worker or finder."""
        return "worker" if self.holder.kind == "ec2.LaunchTemplate" else "finder"

    @property
    def label(self) -> str:
        """Return the process and its resource, as findings name them."""
        return f"{self.process} {self.holder.name}"

    def get(self, name: str) -> str:
        """Return the value of a variable; empty where it is unset or unknown."""
        return (self.variables or {}).get(name, "")


def environments(plan: Plan) -> Iterator[Environment]:
    """Yield the environment of every worker and finder in the plan."""
    for resource in plan.of(*HOLDERS):
        path = HOLDERS[resource.kind]
        value = resource.get(path)
        yield Environment(resource, path, None if value in (None, UNKNOWN) else _read(resource.kind, value))


def user_data(value: str) -> str:
    """Return user data as text, encoded or not."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return value


def containers(resource: Resource) -> list[Mapping[str, Any]]:
    """Return the containers of a task definition; empty while they are not known."""
    value = resource.get("containerDefinitions")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return []
    return [c for c in value if isinstance(c, Mapping)] if isinstance(value, list) else []


def _read(kind: str, value: Any) -> Mapping[str, str]:
    if kind == "ec2.LaunchTemplate":
        script = user_data(str(value))
        block = _BLOCK.search(script)
        lines = _LINE.findall(block[1] if block else script)
        return {name: re.sub(r'\\(["\\$`])', r"\1", text) for name, text in lines}
    holder = Resource(type="", name="", urn="", properties={"containerDefinitions": value})
    return {
        str(entry.get("name")): str(entry.get("value"))
        for container in containers(holder)
        for entry in container.get("environment") or ()
    }
