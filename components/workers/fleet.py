"""Create the workers: a group of small instances that boot from the bundle and scale with the backlog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components import permissions
from dualsync.components.bundle.bundle import Bundle, BundleObject
from dualsync.components.config.side_options import Architecture
from dualsync.components.context import SideContext
from dualsync.components.federation.issuer import Issuer
from dualsync.components.network import Network
from dualsync.components.workers import userdata
from dualsync.components.workers.scaling import WARM_UP_SECONDS, scale

HEARTBEAT_SECONDS = 300
"""Time for which a termination waits until the worker has drained; longer than `userdata.DRAIN_SECONDS`."""

ROOT_DEVICE = "/dev/xvda"
"""Root volume of Amazon Linux 2023. The launch template encrypts it and sets its size."""

METRICS = (
    aws.autoscaling.Metric.GROUP_DESIRED_CAPACITY,
    aws.autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES,
    aws.autoscaling.Metric.GROUP_MIN_SIZE,
    aws.autoscaling.Metric.GROUP_MAX_SIZE,
)
"""Metrics of the group itself, free of charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetArgs:
    """What the workers need of the side's other parts."""

    network: Network
    """Subnets and security group."""
    bundle: Bundle
    """The runtime's code."""
    environment: Mapping[str, pulumi.Input[str]]
    """The settings, as `Settings.to_environment()` writes them."""
    queue_name: pulumi.Input[str]
    """Name of the queue, for the scaling's metrics."""
    queue_arn: pulumi.Input[str]
    """ARN of the queue."""
    dead_letter_queue_arn: pulumi.Input[str]
    """ARN of the dead-letter queue."""
    table_arn: pulumi.Input[str]
    """ARN of the ledger's table."""
    issuer: Issuer | None = None
    """Keys for tokens and messages; None if the peer is a user."""


class Fleet(pulumi.ComponentResource):
    """Log group, role, launch template, group with its drain hook, and scaling."""

    group_name: pulumi.Output[str]
    """Name of the Auto Scaling group."""
    log_group_name: pulumi.Output[str]
    """Log group of the workers."""
    role_arn: pulumi.Output[str]
    """ARN of the workers' role."""

    def __init__(self, context: SideContext, args: FleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Fleet", context.names.of("fleet"), None, opts)
        self._context = context
        self._args = args
        self._group = context.names.of("workers")
        self._hook = context.names.of("drain")
        name = context.names.of("worker-log")
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=name,
            retention_in_days=context.local.watch.log_days,
            kms_key_id=context.kms_key_arn,
            tags=context.tags("worker-log"),
            opts=context.options(self),
        )
        role, policy = self._role(log_group)
        template = self._template(role, log_group)
        group = self._workers(template, policy)
        if context.local.fleet.enabled:
            scale(context, args.queue_name, group.name, context.local.fleet.min_capacity, self)
        self.group_name = group.name
        self.log_group_name = log_group.name
        self.role_arn = role.arn
        self.register_outputs({"groupName": self.group_name, "logGroupName": self.log_group_name})

    def _role(self, log_group: aws.cloudwatch.LogGroup) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        context, args = self._context, self._args
        name = context.names.worker_role
        role = aws.iam.Role(
            name,
            name=name,
            description="The workers of one side: its bucket, queue, ledger and the peer's key",
            assume_role_policy=json.dumps(permissions.assumed_by(context.partition.trusted("ec2"))),
            permissions_boundary=context.local.permissions_boundary or None,
            tags=context.tags("worker"),
            opts=context.options(self),
        )
        keys = args.issuer.arns if args.issuer else ()
        document = pulumi.Output.all(
            args.queue_arn, args.dead_letter_queue_arn, args.table_arn, log_group.arn, *keys
        ).apply(
            lambda arns: json.dumps(
                permissions.worker(
                    context,
                    permissions.Reach(
                        queue=arns[0],
                        dead_letter_queue=arns[1],
                        table=arns[2],
                        bundle_objects=(self._bundle.arn,),
                        log_group=arns[3],
                        keys=tuple(arns[4:]),
                    ),
                    self._group,
                )
            )
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy", name=name, role=role.name, policy=document, opts=context.options(self)
        )
        return role, policy

    @property
    def _bundle(self) -> BundleObject:
        return self._args.bundle.objects[self._context.local.fleet.architecture]

    def _user_data(self, log_group: aws.cloudwatch.LogGroup) -> pulumi.Output[str]:
        context, bundle = self._context, self._bundle
        region = {"AWS_REGION": context.region, "AWS_DEFAULT_REGION": context.region}

        def render(values: tuple[str, str, dict[str, str]]) -> str:
            log_group_name, version, environment = values
            boot = userdata.Boot(
                region=context.region,
                bundle_bucket=bundle.bucket,
                bundle_key=bundle.key,
                bundle_version=version,
                bundle_sha256=bundle.sha256,
                log_group=log_group_name,
                group=self._group,
                hook=self._hook,
                metrics_namespace=context.names.metrics,
                environment={**region, **environment},
            )
            return userdata.encode(userdata.render(boot))

        known = pulumi.Output.from_input(dict(self._args.environment))
        return pulumi.Output.all(log_group.name, bundle.version, known).apply(
            lambda values: render((values[0], values[1], values[2]))
        )

    def _template(self, role: aws.iam.Role, log_group: aws.cloudwatch.LogGroup) -> aws.ec2.LaunchTemplate:
        context = self._context
        fleet = context.local.fleet
        profile = aws.iam.InstanceProfile(
            role_name := context.names.of("worker-profile"),
            name=role_name,
            role=role.name,
            tags=context.tags("worker-profile"),
            opts=context.options(self),
        )
        name = context.names.of("worker-template")
        return aws.ec2.LaunchTemplate(
            name,
            name=name,
            description="A worker",
            image_id=fleet.image_id or image(fleet.architecture),
            instance_type=fleet.instance_type,
            instance_initiated_shutdown_behavior="terminate",
            iam_instance_profile={"arn": profile.arn},
            monitoring={"enabled": fleet.detailed_monitoring},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
                "instance_metadata_tags": "disabled",
            },
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "true" if self._args.network.public_ip else "false",
                    "delete_on_termination": "true",
                    "security_groups": [self._args.network.security_group_id],
                }
            ],
            block_device_mappings=[
                {
                    "device_name": ROOT_DEVICE,
                    "ebs": {
                        "volume_size": fleet.volume_gib,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            user_data=self._user_data(log_group),
            tag_specifications=[
                {"resource_type": kind, "tags": context.all_tags("worker")}
                for kind in ("instance", "volume", "network-interface")
            ],
            update_default_version=True,
            tags=context.tags("worker-template"),
            opts=context.options(self),
        )

    def _workers(self, template: aws.ec2.LaunchTemplate, policy: aws.iam.RolePolicy) -> aws.autoscaling.Group:
        context = self._context
        fleet = context.local.fleet
        version = template.latest_version.apply(str)
        spot = fleet.spot_percent > 0
        # A group whose smallest or largest size changes follows it at once, and drains what it ends (Auto Scaling API
        # Reference, UpdateAutoScalingGroup).
        smallest, first, largest = fleet.sizes
        group = aws.autoscaling.Group(
            self._group,
            name=self._group,
            min_size=smallest,
            max_size=largest,
            desired_capacity=first,
            vpc_zone_identifiers=list(self._args.network.subnet_ids),
            launch_template=None if spot else aws.autoscaling.GroupLaunchTemplateArgs(id=template.id, version=version),
            mixed_instances_policy=_mixed(template, version, context) if spot else None,
            capacity_rebalance=spot,
            health_check_type="EC2",
            health_check_grace_period=WARM_UP_SECONDS,
            default_cooldown=WARM_UP_SECONDS,
            default_instance_warmup=WARM_UP_SECONDS,
            enabled_metrics=list(METRICS),
            metrics_granularity="1Minute",
            instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
                strategy="Rolling",
                # The new instance starts before the old one drains, so that a fleet of one never stops.
                preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                    min_healthy_percentage=100,
                    max_healthy_percentage=200,
                    instance_warmup=str(WARM_UP_SECONDS),
                    skip_matching=True,
                    scale_in_protected_instances="Refresh",
                ),
            ),
            # Alarms report instances that do not start; a deployment does not wait for them.
            wait_for_capacity_timeout="0",
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=False)
                for key, value in sorted(context.all_tags("workers").items())
            ],
            opts=context.options(
                self,
                # A deployment keeps the capacity that scaling has set. No instance boots before its role has rights.
                ignore_changes=["desiredCapacity"],
                depends_on=[policy],
            ),
        )
        aws.autoscaling.LifecycleHook(
            self._hook,
            name=self._hook,
            autoscaling_group_name=group.name,
            lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
            heartbeat_timeout=HEARTBEAT_SECONDS,
            default_result="CONTINUE",
            opts=context.options(self),
        )
        return group


def image(architecture: Architecture) -> str:
    """Return the current Amazon Linux 2023; EC2 resolves it at each launch, so a release changes no template."""
    return f"resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"


def _mixed(
    template: aws.ec2.LaunchTemplate, version: pulumi.Output[str], context: SideContext
) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    """Keep the minimum on demand; of further instances the configured share is spot, of two sizes."""
    fleet = context.local.fleet
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=(
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=template.id, version=version
                )
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=kind)
                for kind in siblings(fleet.instance_type)
            ],
        ),
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=fleet.min_capacity,
            on_demand_percentage_above_base_capacity=100 - fleet.spot_percent,
            on_demand_allocation_strategy="prioritized",
            spot_allocation_strategy="price-capacity-optimized",
        ),
    )


def siblings(instance_type: str) -> list[str]:
    """Return the type and the next size of its family, as a second pool of spot capacity."""
    family, _, size = instance_type.partition(".")
    sizes = ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"]
    if size not in sizes[:-1]:
        return [instance_type]
    return [instance_type, f"{family}.{sizes[sizes.index(size) + 1]}"]
