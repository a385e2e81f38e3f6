"""The requests that IAM evaluates for a call: actions, the ARNs of their resources, and condition keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tools.iam_roles.actions import actions, resource_kinds
from tools.iam_roles.evaluator import Value

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes."""

    partition: str
    """Partition."""

    region: str
    """Region."""

    account: str
    """Account of the caller."""

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """Return an ARN here."""
        place = f"{self.region if region else ''}:{self.account if account else ''}"
        return f"arn:{self.partition}:{service}:{place}:{resource}"


@dataclass(frozen=True, slots=True)
class Target:
    """One action on one resource."""

    action: str
    """The action."""

    resource: str
    """ARN of the resource, or `*`."""

    id: str = ""
    """Id or name by which tags and boundary of an existing resource are known."""

    context: Mapping[str, Value] = field(default_factory=dict)
    """Condition keys that follow from the parameters."""


TAGGING: Mapping[str, str] = {
    "autoscaling:CreateAutoScalingGroup": "autoscaling:CreateOrUpdateTags",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "ecs:CreateCluster": "ecs:TagResource",
    "ecs:RegisterTaskDefinition": "ecs:TagResource",
    "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateRole": "iam:TagRole",
    "iam:CreateUser": "iam:TagUser",
    "kms:CreateKey": "kms:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "secretsmanager:CreateSecret": "secretsmanager:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
}
"""The action that tags in a creation need besides."""

PASSING: Mapping[str, tuple[str, ...]] = {
    "AddRoleToInstanceProfile": ("ec2.amazonaws.com", "RoleName"),
    "RegisterTaskDefinition": ("ecs-tasks.amazonaws.com", "taskRoleArn", "executionRoleArn"),
    "CreateSchedule": ("scheduler.amazonaws.com", "RoleArn"),
    "UpdateSchedule": ("scheduler.amazonaws.com", "RoleArn"),
}
"""Calls that pass roles: the service, and the parameters with the roles."""

EC2_KINDS = {
    "lt-": "launch-template",
    "sg-": "security-group",
    "vpc-": "vpc",
    "vpce-": "vpc-endpoint",
    "rtb-": "route-table",
    "subnet-": "subnet",
}
EC2_MADE = {
    "CreateLaunchTemplate": "launch-template",
    "CreateSecurityGroup": "security-group",
    "CreateVpcEndpoint": "vpc-endpoint",
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "RevokeSecurityGroupEgress": "security-group-rule",
}


def targets(
    service: str, operation: str, parameters: Parameters, place: Place, templates: Mapping[str, Parameters]
) -> Iterator[Target]:
    """Yield what IAM evaluates for a call; nothing for a call that needs no right."""
    tags = tags_of(parameters)
    context: dict[str, Value] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = tuple(tags)
    if "PolicyArn" in parameters:
        context["iam:PolicyARN"] = str(parameters["PolicyArn"])
    for action in sorted(actions(service, [operation])):
        found = list(_on(action, operation, parameters, place))
        yield from (replace(target, context=context) for target in found)
        extra = TAGGING.get(action)
        if tags and extra:
            yield from (replace(target, action=extra, context=context) for target in found)
        if tags and operation in EC2_MADE:
            new = place.arn("ec2", f"{EC2_MADE[operation]}/new")
            yield Target("ec2:CreateTags", new, context={**context, "ec2:CreateAction": operation})
    yield from _passed(operation, parameters, place)
    template = (parameters.get("LaunchTemplate") or {}).get("LaunchTemplateId")
    if operation == "CreateAutoScalingGroup" and template:
        yield from _launched(template, templates[template], place)


def _on(action: str, operation: str, parameters: Parameters, place: Place) -> Iterator[Target]:
    kinds = resource_kinds(action)
    if not kinds:
        yield Target(action, "*")
        return
    service = action.partition(":")[0]
    if service == "ec2":
        for id in _texts(parameters):
            kind = next((kind for start, kind in EC2_KINDS.items() if id.startswith(start)), "")
            if kind in kinds:
                yield Target(action, place.arn("ec2", f"{kind}/{id}"), id)
        if EC2_MADE.get(operation) in kinds:
            yield Target(action, place.arn("ec2", f"{EC2_MADE[operation]}/new"))
        return
    found = [target for kind in kinds for target in _named(action, kind, parameters, place)]
    yield from found or [Target(action, "*")]


def _named(action: str, kind: str, parameters: Parameters, place: Place) -> Iterator[Target]:
    """Yield a call's resources of one kind, by the parameters that name them."""
    service = action.partition(":")[0]
    for name in (
        "ResourceArn",
        "ResourceARN",
        "resourceArn",
        "TopicArn",
        "SubscriptionArn",
        "OpenIDConnectProviderArn",
    ):
        if name in parameters:
            yield Target(action, str(parameters[name]).removesuffix(":*"))
            return
    for wanted, make in _BUILDERS.get((service, kind), ()):
        for value in _values(parameters, wanted):
            arn = value if value.startswith("arn:") and service != "s3" else make(place, value, parameters)
            yield Target(action, arn, value.rpartition("/")[2])


_ARNS = ("ResourceArn", "ResourceARN", "resourceArn", "TopicArn", "SubscriptionArn", "OpenIDConnectProviderArn")
"""Parameters that are the ARN of the one resource of their call."""

Builder = Callable[[Place, str, Parameters], str]


def _simple(service: str, prefix: str = "", suffix: str = "", *, region: bool = True) -> Builder:
    return lambda place, value, _: place.arn(service, f"{prefix}{value}{suffix}", region=region)


def _object(place: Place, value: str, parameters: Parameters) -> str:
    return place.arn("s3", f"{value}/{parameters.get('Key', '')}", region=False, account=False)


def _queue(place: Place, value: str, _: Parameters) -> str:
    return place.arn("sqs", value.rpartition("/")[2])


def _task(place: Place, value: str, _: Parameters) -> str:
    return place.arn("ecs", f"task-definition/{value if ':' in value else f'{value}:1'}")


_GROUP = _simple("autoscaling", "autoScalingGroup:00000000-0000:autoScalingGroupName/")
_BUILDERS: Mapping[tuple[str, str], tuple[tuple[str, Builder], ...]] = {
    ("autoscaling", "autoScalingGroup"): (
        ("AutoScalingGroupName", _GROUP),
        ("AutoScalingGroupNames", _GROUP),
        ("ResourceId", _GROUP),
    ),
    ("cloudwatch", "alarm"): (
        ("AlarmName", _simple("cloudwatch", "alarm:")),
        ("AlarmNames", _simple("cloudwatch", "alarm:")),
    ),
    ("cloudwatch", "dashboard"): (
        ("DashboardName", _simple("cloudwatch", "dashboard/", region=False)),
        ("DashboardNames", _simple("cloudwatch", "dashboard/", region=False)),
    ),
    ("dynamodb", "table"): (("TableName", _simple("dynamodb", "table/")),),
    ("ecs", "cluster"): tuple((n, _simple("ecs", "cluster/")) for n in ("clusterName", "cluster", "clusters")),
    ("ecs", "task-definition"): (("family", _task), ("taskDefinition", _task)),
    ("iam", "instance-profile"): (("InstanceProfileName", _simple("iam", "instance-profile/", region=False)),),
    ("iam", "oidc-provider"): (
        ("Url", lambda place, value, _: place.arn("iam", f"oidc-provider/{value.partition('//')[2]}", region=False)),
    ),
    ("iam", "policy"): (("PolicyArn", _simple("iam")), ("PolicyName", _simple("iam", "policy/", region=False))),
    ("iam", "role"): (("RoleName", _simple("iam", "role/", region=False)),),
    ("iam", "user"): (("UserName", _simple("iam", "user/", region=False)),),
    ("kms", "alias"): (("AliasName", _simple("kms")),),
    ("kms", "key"): (("KeyId", _simple("kms", "key/")), ("TargetKeyId", _simple("kms", "key/"))),
    ("logs", "log-group"): (
        ("logGroupName", _simple("logs", "log-group:")),
        ("logGroupNames", _simple("logs", "log-group:")),
    ),
    ("s3", "bucket"): (("Bucket", lambda place, value, _: place.arn("s3", value, region=False, account=False)),),
    ("s3", "object"): (("Bucket", _object),),
    ("scheduler", "schedule"): (("Name", _simple("scheduler", "schedule/default/")),),
    ("secretsmanager", "Secret"): (
        ("Name", _simple("secretsmanager", "secret:", "-AbCdEf")),
        ("SecretId", _simple("secretsmanager", "secret:", "-AbCdEf")),
    ),
    ("sns", "topic"): (("Name", _simple("sns")),),
    ("sqs", "queue"): (("QueueName", _simple("sqs")), ("QueueUrl", _queue)),
    ("ssm", "parameter"): (
        ("Name", lambda place, value, _: place.arn("ssm", f"parameter{value}", account=False)),
        ("Names", lambda place, value, _: place.arn("ssm", f"parameter{value}", account=False)),
    ),
}
"""Parameters that name a resource of a kind, and how its ARN is made of their value."""


def _passed(operation: str, parameters: Parameters, place: Place) -> Iterator[Target]:
    service, *names = PASSING.get(operation, ("",))
    given = {**parameters, **parameters.get("Target", {})}
    for name in names:
        if name in given:
            arn = given[name] if name != "RoleName" else place.arn("iam", f"role/{given[name]}", region=False)
            yield Target("iam:PassRole", arn, context={"iam:PassedToService": service})


def _launched(template: str, data: Parameters, place: Place) -> Iterator[Target]:
    """Yield what a caller that gives a group its launch template needs: RunInstances on all that it names, and more."""
    arn = place.arn("ec2", f"launch-template/{template}")
    context = {"ec2:LaunchTemplate": arn}
    yield Target("ec2:RunInstances", arn, template, context)
    for id in _texts(data.get("NetworkInterfaces", [])):
        if id.startswith("sg-"):
            yield Target("ec2:RunInstances", place.arn("ec2", f"security-group/{id}"), id, context)
    for kind in ("instance", "network-interface", "subnet", "volume"):
        yield Target("ec2:RunInstances", place.arn("ec2", f"{kind}/new"), context=context)
    yield Target("ec2:RunInstances", f"arn:{place.partition}:ec2:{place.region}::image/ami-1", context=context)
    for one in data.get("TagSpecifications", ()):
        tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in one["Tags"]}
        new = place.arn("ec2", f"{one['ResourceType']}/new")
        yield Target("ec2:CreateTags", new, context={**tags, "ec2:CreateAction": "RunInstances"})
    image = str(data.get("ImageId", ""))
    if image.startswith("resolve:ssm:"):
        parameter = place.arn("ssm", f"parameter{image.removeprefix('resolve:ssm:')}", account=False)
        yield Target("ssm:GetParameters", parameter)


def tags_of(parameters: Parameters) -> dict[str, str]:
    """Return the tags in a call's parameters, in the spelling of any service."""
    found: dict[str, str] = {}
    for name in ("Tags", "tags", "TagSpecifications"):
        given = parameters.get(name) or ()
        if isinstance(given, Mapping):
            found |= given
            continue
        for one in given:
            if "ResourceType" in one and "Tags" in one:
                found |= tags_of(one)
                continue
            key = one.get("Key") or one.get("TagKey") or one.get("key")
            found[str(key)] = str(one.get("Value", one.get("TagValue", one.get("value", ""))))
    return found


def created_id(operation: str, parameters: Parameters, answer: Parameters) -> tuple[str, dict[str, str]]:
    """Return the id of a resource of EC2 or KMS that a call has made, and its tags; an empty id for others."""
    match operation:
        case "CreateLaunchTemplate":
            id = answer["LaunchTemplate"]["LaunchTemplateId"]
        case "CreateSecurityGroup":
            id = answer["GroupId"]
        case "CreateVpcEndpoint":
            id = answer["VpcEndpoint"]["VpcEndpointId"]
        case "CreateKey":
            id = answer["KeyMetadata"]["KeyId"]
        case _:
            id = ""
    return str(id), tags_of(parameters)


def _values(parameters: Parameters, name: str) -> list[str]:
    if name == "ResourceId":
        return sorted({str(tag["ResourceId"]) for tag in parameters.get("Tags", ()) if "ResourceId" in tag})
    given = parameters.get(name)
    return [] if given is None else [str(v) for v in given] if isinstance(given, (list, tuple)) else [str(given)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
