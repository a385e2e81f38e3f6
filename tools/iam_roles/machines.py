"""Statements about EC2, whose ids carry no name: every action is confined by the tags of the resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tools.iam_roles.actions import resource_kinds
from tools.iam_roles.scopes import Scopes
from tools.iam_roles.statements import Statement, allow

MADE = {
    "ec2:CreateLaunchTemplate": "launch-template",
    "ec2:CreateSecurityGroup": "security-group",
    "ec2:CreateVpcEndpoint": "vpc-endpoint",
}
"""Actions that make a resource, and its kind: the request must carry the pair's tags."""

OWN = ("launch-template", "security-group", "vpc-endpoint")
"""Kinds that the pair has of its own: any other action on them needs the pair's tags on the resource."""

USED = ("route-table", "security-group-rule", "subnet", "vpc")
"""Kinds of the network, and rules of a group that is checked: a call names them beside a resource of the pair's own."""

STARTED = ("instance", "network-interface", "volume")
"""Kinds that a launch template makes."""


def machines(scopes: Scopes, names: Iterable[str]) -> list[Statement]:
    """Return the statements for these actions of EC2.

    EC2 authorises a call on each resource that it names (EC2 User Guide, "Example policies"), so a statement about a
    network's resources allows nothing without the one about the resource that is made or changed.
    """
    asked = set(names)
    blind = {a for a in asked if not resource_kinds(a)}
    statements = [allow("MachinesRead", blind, ("*",))] if blind else []
    for action in sorted(asked & {*MADE}):
        kind = MADE[action]
        statements.append(allow("MachinesMake", {action}, (_all(scopes, kind),), scopes.tagged("aws:RequestTag")))
    for kind in OWN:
        special = {*MADE, "ec2:RunInstances", "ec2:CreateTags", "ec2:DeleteTags"}
        own = {a for a in asked - special if kind in resource_kinds(a)}
        if own and kind != "security-group":
            statements.append(allow("MachinesOwn", own, (_all(scopes, kind),), scopes.tagged()))
        elif own:
            # An endpoint of the gateway kind takes no group, so these are the actions on groups.
            groups = {a for a in own if "SecurityGroup" in a}
            statements.append(allow("MachinesOwn", groups, (_all(scopes, kind),), scopes.tagged()))
    for kind in USED:
        beside = {a for a in asked - {"ec2:RunInstances", "ec2:CreateTags", "ec2:DeleteTags"} if _uses(a, kind)}
        if beside:
            statements.append(allow("MachinesBeside", beside, *_beside(scopes, kind)))
    return [*statements, *_tags(scopes, asked), *_starting(scopes, asked)]


def _beside(scopes: Scopes, kind: str) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
    """Return the resources of a network's kind and their condition: those of the configured VPC, where one is named.

    The default VPC's id is not known before the deployment. Then every VPC and route table of the account is meant.
    """
    vpc_id = scopes.pair.side(scopes.side).network.vpc_id
    if not vpc_id or kind not in ("vpc", "route-table"):
        return (_all(scopes, kind),), None
    vpc = scopes.arn("ec2", f"vpc/{vpc_id}")
    if kind == "vpc":
        return (vpc,), None
    return (_all(scopes, kind),), {"ArnEquals": {"ec2:Vpc": vpc}}


def _uses(action: str, kind: str) -> bool:
    """Return whether an action of the program names a resource of a network's kind beside its own."""
    if kind == "security-group-rule":
        return action in (
            *("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"),
            *("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"),
        )
    if kind == "route-table":
        return action in ("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint")
    if kind == "vpc":
        return action in ("ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint")
    return False


def _tags(scopes: Scopes, asked: set[str]) -> list[Statement]:
    """Return the statements about tags: with the making of a resource, or on one of the pair's own."""
    statements = []
    if "ec2:CreateTags" in asked:
        making = sorted(a.partition(":")[2] for a in {*MADE, "ec2:RunInstances"} & asked)
        kinds = tuple(_all(scopes, kind) for kind in (*OWN, *STARTED))
        condition = {**scopes.tagged("aws:RequestTag")}
        condition["StringEquals"] = {**condition["StringEquals"], "ec2:CreateAction": making}  # type: ignore[dict-item]
        statements.append(allow("MachinesTagNew", {"ec2:CreateTags"}, kinds, condition))
    own = asked & {"ec2:CreateTags", "ec2:DeleteTags"}
    if own:
        kinds = tuple(_all(scopes, kind) for kind in OWN)
        statements.append(allow("MachinesTagOwn", own, kinds, scopes.tagged()))
    return statements


def _starting(scopes: Scopes, asked: set[str]) -> list[Statement]:
    """Return what Auto Scaling asks of a caller that gives a group its launch template.

    Machines start from the pair's own template and in its own security group alone (EC2 Auto Scaling User Guide,
    "Control Amazon EC2 launch template usage").
    """
    if "ec2:RunInstances" not in asked:
        return []
    run = {"ec2:RunInstances"}
    own = tuple(_all(scopes, kind) for kind in ("launch-template", "security-group"))
    made = tuple(_all(scopes, kind) for kind in (*STARTED, "subnet"))
    template = {"ArnLike": {"ec2:LaunchTemplate": _all(scopes, "launch-template")}}
    return [
        allow("MachinesStartOwn", run, own, scopes.tagged()),
        allow("MachinesStart", run, (*made, scopes.public("ec2", "image/*")), template),
    ]


def _all(scopes: Scopes, kind: str) -> str:
    return scopes.arn("ec2", f"{kind}/*")
