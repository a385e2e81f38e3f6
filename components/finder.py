"""Create the finder: a scheduled task that compares both buckets with the ledger and queues what events missed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components import permissions
from dualsync.components.bundle.bundle import Bundle, BundleObject
from dualsync.components.config.images import image_of
from dualsync.components.config.side_options import Architecture
from dualsync.components.context import SideContext
from dualsync.components.federation.issuer import Issuer
from dualsync.components.network import Network
from dualsync.components.workers.userdata import template

ROOT = "/dev/shm/dualsync"  # noqa: S108 - the container has no other folder, and runs nothing else
"""Folder into which the task unpacks the bundle (6 MB), the only folder that it can write to.

Fargate gives each container shared memory of 64 MiB that every user may write to. A volume would be root's with mode
0755 (ECS Developer Guide, "Use bind mounts with Amazon ECS"), so that the finder would have to run as root.
"""

USER = "1000:1000"
"""User and group of the finder's process, neither of which exists in the image."""

UNPRIVILEGED = {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
"""Linux parameters of the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderArgs:
    """What the finder needs of the side's other parts."""

    network: Network
    """Subnets and security group."""
    bundle: Bundle
    """The runtime's code."""
    environment: Mapping[str, pulumi.Input[str]]
    """The settings, as `Settings.to_environment()` writes them."""
    queue_arn: pulumi.Input[str]
    """Queue that receives the finder's requests."""
    dead_letter_arn: pulumi.Input[str]
    """Its dead-letter queue, whose length the finder reads."""
    table_arn: pulumi.Input[str]
    """The ledger's table."""
    issuer: Issuer | None = None
    """Keys for tokens and messages; None if the peer is a user."""


class Finder(pulumi.ComponentResource):
    """Log group, cluster (unless given), task definition with its two roles, and the schedule."""

    log_group_name: pulumi.Output[str]
    """Log group of the finder's runs."""
    cluster_name: str
    """ECS cluster in which the finder runs."""
    task_family: str
    """Family of the task definition."""

    def __init__(self, context: SideContext, args: FinderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Finder", context.names.of("finder-part"), None, opts)
        self._context = context
        self._args = args
        self._image = image_of(context.local)
        self.task_family = context.names.of("finder")
        name = context.names.of("finder-log")
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=name,
            retention_in_days=context.local.watch.log_days,
            kms_key_id=context.kms_key_arn,
            tags=context.tags("finder-log"),
            opts=context.options(self),
        )
        self.log_group_name = log_group.name
        self.cluster_name = self._cluster()
        self._policies: list[aws.iam.RolePolicy] = []
        self._execution, self._task = self._roles(log_group)
        self._task_definition = self._definition(log_group, self._execution, self._task)
        self.register_outputs({"logGroupName": self.log_group_name, "clusterName": self.cluster_name})

    @property
    def _bundle(self) -> BundleObject:
        return self._args.bundle.objects[self._context.local.finder.architecture]

    @property
    def _cluster_arn(self) -> str:
        return self._context.arn("ecs", f"cluster/{self.cluster_name}")

    def _cluster(self) -> str:
        context = self._context
        self._own_cluster: list[pulumi.Resource] = []
        if context.local.finder.cluster:
            return context.local.finder.cluster
        name = context.names.of("cluster")
        cluster = aws.ecs.Cluster(
            name,
            name=name,
            settings=[{"name": "containerInsights", "value": "disabled"}],
            tags=context.tags("cluster"),
            opts=context.options(self),
        )
        self._own_cluster.append(cluster)
        return name

    def _roles(self, log_group: aws.cloudwatch.LogGroup) -> tuple[aws.iam.Role, aws.iam.Role]:
        """Return the role with which ECS starts the task, and the task's own."""
        context, args = self._context, self._args
        trust = permissions.assumed_by(
            context.partition.trusted("ecs-tasks"), {"StringEquals": {"aws:SourceAccount": context.account_id}}
        )
        repository = repository_arn(context, self._image)
        keys = args.issuer.arns if args.issuer else ()
        reach = pulumi.Output.all(args.queue_arn, args.dead_letter_arn, args.table_arn, log_group.arn, *keys).apply(
            lambda arns: permissions.Reach(
                queue=arns[0],
                dead_letter_queue=arns[1],
                table=arns[2],
                bundle_objects=(self._bundle.arn,),
                log_group=arns[3],
                keys=tuple(arns[4:]),
            )
        )
        return (
            self._role(
                "finder-start",
                "Starts the task of the finder: pulls its image, writes its log",
                trust,
                reach.apply(lambda r: json.dumps(permissions.execution(r, repository))),
            ),
            self._role(
                "finder-task",
                "The finder: reads the bucket and the ledger of its side, sends requests to the queue",
                trust,
                reach.apply(lambda r: json.dumps(permissions.finder(context, r, self._cluster_arn))),
            ),
        )

    def _role(
        self, part: str, description: str, trust: Mapping[str, object], policy: pulumi.Input[str]
    ) -> aws.iam.Role:
        context = self._context
        name = context.names.of(part)
        role = aws.iam.Role(
            name,
            name=name,
            description=description,
            assume_role_policy=json.dumps(trust),
            permissions_boundary=context.local.permissions_boundary or None,
            tags=context.tags(part),
            opts=context.options(self),
        )
        self._policies.append(
            aws.iam.RolePolicy(f"{name}-policy", name=name, role=role.name, policy=policy, opts=context.options(self))
        )
        return role

    def _definition(
        self, log_group: aws.cloudwatch.LogGroup, execution: aws.iam.Role, task: aws.iam.Role
    ) -> aws.ecs.TaskDefinition:
        context, bundle = self._context, self._bundle
        finder = context.local.finder

        def containers(values: tuple[str, str, dict[str, str]]) -> str:
            log_group_name, version, environment = values
            command = [bundle.bucket, bundle.key, version, bundle.sha256, ROOT]
            return json.dumps([container(context, self._image, command, environment, log_group_name)])

        known = pulumi.Output.from_input(dict(self._args.environment))
        return aws.ecs.TaskDefinition(
            self.task_family,
            family=self.task_family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(finder.cpu),
            memory=str(finder.memory),
            runtime_platform={
                "operating_system_family": "LINUX",
                "cpu_architecture": "ARM64" if finder.architecture is Architecture.ARM64 else "X86_64",
            },
            execution_role_arn=execution.arn,
            task_role_arn=task.arn,
            container_definitions=pulumi.Output.all(log_group.name, bundle.version, known).apply(
                lambda values: containers((values[0], values[1], values[2]))
            ),
            tags=context.tags("finder"),
            opts=context.options(self),
        )

    def start_on_schedule(self, after: Sequence[pulumi.Resource]) -> None:
        """Create the schedule, once all other parts of the side (`after`) exist.

        Without a start date the first run starts at once. It covers changes made before events arrived, so it must
        find its roles' policies and the subscription in place.

        The schedule is also what the deletion of the side begins with, as it depends on everything. While the pair is
        protected the engine refuses this first step and `pulumi destroy` deletes nothing, with or without a preview.
        """
        context, cluster_arn = self._context, self._cluster_arn
        trust = permissions.assumed_by(
            context.partition.trusted("scheduler"), {"StringEquals": {"aws:SourceAccount": context.account_id}}
        )
        family_arn = context.arn("ecs", f"task-definition/{self.task_family}:*")
        starter = self._role(
            "finder-schedule",
            "Starts the finder on schedule",
            trust,
            pulumi.Output.all(self._execution.arn, self._task.arn).apply(
                lambda arns: json.dumps(
                    permissions.schedule(family_arn, cluster_arn, arns, context.principal("ecs-tasks"))
                )
            ),
        )
        name = context.names.of("finder-schedule")
        aws.scheduler.Schedule(
            name,
            name=name,
            description="Starts the comparison of both buckets",
            schedule_expression=rate(context.local.finder.interval_minutes),
            state="ENABLED" if context.local.fleet.enabled else "DISABLED",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": cluster_arn,
                "role_arn": starter.arn,
                "retry_policy": {"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 900},
                "ecs_parameters": {
                    "task_definition_arn": self._task_definition.arn,
                    "launch_type": "FARGATE",
                    "task_count": 1,
                    "propagate_tags": "TASK_DEFINITION",
                    "network_configuration": {
                        "assign_public_ip": self._args.network.public_ip,
                        "security_groups": [self._args.network.security_group_id],
                        "subnets": list(self._args.network.finder_subnet_ids),
                    },
                },
            },
            opts=context.options(
                self, protect=context.pair.protect, depends_on=[*after, *self._own_cluster, *self._policies]
            ),
        )


def container(
    context: SideContext, image: str, arguments: list[str], environment: Mapping[str, str], log_group: str
) -> dict[str, object]:
    """Return the one container. Its entry point is given, as the image's would start Lambda's runtime client."""
    region = {"AWS_REGION": context.region, "AWS_DEFAULT_REGION": context.region}
    variables = {**region, **environment, "PYTHONUNBUFFERED": "1", "TMPDIR": ROOT}
    return {
        "name": "finder",
        "image": image,
        "essential": True,
        "user": USER,
        "entryPoint": ["python3", "-c", template("start_finder.py")],
        "command": arguments,
        "environment": [{"name": key, "value": value} for key, value in sorted(variables.items())],
        "readonlyRootFilesystem": True,
        "linuxParameters": UNPRIVILEGED,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log_group,
                "awslogs-region": context.region,
                "awslogs-stream-prefix": "finder",
            },
        },
    }


_PRIVATE = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[^/]+/(?P<name>[^:@]+)(?:[:@].*)?")


def repository_arn(context: SideContext, image: str) -> str:
    """Return the ARN of a private image's repository, or nothing for an image of another kind."""
    match = _PRIVATE.fullmatch(image)
    if match is None:
        return ""
    return context.partition.arn("ecr", f"repository/{match['name']}", region=match["region"], account=match["account"])


def rate(minutes: int) -> str:
    """Return a schedule expression; `rate(1 hour)` and `rate(1 minute)` need the singular."""
    amount, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"rate({amount} {unit}{'' if amount == 1 else 's'})"
