"""Make the program's plan without the engine, from what it registers with the mock monitor."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi

from policy.plan import UNKNOWN, Account, Plan, Resource, as_account
from tests.unit.components import recorder

Transformation = Callable[[pulumi.ResourceTransformationArgs], pulumi.ResourceTransformationResult | None]
Extra = Callable[[], None]


class _Monitor(recorder.Monitor):
    """A monitor that keeps each registration as the engine passes it to a policy pack after creation."""

    kept: list[tuple[Any, Any]]

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.kept.append((request, answer))
        return answer


def plan_of(
    stack: str,
    bundles: Path,
    changes: dict[str, Any] | None = None,
    transformation: Transformation | None = None,
    extra: Extra | None = None,
) -> Plan:
    """Return the plan of `__main__.py` as `stack`, with every value known, and with the changes of the seeds."""
    kept: list[tuple[Any, Any]] = []
    run = runpy.run_path

    def seeded(path: str, **more: Any) -> Any:
        if transformation is not None:
            pulumi.runtime.register_stack_transformation(transformation)
        done = run(path, **more)
        if extra is not None:
            extra()
        return done

    def monitor(*args: Any) -> _Monitor:
        made = _Monitor(*args)
        made.kept = kept
        return made

    with mock.patch.object(recorder, "Monitor", monitor), mock.patch("runpy.run_path", seeded):
        recorder.deploy(stack, bundles, changes)
    return plan(kept)


def plan(kept: list[tuple[Any, Any]]) -> Plan:
    """Return registrations as a plan."""
    resources: list[Resource] = []
    accounts: dict[str, Account] = {}
    for request, answer in kept:
        inputs = recorder.revealed(recorder.plain(request.object))
        outputs = recorder.revealed(recorder.plain(answer.object)) if answer.HasField("object") else {}
        resource = Resource(
            type=request.type,
            name=request.name,
            urn=answer.urn,
            properties={**outputs, **inputs, **({"id": answer.id} if answer.id else {})},
            account=accounts.get(request.provider.rpartition("::")[0]),
            depends={key: tuple(found.urns) for key, found in request.propertyDependencies.items() if found.urns},
            protect=request.protect,
            ignore_changes=tuple(request.ignoreChanges),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        )
        if request.type.startswith("pulumi:providers:"):
            accounts[resource.urn] = as_account(resource)
        resources.append(resource)
    return Plan(tuple(resources))


def at_first_preview(plan: Plan) -> Plan:
    """Return the same plan while nothing exists: outputs, and values made from them, are unknown."""
    return partly_deployed(plan, frozenset())


def partly_deployed(plan: Plan, existing: Set[str]) -> Plan:
    """Return the same plan while only the resources with these URNs exist, as after an interrupted deployment."""
    outputs = {"uniqueId", "secret", "id", "arn", "url"}
    computed = {
        "autoscaling.Group": {"launchTemplate", "mixedInstancesPolicy"},
        "ec2.LaunchTemplate": {"keyName", "vpcSecurityGroupIds"},
    }
    kinds = {r.urn for r in plan.resources if r.type.startswith("pulumi:providers:")}

    def hidden(resource: Resource) -> Resource:
        exists = resource.urn in existing
        # Properties that AWS may fill in, and that the program left out, are unknown in the engine's plan too.
        more = {k: UNKNOWN for k in computed.get(resource.kind, ()) if k not in resource.properties and not exists}
        properties = more | {
            key: UNKNOWN
            if any(u not in existing and u not in kinds for u in resource.depends.get(key, ()))
            or (key in outputs and not exists)
            else value
            for key, value in resource.properties.items()
        }
        return dataclasses.replace(resource, properties=properties)

    return Plan(tuple(hidden(r) for r in plan.resources))
