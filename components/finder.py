"""The finder: a scheduled task that compares both buckets with the ledger and queues what events missed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components import permissions
from dualsync.components.bundle.bundle import Bundle, BundleObject
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import Architecture
from dualsync.components.context import SideContext
from dualsync.components.network import Network
from dualsync.components.workers.userdata import template

PUBLIC_IMAGE = "public.ecr.aws/lambda/python:3.11.2024.11.22.15"
"""AWS's own Python image, for both architectures; the bundle brings everything else. Pin another by `finderImage`."""

ROOT = "/work"
"""Where the task unpacks the bundle: the only place that it may write to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderArgs:
    """What the finder needs of the side's other parts. `environment` is `Settings.to_environment()`."""

    network: Network
    bundle: Bundle
    environment: Mapping[str, pulumi.Input[str]]
    queue_arn: pulumi.Input[str]
    table_arn: pulumi.Input[str]


class Finder(pulumi.ComponentResource):
    """Log group, cluster (unless given), task definition with its two roles, and the schedule."""

    log_group_name: pulumi.Output[str]
    cluster_name: str
    task_family: str

    def __init__(self, context: SideContext, args: FinderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Finder", context.names.of("finder-part"), None, opts)
        self._context = context
        self._args = args
        self._image = image(context)
        self.task_family = context.names.of("finder")
        name = context.names.of("finder-log")
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=name,
            retention_in_days=context.local.watch.log_days,
            tags=context.tags("finder-log"),
            opts=context.options(self),
        )
        self.log_group_name = log_group.name
        self.cluster_name = self._cluster()
        cluster_arn = context.arn("ecs", f"cluster/{self.cluster_name}")
        execution, task = self._roles(log_group, cluster_arn)
        definition = self._definition(log_group, execution, task)
        self._schedule(definition, cluster_arn, [execution, task])
        self.register_outputs({"logGroupName": self.log_group_name, "clusterName": self.cluster_name})

    @property
    def _bundle(self) -> BundleObject:
        return self._args.bundle.objects[self._context.local.finder.architecture]

    def _cluster(self) -> str:
        context = self._context
        if context.local.finder.cluster:
            return context.local.finder.cluster
        name = context.names.of("cluster")
        aws.ecs.Cluster(
            name,
            name=name,
            settings=[{"name": "containerInsights", "value": "disabled"}],
            tags=context.tags("cluster"),
            opts=context.options(self),
        )
        return name

    def _roles(self, log_group: aws.cloudwatch.LogGroup, cluster_arn: str) -> tuple[aws.iam.Role, aws.iam.Role]:
        """The one that ECS starts the task with, and the task's own."""
        context, args = self._context, self._args
        trust = permissions.assumed_by(
            context.partition.trusted("ecs-tasks"), {"StringEquals": {"aws:SourceAccount": context.account_id}}
        )
        repository = repository_arn(context, self._image)
        reach = pulumi.Output.all(args.queue_arn, args.table_arn, log_group.arn).apply(
            lambda arns: permissions.Reach(
                queue=arns[0],
                dead_letter_queue="",
                table=arns[1],
                bundle_objects=(self._bundle.arn,),
                log_group=arns[2],
            )
        )
        return (
            self._role(
                "finder-start",
                "Starts the finder's task: its image and its log",
                trust,
                reach.apply(lambda r: json.dumps(permissions.execution(r, repository))),
            ),
            self._role(
                "finder-task",
                "The finder: reads its side's bucket and the ledger, queues what it finds",
                trust,
                reach.apply(lambda r: json.dumps(permissions.finder(context, r, cluster_arn))),
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
        aws.iam.RolePolicy(f"{name}-policy", name=name, role=role.name, policy=policy, opts=context.options(self))
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
            volumes=[{"name": "work"}],
            container_definitions=pulumi.Output.all(log_group.name, bundle.version, known).apply(
                lambda values: containers((values[0], values[1], values[2]))
            ),
            tags=context.tags("finder"),
            opts=context.options(self),
        )

    def _schedule(self, definition: aws.ecs.TaskDefinition, cluster_arn: str, roles: list[aws.iam.Role]) -> None:
        """Without a start date the first run is at once, which covers what was changed before events arrived."""
        context = self._context
        trust = permissions.assumed_by(
            context.partition.trusted("scheduler"), {"StringEquals": {"aws:SourceAccount": context.account_id}}
        )
        family_arn = context.arn("ecs", f"task-definition/{self.task_family}:*")
        starter = self._role(
            "finder-schedule",
            "Starts the finder on time",
            trust,
            pulumi.Output.all(*[role.arn for role in roles]).apply(
                lambda arns: json.dumps(
                    permissions.schedule(family_arn, cluster_arn, arns, context.principal("ecs-tasks"))
                )
            ),
        )
        name = context.names.of("finder-schedule")
        aws.scheduler.Schedule(
            name,
            name=name,
            description="Compares both buckets",
            schedule_expression=rate(context.local.finder.interval_minutes),
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": cluster_arn,
                "role_arn": starter.arn,
                "retry_policy": {"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 900},
                "ecs_parameters": {
                    "task_definition_arn": definition.arn,
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
            opts=context.options(self),
        )


def container(
    context: SideContext, image: str, arguments: list[str], environment: Mapping[str, str], log_group: str
) -> dict[str, object]:
    """The one container. Its entry point is ours, as Lambda's would start Lambda's runtime client."""
    region = {"AWS_REGION": context.region, "AWS_DEFAULT_REGION": context.region}
    variables = {**region, **environment, "PYTHONUNBUFFERED": "1", "TMPDIR": ROOT}
    return {
        "name": "finder",
        "image": image,
        "essential": True,
        "entryPoint": ["python3", "-c", template("start_finder.py")],
        "command": arguments,
        "environment": [{"name": key, "value": value} for key, value in sorted(variables.items())],
        "mountPoints": [{"sourceVolume": "work", "containerPath": ROOT, "readOnly": False}],
        "readonlyRootFilesystem": True,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log_group,
                "awslogs-region": context.region,
                "awslogs-stream-prefix": "finder",
            },
        },
    }


def image(context: SideContext) -> str:
    """The configured image, else AWS's public one; in China `ConfigError`, as its regions have no public registry."""
    given = context.local.finder.image
    if given:
        return given
    if context.partition.id == "aws-cn":
        registry = f"{context.account_id}.dkr.ecr.{context.region}.{context.partition.dns_suffix}"
        copy = f"{registry}/lambda-python:3.11"
        raise ConfigError(
            context.local.key("finderImage"),
            None,
            "not given, and China's regions have no public registry to take the finder's image from",
            "copy it into the account's own (`aws ecr create-repository --repository-name lambda-python`, "
            f"`docker login`, then `docker buildx imagetools create -t {copy} {PUBLIC_IMAGE}`) and give {copy}",
        )
    return PUBLIC_IMAGE


_PRIVATE = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[^/]+/(?P<name>[^:@]+)(?:[:@].*)?")


def repository_arn(context: SideContext, image: str) -> str:
    """The ARN of a private image's repository, or nothing for an image of another kind."""
    match = _PRIVATE.fullmatch(image)
    if match is None:
        return ""
    return context.partition.arn("ecr", f"repository/{match['name']}", region=match["region"], account=match["account"])


def rate(minutes: int) -> str:
    """A schedule expression: `rate(1 hour)` and `rate(1 minute)` want the singular."""
    amount, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"rate({amount} {unit}{'' if amount == 1 else 's'})"
