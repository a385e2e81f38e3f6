"""Edit the exported state of a stack. Nothing here calls the engine or a service."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]
"""A stack's export: `{"version": 3, "deployment": {"resources": [...], "pending_operations": [...]}}`."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A resource whose creation was interrupted: it may exist or not."""

    resource: Mapping[str, Any]
    """The resource as the engine was about to create it: URN, type, inputs, parent, provider, dependencies."""

    @property
    def type(self) -> str:
        """Type of the resource."""
        return str(self.resource["type"])

    @property
    def name(self) -> str:
        """Logical name of the resource."""
        return str(self.resource["urn"]).split("::", 3)[3]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Inputs of the resource, secrets encrypted."""
        found: Mapping[str, Any] = self.resource.get("inputs") or {}
        return found

    @property
    def provider(self) -> str:
        """URN of the provider."""
        return str(self.resource.get("provider", "")).rpartition("::")[0]


Find = Callable[[Pending], str]
"""Returns the id under which the provider reads a resource; empty for one that is created again without harm."""


def pending_creates(state: State) -> list[Pending]:
    """Return the resources whose creation was interrupted."""
    operations = state["deployment"].get("pending_operations") or ()
    return [Pending(entry["resource"]) for entry in operations if entry["type"] == "creating"]


def provider_inputs(state: State, urn: str) -> Mapping[str, Any]:
    """Return the inputs of a provider: region, profile, role, endpoint."""
    found = (r.get("inputs") or {} for r in state["deployment"].get("resources") or () if r["urn"] == urn)
    return next(found, {})


def adopt(state: State, find: Find) -> tuple[State, dict[str, str]]:
    """Return the state without pending operations, and the ids of the resources that it takes as created, by name.

    A refresh then reads each of them. One that does not exist leaves the state again, as every deleted resource does.
    """
    edited = copy.deepcopy(state)
    resources = edited["deployment"].setdefault("resources", [])
    known = {r["urn"] for r in resources if not r.get("delete")}
    adopted: dict[str, str] = {}
    for one in pending_creates(state):
        id = find(one) if one.resource["urn"] not in known else ""
        if id:
            resources.append({**one.resource, "id": id, "outputs": {}})
            adopted[one.name] = id
    edited["deployment"].pop("pending_operations", None)
    return edited, adopted


def forget(state: State, is_lost: Callable[[str], bool]) -> tuple[State, list[str]]:
    """Return the state without the resources of some providers, and the forgotten URNs.

    Args:
        state: The export.
        is_lost: Whether a provider, by its URN, can not sign in any longer.
    """
    edited = copy.deepcopy(state)
    resources = edited["deployment"].get("resources") or []
    lost = [r["urn"] for r in resources if is_lost(str(r.get("provider", "")).rpartition("::")[0])]
    edited["deployment"]["resources"] = [_without(r, set(lost)) for r in resources if r["urn"] not in lost]
    kept = [
        operation
        for operation in edited["deployment"].get("pending_operations") or ()
        if not is_lost(str(operation["resource"].get("provider", "")).rpartition("::")[0])
    ]
    if "pending_operations" in edited["deployment"]:
        edited["deployment"]["pending_operations"] = kept
    return edited, lost


def _without(resource: Mapping[str, Any], lost: set[str]) -> dict[str, Any]:
    """Return a resource that no longer depends on lost ones."""
    edited = dict(resource)
    if "dependencies" in edited:
        edited["dependencies"] = [urn for urn in edited["dependencies"] if urn not in lost]
    if "propertyDependencies" in edited:
        edited["propertyDependencies"] = {
            name: [urn for urn in urns or () if urn not in lost]
            for name, urns in edited["propertyDependencies"].items()
        }
    if edited.get("deletedWith") in lost:
        del edited["deletedWith"]
    return edited


def providers(state: State) -> Iterator[str]:
    """Yield the URNs of the AWS providers."""
    for resource in state["deployment"].get("resources") or ():
        if resource["type"] == "pulumi:providers:aws":
            yield resource["urn"]
