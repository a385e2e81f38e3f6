"""Test the network: the choice of subnets, refusals, and a security group without ingress."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.side_options import Network as NetworkOptions
from dualsync.components.network import Network
from dualsync.runtime.settings import SideName
from tests.unit.components.parts import CLOSED, PRIVATE, VPC, World, deploy, pair, route


def network(world: World, **options: object) -> tuple[Network, World]:
    return network_of(SideName.CN, world, NetworkOptions(**options)), world  # type: ignore[arg-type]


def network_of(side: SideName, world: World, wanted: NetworkOptions) -> Network:
    made: list[Network] = []
    model = pair(network=wanted)
    model = replace(model, global_=replace(model.global_, network=wanted))
    deploy(lambda context: made.append(Network(context)), world, model, side)
    return made[0]


def test_default_vpc_uses_every_subnet_with_internet_egress() -> None:
    made, _ = network(World())
    assert made.vpc_id == VPC
    assert made.subnet_ids == ("subnet-a", "subnet-b")
    assert made.public_ip


def test_without_public_addresses_only_nat_gives_internet_egress() -> None:
    made, _ = network(World(), public_ip=False)
    assert made.subnet_ids == ("subnet-b",)
    assert not made.public_ip


EACH = {
    "internet gateway": {"gatewayId": "igw-1"},
    "NAT gateway": {"natGatewayId": "nat-1"},
    "NAT instance": {"networkInterfaceId": "eni-1", "instanceId": "i-1"},
    "transit gateway": {"transitGatewayId": "tgw-1"},
    "cloud WAN": {"coreNetworkArn": "arn:aws:networkmanager::111111111111:core-network/core-network-1"},
    "firewall": {"vpcEndpointId": "vpce-1"},
    "private gateway": {"gatewayId": "vgw-1"},
    "local gateway": {"localGatewayId": "lgw-1"},
    "peering": {"vpcPeeringConnectionId": "pcx-1"},
}
"""Targets of a subnet's default route, by what they are."""


def leading_to(*targets: str) -> World:
    """Return a network of subnets whose default routes have these targets."""
    subnets = ["subnet-a", "subnet-b"][: len(targets)]
    tables = [route(f"rtb-{s}", EACH[t], subnet=s) for s, t in zip(subnets, targets, strict=True)]
    return World(subnets=subnets, tables=tables)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("target", EACH)
def test_machines_get_public_addresses_where_the_route_leads_to_an_internet_gateway(target: str, named: bool) -> None:
    given = {"subnet_ids": ("subnet-a",)} if named else {}
    made, _ = network(leading_to(target), **given)
    assert made.subnet_ids == ("subnet-a",)
    assert made.public_ip is (target == "internet gateway")


@pytest.mark.parametrize("target", EACH)
def test_a_given_choice_of_addresses_wins(target: str) -> None:
    assert network(leading_to(target), public_ip=True)[0].public_ip is True
    if target != "internet gateway":
        assert network(leading_to(target), public_ip=False)[0].public_ip is False


@pytest.mark.parametrize("named", [(), ("subnet-a", "subnet-b")])
def test_subnets_of_both_kinds_get_addresses_and_a_note(
    named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("pulumi.log.info", notes.append)
    made, _ = network(leading_to("internet gateway", "NAT gateway"), subnet_ids=named)
    assert (made.subnet_ids, made.public_ip) == (("subnet-a", "subnet-b"), True)
    assert notes == [
        "cn.publicIp: not given, and subnet-a leads to an internet gateway and subnet-b does not, so each worker and"
        " finder task gets a public address; set it, or name subnets of one kind in cn.subnetIds"
    ]
    for given in (True, False):
        network(leading_to("internet gateway", "NAT gateway"), public_ip=given)
    assert len(notes) == 1


def test_subnets_behind_a_firewalls_endpoint_get_no_address_and_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr("pulumi.log.info", notes.append)
    made, _ = network(leading_to("firewall", "NAT gateway"))
    assert made.public_ip is False
    assert notes == [
        "cn.publicIp: not given, and subnet-a leads to a VPC endpoint, behind which an internet gateway can't be seen,"
        " so no public address is assigned; set it to true if the endpoint's firewall has no NAT gateway behind it"
    ]
    made, _ = network(leading_to("firewall", "NAT gateway"), public_ip=True)
    assert made.public_ip is True
    assert len(notes) == 1


def test_the_finder_uses_only_zones_with_fargate() -> None:
    made, _ = network(World(zones={"subnet-a": "cnn1-az3", "subnet-b": "cnn1-az2"}))
    assert made.subnet_ids == ("subnet-a", "subnet-b")
    assert made.finder_subnet_ids == ("subnet-b",)
    with pytest.raises(ConfigError) as e:
        network(World(zones={"subnet-a": "cnn1-az3", "subnet-b": "cnn1-az3"}))
    assert str(e.value) == (
        "cn.subnetIds=['subnet-a', 'subnet-b']: none is in a zone of cn-north-1 in which Fargate runs the finder; give"
        " one in cnn1-az1 or cnn1-az2 besides"
    )


def in_a_local_zone(*subnets: str) -> World:
    """Return a network in us-west-2 with these subnets in a Local Zone, and subnet-b in an Availability Zone."""
    zones = {"subnet-a": "usw2-az1", "subnet-b": "usw2-az2"} | dict.fromkeys(subnets, "usw2-lax1-az1")
    regular = ["usw2-az1", "usw2-az2", "usw2-az3"]
    return World(zones=zones, offered=[*regular, "usw2-lax1-az1"], availability_zones=regular)


def test_a_subnet_of_a_local_zone_is_not_chosen() -> None:
    """Fargate does not run there, and volumes of the workers' type are not in all of them."""
    made = network_of(SideName.GLOBAL, in_a_local_zone("subnet-a"), NetworkOptions())
    assert (made.subnet_ids, made.finder_subnet_ids) == (("subnet-b",), ("subnet-b",))


def test_workers_run_in_a_named_subnet_of_a_local_zone_and_the_finder_does_not() -> None:
    wanted = NetworkOptions(subnet_ids=("subnet-a", "subnet-b"))
    made = network_of(SideName.GLOBAL, in_a_local_zone("subnet-a"), wanted)
    assert (made.subnet_ids, made.finder_subnet_ids) == (("subnet-a", "subnet-b"), ("subnet-b",))
    with pytest.raises(ConfigError) as e:
        network_of(SideName.GLOBAL, in_a_local_zone("subnet-a"), NetworkOptions(subnet_ids=("subnet-a",)))
    assert str(e.value) == (
        "global.subnetIds=['subnet-a']: none is in a zone of us-west-2 in which Fargate runs the finder; give one in"
        " usw2-az1 or usw2-az2 or usw2-az3 besides"
    )


def test_workers_use_only_zones_that_offer_their_instance_type() -> None:
    made, _ = network(World(offered=["cnn1-az2"]))
    assert made.subnet_ids == ("subnet-b",)
    assert made.finder_subnet_ids == ("subnet-a", "subnet-b")


@pytest.mark.parametrize(("offered", "shown"), [(["cnn1-az9", "cnn1-az8"], "cnn1-az8, cnn1-az9"), ([], "no zone")])
def test_an_instance_type_that_no_subnets_zone_offers_is_refused(offered: list[str], shown: str) -> None:
    world = World(offered=offered)
    with pytest.raises(ConfigError) as e:
        network(world)
    assert str(e.value) == (
        f"cn.instanceType='t4g.micro': is offered in {shown}, and no subnet of subnet-a, subnet-b is there; give"
        " another type, or a subnet in one of its zones as cn.subnetIds"
    )
    assert world.of("SecurityGroup") == []


def test_the_security_group_allows_only_outgoing_https() -> None:
    _, world = network(World())
    group = world.one("SecurityGroup")
    assert group.inputs["ingress"] == []
    assert [(rule["protocol"], rule["fromPort"], rule["toPort"]) for rule in group.inputs["egress"]] == [
        ("tcp", 443, 443)
    ]
    assert group.name == "dth-dual-cn-security-group"


HTTPS_OUT = {
    "description": "HTTPS to AWS in both partitions",
    "protocol": "tcp",
    "fromPort": 443,
    "toPort": 443,
    "cidrBlocks": ["0.0.0.0/0"],
}


def proxy_out(port: int, block: str) -> dict[str, object]:
    return {"description": "Proxy", "protocol": "tcp", "fromPort": port, "toPort": port, "cidrBlocks": [block]}


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        pytest.param({}, [HTTPS_OUT], id="none"),
        pytest.param({"fips_endpoints": True}, [HTTPS_OUT], id="fips"),
        pytest.param(
            {"https_proxy": "http://proxy.example:3128"}, [HTTPS_OUT, proxy_out(3128, "0.0.0.0/0")], id="name"
        ),
        pytest.param(
            {"https_proxy": "https://10.0.0.7:8443"}, [HTTPS_OUT, proxy_out(8443, "10.0.0.7/32")], id="address"
        ),
        pytest.param({"https_proxy": "https://proxy.example:443"}, [HTTPS_OUT], id="the same port"),
        pytest.param({"dual_stack_endpoints": True}, [HTTPS_OUT | {"ipv6CidrBlocks": ["::/0"]}], id="dual stack"),
    ],
)
def test_the_security_group_lets_out_https_and_the_proxys_port(
    options: dict[str, object], rules: list[dict[str, object]]
) -> None:
    _, world = network(World(), **options)
    assert world.one("SecurityGroup").inputs["egress"] == rules


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("world", "options", "subnets", "public_ip"),
    [
        pytest.param(World(), {"subnet_ids": ("subnet-c",)}, ("subnet-c",), False, id="no route"),
        pytest.param(
            World(), {"subnet_ids": ("subnet-a",), "public_ip": False}, ("subnet-a",), False, id="no public addresses"
        ),
        pytest.param(World(tables=[CLOSED], subnets=["subnet-c"]), {}, ("subnet-c",), False, id="closed vpc"),
        pytest.param(World(), {}, ("subnet-a", "subnet-b"), True, id="subnets that lead out first"),
    ],
)
def test_with_a_proxy_no_route_to_the_internet_is_needed(
    world: World, options: dict[str, object], subnets: tuple[str, ...], public_ip: bool
) -> None:
    world.zones = {**world.zones, "subnet-c": "cnn1-az1"}
    made, _ = network(world, https_proxy=PROXY, **options)
    assert (made.subnet_ids, made.public_ip) == (subnets, public_ip)


def test_with_a_proxy_a_subnet_of_another_vpc_is_still_refused() -> None:
    with pytest.raises(ConfigError, match=f"no subnet of {VPC}"):
        network(World(), https_proxy=PROXY, subnet_ids=("subnet-z",))


def test_gateway_endpoints_use_the_route_tables_of_the_chosen_subnets() -> None:
    assert network(World())[1].of("VpcEndpoint") == []
    _, world = network(World(), gateway_endpoints=True, subnet_ids=("subnet-b",))
    assert {(e.inputs["serviceName"], *e.inputs["routeTableIds"]) for e in world.of("VpcEndpoint")} == {
        ("com.amazonaws.cn-north-1.s3", "rtb-nat"),
        ("com.amazonaws.cn-north-1.dynamodb", "rtb-nat"),
    }


OWN = {"dualsync:pair": "dth-dual", "dualsync:side": "cn"}


@pytest.mark.parametrize(
    ("tags", "tables", "wanted"),
    [
        ({}, ["rtb-main", "rtb-nat"], None),
        ({"dualsync:pair": "photos", "dualsync:side": "cn"}, ["rtb-main", "rtb-nat", "rtb-x"], None),
        ({}, ["rtb-main"], ["rtb-nat"]),
        ({}, ["rtb-x"], ["rtb-main", "rtb-nat"]),
        (OWN, ["rtb-main", "rtb-nat"], ["rtb-main", "rtb-nat"]),
    ],
)
def test_a_route_table_with_another_endpoint_is_left_alone(
    tags: dict[str, str], tables: list[str], wanted: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 refuses a second route to one service in a table, so that `up` would end in the middle."""
    notes: list[str] = []
    monkeypatch.setattr("pulumi.log.info", notes.append)
    there = {"id": "vpce-1", "tags": tags, "routeTableIds": tables}
    _, world = network(World(endpoints={"s3": there}), gateway_endpoints=True, public_ip=True)
    made = {e.inputs["serviceName"].rpartition(".")[2]: e.inputs["routeTableIds"] for e in world.of("VpcEndpoint")}
    both = ["rtb-main", "rtb-nat"]
    assert made == {"dynamodb": both} | ({"s3": wanted} if wanted else {})
    assert ["vpce-1" in note for note in notes] == ([] if wanted == both else [True])


@pytest.mark.parametrize(
    ("world", "options", "words"),
    [
        pytest.param(
            World(vpcs=[]), {}, ["cn.vpcId", "no default VPC in cn-north-1", "create-default-vpc"], id="no vpc"
        ),
        pytest.param(
            World(),
            {"subnet_ids": ("subnet-c",)},
            ["cn.subnetIds='subnet-c'", "rtb-closed has none to 0.0.0.0/0", "add a route"],
            id="no route",
        ),
        pytest.param(
            World(),
            {"subnet_ids": ("subnet-a",), "public_ip": False},
            ["internet gateway igw-1", "set cn.publicIp to true"],
            id="public subnet without addresses",
        ),
        pytest.param(
            World(), {"subnet_ids": ("subnet-z",)}, ["subnet-z", f"no subnet of {VPC}", "give subnets"], id="stranger"
        ),
        pytest.param(
            World(tables=[CLOSED], subnets=["subnet-c"]),
            {},
            [f"cn.vpcId='{VPC}'", "none of its subnets has a route to the internet", "NAT gateway"],
            id="closed vpc",
        ),
        pytest.param(
            World(tables=[PRIVATE], subnets=["subnet-a"]),
            {},
            ["none of its subnets has a route to the internet"],
            id="no table",
        ),
    ],
)
def test_an_unusable_network_is_refused_before_anything_is_registered(
    world: World, options: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        network(world, **options)
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)
    assert world.of("SecurityGroup") == []
