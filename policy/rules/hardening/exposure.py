"""No connection comes in, only HTTPS goes out, and instance metadata is for the machine itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Option, Options, Rule

GROUPS = ("ec2.SecurityGroup", "ec2.DefaultSecurityGroup")
"""Kinds that are security groups."""


def no_inbound(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield rules that let a connection in."""
    match resource.kind:
        case "ec2.SecurityGroup" | "ec2.DefaultSecurityGroup" if resource.items("ingress"):
            yield Finding(resource, f"{resource.name} has inbound rules")
        case "vpc.SecurityGroupIngressRule":
            yield Finding(resource, f"{resource.name} is an inbound rule")
        case "ec2.SecurityGroupRule" if resource.get("type") == "ingress":
            yield Finding(resource, f"{resource.name} is an inbound rule")


def only_https_out(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield rules that let more out than TCP to the allowed ports."""
    ports = {int(p) for p in options["ports"]}
    rules: list[Any] = []
    protocol = "protocol"
    if resource.kind in GROUPS:
        rules = resource.items("egress")
    elif resource.kind == "vpc.SecurityGroupEgressRule":
        rules, protocol = [resource.properties], "ipProtocol"
    elif resource.kind == "ec2.SecurityGroupRule" and resource.get("type") == "egress":
        rules = [resource.properties]
    if not all(_https(rule, ports, protocol) for rule in rules):
        listed = ", ".join(str(p) for p in sorted(ports))
        yield Finding(resource, f"{resource.name} lets out more than TCP to port {listed}")


def own_group(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield workers and finders in security groups that are not the plan's."""
    for resource in plan.of("ec2.LaunchTemplate", "ec2.Instance", "scheduler.Schedule"):
        ids, path = _groups(resource)
        if ids is UNKNOWN:
            if not plan.behind(resource, path, "ec2.SecurityGroup"):
                yield Finding(resource, f"{resource.name} has security groups that are not made from this plan's")
            continue
        own = {g.get("id") for g in plan.of("ec2.SecurityGroup") if _same_side(g, resource)} - {UNKNOWN}
        made_from = {g.get("id") for g in plan.behind(resource, path, "ec2.SecurityGroup")}
        wrong = [str(i) for i in ids if i not in own and not (i is UNKNOWN and UNKNOWN in made_from)]
        if wrong:
            yield Finding(resource, f"{resource.name} is in security group {', '.join(wrong)}, not in this plan's")
        elif not ids:
            yield Finding(resource, f"{resource.name} names no security group, so the VPC's default one applies")


def imdsv2(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield instances whose metadata can be read without a token or from another hop."""
    if resource.kind not in ("ec2.LaunchTemplate", "ec2.Instance"):
        return
    if resource.get("metadataOptions.httpTokens") not in ("required", UNKNOWN):
        yield Finding(resource, f"{resource.name} answers metadata requests without a token (IMDSv1)")
    elif resource.get("metadataOptions.httpPutResponseHopLimit") not in (1, "1", UNKNOWN):
        # Without a limit of its own a machine has its image's: Amazon Linux 2023 allows two hops (EC2 User Guide,
        # "Configure the instance metadata options").
        yield Finding(resource, f"{resource.name} answers metadata requests from more than one hop away")


def _groups(resource: Resource) -> tuple[Any, str]:
    """Return the ids of a holder's security groups and the property that holds them; `UNKNOWN` while not known."""
    if resource.kind == "scheduler.Schedule":
        path = "target.ecsParameters.networkConfiguration.securityGroups"
        value = resource.get(path)
        return (UNKNOWN if value is UNKNOWN else resource.items(path)), "target"
    if resource.get("networkInterfaces") is UNKNOWN:
        return UNKNOWN, "networkInterfaces"
    found: list[Any] = list(resource.items("vpcSecurityGroupIds"))
    for interface in resource.items("networkInterfaces"):
        groups = interface.get("securityGroups") if isinstance(interface, Mapping) else UNKNOWN
        if groups is UNKNOWN:
            return UNKNOWN, "networkInterfaces"
        found += groups or []
    return found, "networkInterfaces"


def _https(rule: Any, ports: set[int], protocol: str) -> bool:
    if rule is UNKNOWN:
        return True
    if not isinstance(rule, Mapping):
        return False
    low, high = rule.get("fromPort"), rule.get("toPort")
    if UNKNOWN in (low, high, rule.get(protocol)):
        return True
    if low is None or high is None:
        return False
    # The engine's numbers are floating-point ones, and a provider's may be text.
    first, last = float(str(low)), float(str(high))
    return str(rule.get(protocol)).lower() in ("tcp", "6") and first == last and first in ports


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn


RULES = (
    Rule(
        name="no-inbound-rule",
        what="No security group lets a connection in.",
        why="Worker and finder only call out; machines with the peer's key in memory need no open port.",
        remedy="Remove the rule. Use Session Manager to enter a machine, which needs none.",
        each=no_inbound,
    ),
    Rule(
        name="https-out-only",
        what="Security groups let out TCP to port 443, and nothing else.",
        why="Everything that worker and finder call answers HTTPS. Any other port is a way for data to leave.",
        remedy="Narrow the egress rule to TCP 443, or name the port of your proxy in `ports`.",
        each=only_https_out,
        options={
            "ports": Option(
                default=[443],
                help="TCP ports that security groups may let out to.",
                schema={"type": "array", "items": {"type": "integer"}},
            )
        },
    ),
    Rule(
        name="own-security-group",
        what="Workers and finder are in the security group of this plan alone.",
        why="The rules of a group that is made elsewhere are not reviewed here, and groups add up: one with an open"
        " port opens the machine.",
        remedy="Give the launch template and the schedule the security group of this plan.",
        all=own_group,
    ),
    Rule(
        name="imdsv2",
        what="Instances give their metadata to holders of a token only, one hop away.",
        why="The role's credentials are in the metadata, and through the role the peer's key: a request that a worker"
        " is tricked into making must not fetch them.",
        remedy="Set metadataOptions.httpTokens to required and httpPutResponseHopLimit to 1.",
        each=imdsv2,
    ),
)
