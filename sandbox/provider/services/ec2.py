"""EC2: launch templates, security groups, endpoints."""

from __future__ import annotations

from typing import Any

from sandbox.provider import types
from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = (
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidGroup.NotFound",
    "InvalidVpcEndpointId.NotFound",
)


def _tags(inputs: Properties, kind: str) -> list[dict[str, Any]]:
    tags = tag_list(inputs)
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def retag_ec2(resource: Resource, id: str, old: Properties, new: Properties) -> None:
    """Return the tags of a resource."""
    ec2 = resource.account.client("ec2")
    added, removed = retag(old, new)
    if added:
        ec2.create_tags(Resources=[id], Tags=tag_list({"tagsAll": added}))
    if removed:
        ec2.delete_tags(Resources=[id], Tags=[{"Key": k} for k in removed])


@handles("aws:ec2/launchTemplate:LaunchTemplate")
class LaunchTemplate(Resource):
    """Launch template. Each change of its data is a new version, with `updateDefaultVersion` the default one."""

    replaces = frozenset({"name", "namePrefix"})
    autonamed = "name"
    besides = frozenset({"name", "tags", "tagsAll", "updateDefaultVersion", "region", "defaultVersion"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("ec2").create_launch_template(
            LaunchTemplateName=inputs["name"],
            LaunchTemplateData=self._data(inputs),
            TagSpecifications=_tags(inputs, "launch-template"),
            **present(VersionDescription=inputs.get("description")),
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def read(self, id: str, state: Properties) -> Properties | None:
        ec2 = self.account.client("ec2")
        answer = found(ec2.describe_launch_templates, GONE, LaunchTemplateIds=[id])
        if not answer or not answer["LaunchTemplates"]:
            return None
        template = answer["LaunchTemplates"][0]
        latest = ec2.describe_launch_template_versions(LaunchTemplateId=id, Versions=["$Latest"])
        data = latest["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]
        return present(
            arn=self.account.arn("ec2", f"launch-template/{id}"),
            name=template["LaunchTemplateName"],
            defaultVersion=template["DefaultVersionNumber"],
            latestVersion=template["LatestVersionNumber"],
            imageId=data.get("ImageId"),
            instanceType=data.get("InstanceType"),
            userData=data.get("UserData"),
            tagsAll=tag_map(tags),
        )

    def update(self, id: str, old: Properties, new: Properties) -> None:
        ec2 = self.account.client("ec2")
        data = {k for k in {*old, *new} - self.besides if types.has(self.token, k)}
        if any(old.get(k) != new.get(k) for k in data):
            made = ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData=self._data(new))
            if new.get("updateDefaultVersion"):
                version = str(made["LaunchTemplateVersion"]["VersionNumber"])
                ec2.modify_launch_template(LaunchTemplateId=id, DefaultVersion=version)
        retag_ec2(self, id, old, new)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("ec2").delete_launch_template, GONE, LaunchTemplateId=id)

    def _data(self, inputs: Properties) -> dict[str, Any]:
        profile, options = inputs.get("iamInstanceProfile"), inputs.get("metadataOptions")
        return present(
            ImageId=inputs.get("imageId"),
            InstanceType=inputs.get("instanceType"),
            UserData=inputs.get("userData"),
            EbsOptimized=_flag(inputs.get("ebsOptimized")),
            InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
            IamInstanceProfile=profile and present(Arn=profile.get("arn"), Name=profile.get("name")),
            Monitoring=inputs.get("monitoring") and {"Enabled": inputs["monitoring"]["enabled"]},
            MetadataOptions=options
            and present(
                HttpTokens=options.get("httpTokens"),
                HttpEndpoint=options.get("httpEndpoint"),
                HttpPutResponseHopLimit=options.get("httpPutResponseHopLimit"),
                InstanceMetadataTags=options.get("instanceMetadataTags"),
            ),
            NetworkInterfaces=[
                present(
                    DeviceIndex=i.get("deviceIndex"),
                    AssociatePublicIpAddress=_flag(i.get("associatePublicIpAddress")),
                    DeleteOnTermination=_flag(i.get("deleteOnTermination")),
                    Groups=i.get("securityGroups"),
                )
                for i in inputs.get("networkInterfaces") or ()
            ]
            or None,
            BlockDeviceMappings=[
                {
                    "DeviceName": m["deviceName"],
                    "Ebs": present(
                        VolumeSize=m["ebs"].get("volumeSize"),
                        VolumeType=m["ebs"].get("volumeType"),
                        Encrypted=_flag(m["ebs"].get("encrypted")),
                        DeleteOnTermination=_flag(m["ebs"].get("deleteOnTermination")),
                    ),
                }
                for m in inputs.get("blockDeviceMappings") or ()
            ]
            or None,
            TagSpecifications=[
                {
                    "ResourceType": t["resourceType"],
                    "Tags": [{"Key": k, "Value": v} for k, v in sorted(t["tags"].items())],
                }
                for t in inputs.get("tagSpecifications") or ()
            ]
            or None,
        )


def _flag(value: Any) -> bool | None:
    return None if value in (None, "") else value in (True, "true")


@handles("aws:ec2/securityGroup:SecurityGroup")
class SecurityGroup(Resource):
    """Security group with exactly the given rules, also none; AWS's default egress rule is removed first."""

    replaces = frozenset({"name", "namePrefix", "description", "vpcId"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        ec2 = self.account.client("ec2")
        made = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs.get("description", "Managed by Pulumi"),
            TagSpecifications=_tags(inputs, "security-group"),
            **present(VpcId=inputs.get("vpcId")),
        )
        id = str(made["GroupId"])
        group = ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"][0]
        if group["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=id, IpPermissions=group["IpPermissionsEgress"])
        self._rules(id, {}, inputs)
        return id

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("ec2").describe_security_groups, GONE, GroupIds=[id])
        if not answer or not answer["SecurityGroups"]:
            return None
        group = answer["SecurityGroups"][0]
        return {
            "arn": self.account.arn("ec2", f"security-group/{id}"),
            "name": group["GroupName"],
            "description": group["Description"],
            "vpcId": group["VpcId"],
            "ownerId": self.account.account_id,
            "ingress": [_from_permission(p) for p in group["IpPermissions"]],
            "egress": [_from_permission(p) for p in group["IpPermissionsEgress"]],
            "tagsAll": tag_map(group.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._rules(id, old, new)
        retag_ec2(self, id, old, new)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("ec2").delete_security_group, GONE, GroupId=id)

    def _rules(self, id: str, old: Properties, new: Properties) -> None:
        ec2 = self.account.client("ec2")
        for way in ("ingress", "egress"):
            before, after = old.get(way) or [], new.get(way) or []
            if gone := [_to_permission(r) for r in before if r not in after]:
                getattr(ec2, f"revoke_security_group_{way}")(GroupId=id, IpPermissions=gone)
            if added := [_to_permission(r) for r in after if r not in before]:
                getattr(ec2, f"authorize_security_group_{way}")(GroupId=id, IpPermissions=added)


def _to_permission(rule: Properties) -> dict[str, Any]:
    described = present(Description=rule.get("description"))
    return present(
        IpProtocol=rule["protocol"],
        FromPort=rule["fromPort"],
        ToPort=rule["toPort"],
        IpRanges=[{"CidrIp": c, **described} for c in rule.get("cidrBlocks") or ()] or None,
        Ipv6Ranges=[{"CidrIpv6": c, **described} for c in rule.get("ipv6CidrBlocks") or ()] or None,
    )


def _from_permission(permission: dict[str, Any]) -> Properties:
    ranges = permission.get("IpRanges", [])
    return present(
        protocol=permission["IpProtocol"],
        fromPort=permission.get("FromPort", 0),
        toPort=permission.get("ToPort", 0),
        cidrBlocks=[r["CidrIp"] for r in ranges] or None,
        description=next((r["Description"] for r in ranges if r.get("Description")), None),
    )


@handles("aws:ec2/vpcEndpoint:VpcEndpoint")
class VpcEndpoint(Resource):
    replaces = frozenset(
        {"vpcId", "serviceName", "vpcEndpointType"} | {"serviceRegion", "serviceNetworkArn", "resourceConfigurationArn"}
    )
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("ec2").create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs.get("vpcEndpointType", "Gateway"),
            TagSpecifications=_tags(inputs, "vpc-endpoint"),
            **present(RouteTableIds=inputs.get("routeTableIds"), PolicyDocument=inputs.get("policy")),
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("ec2").describe_vpc_endpoints, GONE, VpcEndpointIds=[id])
        live = [e for e in (answer or {}).get("VpcEndpoints", ()) if e["State"].lower() != "deleted"]
        if not live:
            return None
        return {
            "arn": self.account.arn("ec2", f"vpc-endpoint/{id}"),
            "vpcId": live[0]["VpcId"],
            "serviceName": live[0]["ServiceName"],
            "vpcEndpointType": live[0]["VpcEndpointType"],
            "routeTableIds": live[0].get("RouteTableIds", []),
            "tagsAll": tag_map(live[0].get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        before, after = set(old.get("routeTableIds") or ()), set(new.get("routeTableIds") or ())
        if changed(old, new, "routeTableIds"):
            self.account.client("ec2").modify_vpc_endpoint(
                VpcEndpointId=id,
                **present(
                    AddRouteTableIds=sorted(after - before) or None,
                    RemoveRouteTableIds=sorted(before - after) or None,
                ),
            )
        retag_ec2(self, id, old, new)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("ec2").delete_vpc_endpoints, GONE, VpcEndpointIds=[id])
