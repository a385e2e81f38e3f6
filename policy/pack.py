"""The rules as CrossGuard policies: the engine's resources become a `Plan`, findings become its reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.plan import UNKNOWN, Account, Plan, Resource
from policy.rule import Rule
from policy.rules import RULES

NAME = "dualsync"


def start() -> None:
    """Serve the pack to the engine that started this process, until the engine has finished."""
    PolicyPack(
        name=NAME,
        description="Reviews the plan of a pair of synchronised buckets before it is carried out.",
        enforcement_level=EnforcementLevel.MANDATORY,
        policies=[policy(rule) for rule in RULES],
    )


def policy(rule: Rule) -> Policy:
    """Return one rule as a CrossGuard policy."""
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.what,
        "enforcement_level": EnforcementLevel(str(rule.level)),
        "remediation_steps": rule.remedy,
    }
    if rule.options:
        properties = {n: {**o.schema, "description": o.help, "default": o.default} for n, o in rule.options.items()}
        common["config_schema"] = PolicyConfigSchema(properties)

    def each(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for finding in rule.check(Plan((resource_of(args),)), args.get_config()):
            report(rule.message(finding), None)

    def all_(args: StackValidationArgs, report: ReportViolation) -> None:
        plan = Plan(tuple(resource_of(r) for r in args.resources))
        for finding in rule.check(plan, args.get_config()):
            report(rule.message(finding), finding.resource.urn)

    if rule.each is not None:
        return ResourceValidationPolicy(validate=each, **common)
    return StackValidationPolicy(validate=all_, **common)


def resource_of(given: ResourceValidationArgs | PolicyResource) -> Resource:
    """Convert the engine's view of a resource."""
    provider = given.provider
    depends = getattr(given, "property_dependencies", {})
    properties = plain(given.props)
    if isinstance(given, PolicyResource):
        # A resource that does not exist yet has no id in the plan. Its id is then unknown, not absent.
        properties.setdefault("id", UNKNOWN)
    return Resource(
        type=given.resource_type,
        name=given.name,
        urn=given.urn,
        properties=properties,
        account=None
        if provider is None
        else Account(urn=provider.urn, name=provider.name, properties=plain(provider.props)),
        depends={key: tuple(r.urn for r in resources) for key, resources in depends.items()},
        protect=bool(given.opts.protect),
        ignore_changes=tuple(given.opts.ignore_changes),
        delete_before_replace=given.opts.delete_before_replace,
    )


def plain(value: Any) -> Any:
    """Copy a value of the engine; where its proxies would raise for an unknown value, the copy has `UNKNOWN`."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
