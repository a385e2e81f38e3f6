"""Machines, tasks and schedules are joined to the plan's own profiles, roles, templates and clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policy.plan import UNKNOWN, Plan, Resource, structured
from policy.rule import Finding, Options, Rule


@dataclass(frozen=True, slots=True)
class Joint:
    """A property that must name another resource of the plan."""

    kind: str
    """Kind of the resource with the property."""
    path: str
    """The property."""
    wanted: str
    """Kind of the resource that it names."""
    own: tuple[str, ...]
    """Properties of that resource, of which it holds one."""
    optional: bool = False
    """Whether the property may be left out."""
    element: str = ""
    """Element that holds the name, where the property is JSON."""


JOINTS = (
    Joint("iam.InstanceProfile", "role", "iam.Role", ("name",)),
    Joint("ec2.LaunchTemplate", "iamInstanceProfile.arn", "iam.InstanceProfile", ("arn",), optional=True),
    Joint("ec2.LaunchTemplate", "iamInstanceProfile.name", "iam.InstanceProfile", ("name",), optional=True),
    Joint("ecs.TaskDefinition", "executionRoleArn", "iam.Role", ("arn",)),
    Joint("ecs.TaskDefinition", "taskRoleArn", "iam.Role", ("arn",)),
    Joint("autoscaling.Group", "launchTemplate.id", "ec2.LaunchTemplate", ("id",), optional=True),
    Joint("autoscaling.Group", "launchTemplate.name", "ec2.LaunchTemplate", ("name",), optional=True),
    Joint(
        "autoscaling.Group",
        "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId",
        "ec2.LaunchTemplate",
        ("id",),
        optional=True,
    ),
    Joint("scheduler.Schedule", "target.roleArn", "iam.Role", ("arn",)),
    Joint(
        "scheduler.Schedule",
        "target.ecsParameters.taskDefinitionArn",
        "ecs.TaskDefinition",
        ("arn", "arnWithoutRevision"),
    ),
    Joint("sns.TopicPolicy", "arn", "sns.Topic", ("arn",)),
    Joint("sqs.Queue", "redrivePolicy", "sqs.Queue", ("arn",), optional=True, element="deadLetterTargetArn"),
    Joint("sqs.QueuePolicy", "queueUrl", "sqs.Queue", ("url", "id")),
    *(
        Joint(f"s3.{kind}", "bucket", "s3.Bucket", ("bucket", "id"))
        for kind in (
            "BucketLifecycleConfiguration",
            "BucketObjectv2",
            "BucketOwnershipControls",
            "BucketPolicy",
            "BucketPublicAccessBlock",
            "BucketServerSideEncryptionConfiguration",
            "BucketVersioning",
        )
    ),
    Joint("autoscaling.LifecycleHook", "autoscalingGroupName", "autoscaling.Group", ("name", "id")),
    Joint("autoscaling.Policy", "autoscalingGroupName", "autoscaling.Group", ("name", "id")),
    Joint("kms.Alias", "targetKeyId", "kms.Key", ("keyId", "arn", "id")),
    Joint("secretsmanager.SecretVersion", "secretId", "secretsmanager.Secret", ("id", "arn")),
    Joint("secretsmanager.SecretPolicy", "secretArn", "secretsmanager.Secret", ("id", "arn")),
)
"""The properties that decide with which rights something runs, or to which resource a policy applies."""

TEMPLATES = ("launchTemplate", "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification")
"""Where a group names its launch template."""


def joined_to_own(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield properties that name a resource which is not of the plan's same account."""
    for joint in JOINTS:
        for resource in plan.of(joint.kind):
            value = _value(resource, joint)
            if value is None and joint.optional:
                continue
            top = joint.path.partition(".")[0]
            if value is UNKNOWN and joint.optional and not resource.depends.get(top):
                # The program gives no such property; at preview the engine marks what the provider fills in.
                continue
            behind = plan.behind(resource, top, joint.wanted)
            if value is UNKNOWN or value is None:
                if not any(_same_side(b, resource) for b in behind):
                    yield Finding(
                        resource, f"{resource.name}.{joint.path} is not made from a {joint.wanted} of its side"
                    )
                continue
            side = [r for r in plan.of(joint.wanted) if _same_side(r, resource)]
            own = {r.get(path) for r in side for path in joint.own}
            if value not in own and not (behind and UNKNOWN in own):
                yield Finding(resource, f"{resource.name}.{joint.path} is {value}, not a {joint.wanted} of this plan")
    for group in plan.of("autoscaling.Group"):
        yield from _stale(plan, group)


def _value(resource: Resource, joint: Joint) -> Any:
    value = resource.get(joint.path)
    if not joint.element or value is UNKNOWN:
        return value
    content = structured(value)
    return content.get(joint.element) if isinstance(content, dict) else value


def _stale(plan: Plan, group: Resource) -> Iterator[Finding]:
    """Yield a group that boots an earlier version of its launch template, which this pack cannot see."""
    for path in TEMPLATES:
        if group.get(path) is None or not group.is_known(path) or not group.is_known(f"{path}.version"):
            continue
        # Without a version, Auto Scaling takes the default one (Auto Scaling API, LaunchTemplateSpecification).
        version = group.get(f"{path}.version") or "$Default"
        for template in plan.behind(group, path.partition(".")[0], "ec2.LaunchTemplate"):
            latest = template.get("latestVersion")
            if latest is None or latest is UNKNOWN or version in ("$Latest", str(int(latest))):
                continue
            yield Finding(group, f"{group.name}.{path}.version is {version}, not the latest of {template.name}")


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn


RULES = (
    Rule(
        name="joined-to-own-parts",
        what="Machines, tasks, schedules and policies are joined to roles, templates and resources of this plan.",
        why="A task with another role has that role's rights, whatever the policies of this plan allow. An earlier"
        " version of a launch template boots what this pack does not see.",
        remedy="Give the property the resource of this plan.",
        all=joined_to_own,
    ),
)
