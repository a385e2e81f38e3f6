"""The provider's functions that the program calls, by token."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sandbox.provider.base import Account, Properties


class AbsentError(LookupError):
    """There is not exactly one of what a function looks up. The text is the provider's."""


Lookup = Callable[[Account, Properties], Properties]
LOOKUPS: dict[str, Lookup] = {}
"""Functions by token."""


def function_of(token: str) -> Callable[[Lookup], Lookup]:
    """Register a function as the answer to `token`."""

    def register(function: Lookup) -> Lookup:
        LOOKUPS[token] = function
        return function

    return register


def _filters(args: Properties) -> list[dict[str, Any]]:
    filters = [{"Name": f["name"], "Values": list(f["values"])} for f in args.get("filters") or ()]
    return filters + [{"Name": f"tag:{k}", "Values": [v]} for k, v in (args.get("tags") or {}).items()]


@function_of("aws:index/getCallerIdentity:getCallerIdentity")
def caller_identity(account: Account, args: Properties) -> Properties:
    who = account.client("sts").get_caller_identity()
    return {"accountId": who["Account"], "arn": who["Arn"], "userId": who["UserId"], "id": who["Account"]}


@function_of("aws:iam/getSessionContext:getSessionContext")
def session_context(account: Account, args: Properties) -> Properties:
    """Return the role of a session with its path; an ARN of another kind is its own issuer."""
    arn = args["arn"]
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    name, _, session = rest.partition("/")
    role = account.client("iam").get_role(RoleName=name)["Role"] if kind == "assumed-role" else None
    return {
        "id": arn,
        "arn": arn,
        "issuerArn": role["Arn"] if role else arn,
        "issuerId": role["RoleId"] if role else "",
        "issuerName": name if role else "",
        "sessionName": session if role else "",
    }


@function_of("aws:index/getRegion:getRegion")
def region(account: Account, args: Properties) -> Properties:
    return {"id": account.region, "region": account.region, "name": account.region, "description": account.region}


@function_of("aws:index/getPartition:getPartition")
def partition(account: Account, args: Properties) -> Properties:
    reverse = ".".join(reversed(account.dns_suffix.split(".")))
    return {
        "id": account.partition,
        "partition": account.partition,
        "dnsSuffix": account.dns_suffix,
        "reverseDnsPrefix": reverse,
    }


@function_of("aws:kms/getPublicKey:getPublicKey")
def public_key(account: Account, args: Properties) -> Properties:
    key = account.client("kms").get_public_key(KeyId=args["keyId"])
    return {
        "id": args["keyId"],
        "keyId": args["keyId"],
        "arn": args["keyId"],
        "region": account.region,
        "customerMasterKeySpec": key["KeySpec"] if "KeySpec" in key else key["CustomerMasterKeySpec"],
        "keyUsage": key["KeyUsage"],
        "publicKey": base64.b64encode(key["PublicKey"]).decode(),
        "publicKeyPem": "",
        "encryptionAlgorithms": key.get("EncryptionAlgorithms", []),
        "signingAlgorithms": key.get("SigningAlgorithms", []),
    }


@function_of("aws:s3/getBucket:getBucket")
def bucket(account: Account, args: Properties) -> Properties:
    name = args["bucket"]
    try:
        account.client("s3").head_bucket(Bucket=name)
    except ClientError as e:
        raise LookupError(f"reading S3 Bucket ({name}): couldn't find resource ({e})") from None
    domain = f"{name}.s3.{account.dns_suffix}"
    arn = f"arn:{account.partition}:s3:::{name}"
    return {"id": name, "bucket": name, "arn": arn, "bucketDomainName": domain, "bucketRegion": account.region}


@function_of("aws:ssm/getParameter:getParameter")
def parameter(account: Account, args: Properties) -> Properties:
    found = account.client("ssm").get_parameter(Name=args["name"], WithDecryption=args.get("withDecryption", True))[
        "Parameter"
    ]
    return {
        "id": found["Name"],
        "name": found["Name"],
        "arn": found["ARN"],
        "type": found["Type"],
        "value": found["Value"],
        "insecureValue": found["Value"],
        "version": found["Version"],
    }


@function_of("aws:index/getAvailabilityZones:getAvailabilityZones")
def availability_zones(account: Account, args: Properties) -> Properties:
    found = account.client("ec2").describe_availability_zones(Filters=_filters(args))["AvailabilityZones"]
    return {
        "id": account.region,
        "region": account.region,
        "names": [zone["ZoneName"] for zone in found],
        "zoneIds": [zone["ZoneId"] for zone in found],
        "groupNames": sorted({zone.get("GroupName", "") for zone in found}),
    }


@function_of("aws:ec2/getInstanceType:getInstanceType")
def instance_type(account: Account, args: Properties) -> Properties:
    name = args["instanceType"]
    (found,) = account.client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
    return {
        "id": name,
        "instanceType": name,
        "region": account.region,
        "supportedArchitectures": found["ProcessorInfo"]["SupportedArchitectures"],
        "supportedUsagesClasses": found.get("SupportedUsageClasses", []),
    }


@function_of("aws:ec2/getAmi:getAmi")
def machine_image(account: Account, args: Properties) -> Properties:
    found = account.client("ec2").describe_images(Filters=_filters(args))["Images"]
    if not found:
        raise AbsentError("Your query returned no results. Please change your search criteria and try again.")
    (one,) = found
    return {
        "id": one["ImageId"],
        "imageId": one["ImageId"],
        "region": account.region,
        "architecture": one["Architecture"],
        "rootDeviceName": one["RootDeviceName"],
        "blockDeviceMappings": [
            {
                "deviceName": mapping["DeviceName"],
                "ebs": {"volume_size": str(mapping["Ebs"].get("VolumeSize", 0))} if "Ebs" in mapping else {},
                "noDevice": mapping.get("NoDevice", ""),
                "virtualName": mapping.get("VirtualName", ""),
            }
            for mapping in one.get("BlockDeviceMappings", ())
        ],
    }


@function_of("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
def instance_type_offerings(account: Account, args: Properties) -> Properties:
    pages = account.client("ec2").get_paginator("describe_instance_type_offerings")
    wanted = {"LocationType": args["locationType"], "Filters": _filters(args)}
    found = [one for page in pages.paginate(**wanted) for one in page["InstanceTypeOfferings"]]
    if not found:
        # moto has no offerings of the China regions, so every instance type is offered in every zone there.
        zones = {subnet["AvailabilityZoneId"] for subnet in account.client("ec2").describe_subnets()["Subnets"]}
        (name,) = [value for f in wanted["Filters"] for value in f["Values"]]
        found = [
            {"InstanceType": name, "Location": zone, "LocationType": args["locationType"]} for zone in sorted(zones)
        ]
    return {
        "id": account.region,
        "region": account.region,
        "locationType": args["locationType"],
        "instanceTypes": [one["InstanceType"] for one in found],
        "locations": [one["Location"] for one in found],
        "locationTypes": [one["LocationType"] for one in found],
    }


@function_of("aws:ec2/getVpcEndpoint:getVpcEndpoint")
def vpc_endpoint(account: Account, args: Properties) -> Properties:
    names = {"vpcId": "vpc-id", "serviceName": "service-name", "vpcEndpointType": "vpc-endpoint-type"}
    filters = [{"Name": name, "Values": [args[key]]} for key, name in names.items() if args.get(key)]
    found = account.client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    if len(found) != 1:
        raise AbsentError("multiple EC2 VPC Endpoints matched" if found else "no matching EC2 VPC Endpoint found")
    (one,) = found
    return {
        "id": one["VpcEndpointId"],
        "region": account.region,
        "vpcId": one["VpcId"],
        "serviceName": one["ServiceName"],
        "vpcEndpointType": one["VpcEndpointType"],
        "routeTableIds": one.get("RouteTableIds", []),
        "tags": {t["Key"]: t["Value"] for t in one.get("Tags", ())},
    }


@function_of("aws:ec2/getVpcs:getVpcs")
def vpcs(account: Account, args: Properties) -> Properties:
    found = account.client("ec2").describe_vpcs(Filters=_filters(args))["Vpcs"]
    return {"id": account.region, "ids": [v["VpcId"] for v in found]}


@function_of("aws:ec2/getSubnets:getSubnets")
def subnets(account: Account, args: Properties) -> Properties:
    # moto does not support the filter by a zone's id.
    filters = _filters(args)
    zones = [v for f in filters if f["Name"] == "availability-zone-id" for v in f["Values"]]
    known = [f for f in filters if f["Name"] != "availability-zone-id"]
    found = account.client("ec2").describe_subnets(Filters=known)["Subnets"]
    return {
        "id": account.region,
        "ids": [s["SubnetId"] for s in found if not zones or s["AvailabilityZoneId"] in zones],
    }


@function_of("aws:ec2/getRouteTables:getRouteTables")
def route_tables(account: Account, args: Properties) -> Properties:
    filters = _filters(args)
    if args.get("vpcId"):
        filters.append({"Name": "vpc-id", "Values": [args["vpcId"]]})
    found = account.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    return {"id": account.region, "ids": [t["RouteTableId"] for t in found]}


@function_of("aws:ec2/getRouteTable:getRouteTable")
def route_table(account: Account, args: Properties) -> Properties:
    (found,) = account.client("ec2").describe_route_tables(RouteTableIds=[args["routeTableId"]])["RouteTables"]
    id = found["RouteTableId"]
    return {
        "id": id,
        "arn": account.arn("ec2", f"route-table/{id}"),
        "routeTableId": id,
        "vpcId": found["VpcId"],
        "ownerId": account.account_id,
        "associations": [
            {
                "main": a.get("Main", False),
                "gatewayId": a.get("GatewayId", ""),
                "routeTableAssociationId": a["RouteTableAssociationId"],
                "routeTableId": id,
                "subnetId": a.get("SubnetId", ""),
            }
            for a in found["Associations"]
        ],
        # The provider leaves the local route out.
        "routes": [as_route(r) for r in found["Routes"] if r.get("GatewayId") != "local"],
        "tags": {t["Key"]: t["Value"] for t in found.get("Tags", ())},
    }


_TARGETS = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "transitGatewayId": "TransitGatewayId",
    "instanceId": "InstanceId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "carrierGatewayId": "CarrierGatewayId",
    "localGatewayId": "LocalGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
}


def as_route(route: dict[str, Any]) -> Properties:
    """Return a route of EC2 as the provider shows it."""
    found = {name: route.get(key, "") for name, key in _TARGETS.items()}
    # EC2 names an endpoint as a gateway, and the provider does not.
    endpoint = found["gatewayId"] if found["gatewayId"].startswith("vpce-") else ""
    return {**found, "vpcEndpointId": endpoint, "gatewayId": "" if endpoint else found["gatewayId"]}
