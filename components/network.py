"""Choose where worker and finder run: subnets with a route to the internet, and no inbound rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components.config import egress
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import SideModel
from dualsync.components.config.names import PAIR_TAG
from dualsync.components.context import SideContext

ANYWHERE = "0.0.0.0/0"
ANYWHERE_IPV6 = "::/0"

FARGATE_ZONES = {
    "ap-northeast-1": ("apne1-az1", "apne1-az2", "apne1-az4"),
    "cn-north-1": ("cnn1-az1", "cnn1-az2"),
    "us-west-1": ("usw1-az1", "usw1-az3"),
}
"""Zones in which Fargate runs, in regions where it is not in all (ECS Developer Guide, Supported Regions)."""

TARGETS = (
    *("gateway_id", "nat_gateway_id", "transit_gateway_id", "network_interface_id", "instance_id"),
    *("vpc_endpoint_id", "vpc_peering_connection_id", "core_network_arn", "local_gateway_id"),
)
"""Fields of a route that name what it leads to (AWS provider, data source `aws_route_table`)."""

GATEWAYS = ("s3", "dynamodb")
"""Services with a gateway endpoint."""

SCHEDULE_SUBNETS = 16
"""Subnets that a schedule takes for its tasks (EventBridge Scheduler API Reference, AwsVpcConfiguration)."""


@dataclass(frozen=True, slots=True)
class Route:
    """A subnet's default route."""

    subnet_id: str
    """The subnet."""
    route_table_id: str
    """Its route table."""
    target: str
    """Target of the default route: an internet gateway, another one, or empty."""

    @property
    def public(self) -> bool:
        """Whether only machines with a public address reach the internet."""
        return self.target.startswith("igw-")

    @property
    def leads_out(self) -> bool:
        """Whether there is a default route. NAT, transit gateway, peering and appliances are not checked further."""
        return bool(self.target)

    @property
    def inspected(self) -> bool:
        """Whether the egress is through an endpoint of a firewall, with a NAT or an internet gateway behind it."""
        return self.target.startswith("vpce-")


class Network(pulumi.ComponentResource):
    """Subnets with a route to the internet, a security group without inbound rules, gateway endpoints.

    A missing route is the most frequent fault of such a deployment, and its only sign would be missing logs. So it is
    an error at preview, before anything is registered. Raises `ConfigError`.
    """

    vpc_id: str
    """The VPC."""
    subnet_ids: tuple[str, ...]
    """Subnets of the workers."""
    finder_subnet_ids: tuple[str, ...]
    """Subnets in which Fargate starts tasks."""
    public_ip: bool
    """Whether workers and finder get public addresses."""
    security_group_id: pulumi.Output[str]
    """Security group of workers and finder."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Network", context.names.of("network"), None, opts)
        wanted = context.local.network
        self.vpc_id = _vpc(context)
        routes = _routes(context, self.vpc_id, self)
        zones = _availability_zones(context, self)
        if not wanted.subnet_ids:
            regular = _in_zones(context, self.vpc_id, tuple(routes), zones, self)
            routes = {subnet_id: routes[subnet_id] for subnet_id in regular} or routes
        chosen = choose(context, self.vpc_id, routes)
        subnet_ids = tuple(sorted(route.subnet_id for route in chosen))
        self.subnet_ids = _for_workers(context, self.vpc_id, subnet_ids, self)
        self.finder_subnet_ids = _for_fargate(context, self.vpc_id, subnet_ids, zones, self)[:SCHEDULE_SUBNETS]
        self.public_ip = needs_addresses(context, chosen)
        tables = sorted({route.route_table_id for route in chosen})
        free = {s: _free(context, self.vpc_id, s, tables, self) for s in GATEWAYS if wanted.gateway_endpoints}

        name = context.names.of("security-group")
        group = aws.ec2.SecurityGroup(
            name,
            name=name,
            description="Worker and finder: out only, nothing in",
            vpc_id=self.vpc_id,
            ingress=[],
            egress=_rules(context.local),
            tags=context.tags("security-group"),
            # Another VPC needs another group, and EC2 refuses to delete the old one while machines are in it.
            opts=context.options(self, delete_before_replace=False),
        )
        self.security_group_id = group.id
        self._endpoints(context, free)
        self.register_outputs(
            {"vpcId": self.vpc_id, "subnetIds": list(self.subnet_ids), "securityGroupId": self.security_group_id}
        )

    def _endpoints(self, context: SideContext, route_table_ids: Mapping[str, list[str]]) -> None:
        """Create gateway endpoints, so that traffic to the side's own bucket passes no NAT gateway, free of charge."""
        for service, free in route_table_ids.items():
            if free:
                aws.ec2.VpcEndpoint(
                    context.names.of(f"{service}-endpoint"),
                    vpc_id=self.vpc_id,
                    service_name=_service_name(context, service),
                    vpc_endpoint_type="Gateway",
                    route_table_ids=free,
                    tags=context.tags(f"{service}-endpoint"),
                    opts=context.options(self),
                )


def _service_name(context: SideContext, service: str) -> str:
    """Return an endpoint's service, named alike in both partitions (VPC guide: Gateway endpoints)."""
    return f"com.amazonaws.{context.region}.{service}"


def _free(
    context: SideContext, vpc_id: str, service: str, route_table_ids: list[str], parent: pulumi.Resource
) -> list[str]:
    """Return the route tables without a route to another gateway endpoint of the service: a table takes one."""
    try:
        found = aws.ec2.get_vpc_endpoint(
            vpc_id=vpc_id,
            service_name=_service_name(context, service),
            vpc_endpoint_type="Gateway",
            opts=context.invoke_options(parent),
        )
    except Exception as e:
        # The provider has no type for it. It does not show several endpoints.
        if "no matching" in str(e) or "multiple" in str(e):
            return route_table_ids
        raise
    own = {PAIR_TAG: context.pair.name, "dualsync:side": str(context.side)}
    taken = sorted({*route_table_ids} & {*found.route_table_ids})
    if not taken or own.items() <= found.tags.items():
        return route_table_ids
    pulumi.log.info(
        f"{context.local.key('gatewayEndpoints')}: {_list(taken, 'leads', 'lead')} to {found.id} already, so no other"
        " endpoint is created there"
    )
    return [table for table in route_table_ids if table not in taken]


def _rules(local: SideModel) -> list[aws.ec2.SecurityGroupEgressArgs]:
    """Return what the security group lets out: HTTPS, and the proxy's port if that is another one."""
    https = aws.ec2.SecurityGroupEgressArgs(
        description="HTTPS to AWS in both partitions",
        protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_blocks=[ANYWHERE],
        ipv6_cidr_blocks=[ANYWHERE_IPV6] if local.network.dual_stack_endpoints else None,
    )
    port = egress.port(local)
    if port is None or port == 443:
        return [https]
    proxy = aws.ec2.SecurityGroupEgressArgs(
        description="Proxy",
        protocol="tcp",
        from_port=port,
        to_port=port,
        cidr_blocks=[egress.address(local) or ANYWHERE],
    )
    return [https, proxy]


def choose(context: SideContext, vpc_id: str, routes: dict[str, Route]) -> list[Route]:
    """Return the subnets to use. Raises `ConfigError` for one that is missing or has no route to the internet.

    With a proxy, a subnet needs a route to the proxy only, which no lookup shows. So each named subnet is taken, and
    all of the VPC if none is named and none leads to the internet.
    """
    wanted = context.local.network
    key = context.local.key
    for subnet_id in wanted.subnet_ids:
        route = routes.get(subnet_id)
        if route is None:
            raise ConfigError(
                key("subnetIds"),
                subnet_id,
                f"is no subnet of {vpc_id} in {context.region}",
                f"give subnets of that VPC, or another {key('vpcId')}",
            )
        if not (wanted.https_proxy or usable(route, wanted.public_ip)):
            raise ConfigError(key("subnetIds"), subnet_id, _fault(route), _remedy(key, route))
    if wanted.subnet_ids:
        return [routes[subnet_id] for subnet_id in wanted.subnet_ids]
    chosen = [route for route in routes.values() if usable(route, wanted.public_ip)]
    if wanted.https_proxy and not chosen:
        chosen = list(routes.values())
    if not chosen:
        raise ConfigError(
            key("vpcId"),
            vpc_id,
            "none of its subnets has a route to the internet, so worker and finder could not reach AWS and the peer",
            f"add an internet gateway or a NAT gateway and a route to it, or give another {key('vpcId')}, or"
            f" {key('httpsProxy')}",
        )
    return chosen


def usable(route: Route, public_ip: bool | None) -> bool:
    """Return whether a machine in the subnet reaches the internet."""
    return route.leads_out and (public_ip is not False or not route.public)


def needs_addresses(context: SideContext, chosen: Sequence[Route]) -> bool:
    """Return whether workers and finder get public addresses: as config gives it, else by the subnets' routes.

    A machine reaches the internet through an internet gateway only with a public address, and has no use for one
    behind a NAT gateway. Subnets of both kinds share one launch template, so all of their machines get one.
    """
    wanted, key = context.local.network.public_ip, context.local.key
    if wanted is not None:
        return wanted
    public = [route.subnet_id for route in chosen if route.public]
    others = [route.subnet_id for route in chosen if not route.public]
    inspected = [route.subnet_id for route in chosen if route.inspected]
    if public and others:
        pulumi.log.info(
            f"{key('publicIp')}: not given, and {_list(public, 'leads', 'lead')} to an internet gateway and"
            f" {_list(others, 'does', 'do')} not, so each worker and finder task gets a public address; set it, or name"
            f" subnets of one kind in {key('subnetIds')}"
        )
    elif inspected:
        pulumi.log.info(
            f"{key('publicIp')}: not given, and {_list(inspected, 'leads', 'lead')} to a VPC endpoint, behind which an"
            " internet gateway can't be seen, so no public address is assigned; set it to true if the endpoint's"
            " firewall has no NAT gateway behind it"
        )
    return bool(public)


def _list(names: Sequence[str], one: str, many: str) -> str:
    """Return names with their verb."""
    return f"{', '.join(sorted(names))} {one if len(names) == 1 else many}"


def _fault(route: Route) -> str:
    if route.public:
        return f"its route leads to the internet gateway {route.target}, which needs public addresses, and they are off"
    return f"has no route to the internet: {route.route_table_id} has none to {ANYWHERE}"


def _remedy(key: Callable[[str], str], route: Route) -> str:
    if route.public:
        return f"set {key('publicIp')} to true, or give a subnet whose route leads to a NAT gateway"
    return f"add a route to an internet or NAT gateway to {route.route_table_id}, or give another subnet"


def _vpc(context: SideContext) -> str:
    given = context.local.network.vpc_id
    if given:
        return given
    found = aws.ec2.get_vpcs(
        filters=[aws.ec2.GetVpcsFilterArgs(name="is-default", values=["true"])], opts=context.invoke_options()
    ).ids
    if not found:
        raise ConfigError(
            context.local.key("vpcId"),
            None,
            f"not given, and account {context.account_id} has no default VPC in {context.region}",
            "give a VPC whose subnets have a route to the internet, or create one with `aws ec2 create-default-vpc`",
        )
    return str(found[0])


def _routes(context: SideContext, vpc_id: str, parent: pulumi.Resource) -> dict[str, Route]:
    """Return each subnet's default route; a subnet without a table of its own follows the VPC's main one."""
    options = context.invoke_options(parent)
    subnets = aws.ec2.get_subnets(
        filters=[aws.ec2.GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id])], opts=options
    ).ids
    tables = [
        aws.ec2.get_route_table(route_table_id=table_id, opts=options)
        for table_id in aws.ec2.get_route_tables(vpc_id=vpc_id, opts=options).ids
    ]
    own: dict[str, aws.ec2.GetRouteTableResult] = {}
    main: aws.ec2.GetRouteTableResult | None = None
    for table in tables:
        for association in table.associations:
            if association.main:
                main = table
            if association.subnet_id:
                own[association.subnet_id] = table
    routes: dict[str, Route] = {}
    for subnet_id in subnets:
        found = own.get(subnet_id, main)
        if found is not None:
            routes[subnet_id] = Route(subnet_id, found.route_table_id, _target(found))
    return routes


def _for_workers(
    context: SideContext, vpc_id: str, subnet_ids: tuple[str, ...], parent: pulumi.Resource
) -> tuple[str, ...]:
    """Return the subnets in zones that offer the instance type. Raises `ConfigError` if there is none.

    In another zone EC2 refuses each launch, and the group repeats it.
    """
    instance_type = context.local.fleet.instance_type
    offered = aws.ec2.get_instance_type_offerings(
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=[instance_type])],
        location_type="availability-zone-id",
        opts=context.invoke_options(parent),
    ).locations
    zones = sorted(offered)
    found = _in_zones(context, vpc_id, subnet_ids, zones, parent)
    if not found:
        raise ConfigError(
            context.local.key("instanceType"),
            instance_type,
            f"is offered in {', '.join(zones) or 'no zone'}, and no subnet of {', '.join(subnet_ids)} is there",
            f"give another type, or a subnet in one of its zones as {context.local.key('subnetIds')}",
        )
    without = [subnet_id for subnet_id in subnet_ids if subnet_id not in found]
    if without:
        pulumi.log.info(
            f"{context.local.key('instanceType')}={instance_type!r}: is not offered in the zone of"
            f" {', '.join(without)}, so no worker is started there"
        )
    return found


def _availability_zones(context: SideContext, parent: pulumi.Resource) -> tuple[str, ...]:
    """Return the region's own zones, without Local Zones and Wavelength Zones.

    Fargate does not run in those (ECS Developer Guide, "Amazon ECS applications in shared subnets, Local Zones, and
    Wavelength Zones"), and not all of them have the workers' type of volume.
    """
    found = aws.get_availability_zones(
        filters=[aws.GetAvailabilityZonesFilterArgs(name="zone-type", values=["availability-zone"])],
        opts=context.invoke_options(parent),
    ).zone_ids
    return tuple(sorted(found))


def _for_fargate(
    context: SideContext, vpc_id: str, subnet_ids: tuple[str, ...], regular: Sequence[str], parent: pulumi.Resource
) -> tuple[str, ...]:
    """Return the subnets in Fargate's zones, of the region's `regular` ones. Raises `ConfigError` if there is none."""
    zones = FARGATE_ZONES.get(context.region, regular)
    found = _in_zones(context, vpc_id, subnet_ids, zones, parent)
    if not found:
        raise ConfigError(
            context.local.key("subnetIds"),
            list(subnet_ids),
            f"none is in a zone of {context.region} in which Fargate runs the finder",
            f"give one in {' or '.join(zones)} besides",
        )
    return found


def _in_zones(
    context: SideContext, vpc_id: str, subnet_ids: tuple[str, ...], zones: Sequence[str], parent: pulumi.Resource
) -> tuple[str, ...]:
    """Return the subnets in some zones. Zones are named by id, as their names differ from account to account."""
    if not zones:
        return ()
    there = aws.ec2.get_subnets(
        filters=[
            aws.ec2.GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id]),
            aws.ec2.GetSubnetsFilterArgs(name="availability-zone-id", values=list(zones)),
        ],
        opts=context.invoke_options(parent),
    ).ids
    return tuple(subnet_id for subnet_id in subnet_ids if subnet_id in there)


def _target(table: aws.ec2.GetRouteTableResult) -> str:
    """Return the target of the table's default route, or nothing."""
    for route in table.routes:
        if route.cidr_block != ANYWHERE:
            continue
        found = (getattr(route, kind, None) for kind in TARGETS)
        return next((str(target) for target in found if target and target != "local"), "")
    return ""
