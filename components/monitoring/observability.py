"""Create metrics, alarms to a topic, the dashboard and saved queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.components.monitoring import alarms, dashboard, metrics, queries
from dualsync.components.monitoring.metrics import Source

DEPLOYER_TAG = "dualsync:deploys"
"""Tag of the roles that deploy a pair: the pair's name."""

KEY_MANAGEMENT = (
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What a deployment does with its key after creating it; nothing of it encrypts or decrypts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilityArgs:
    """Names of what is observed."""

    queue_name: pulumi.Input[str]
    """The queue."""
    dead_letter_queue_name: pulumi.Input[str]
    """The dead-letter queue."""
    group_name: pulumi.Input[str]
    """The Auto Scaling group."""
    worker_log_group: pulumi.Input[str]
    """Log group of the workers."""
    finder_log_group: pulumi.Input[str]
    """Log group of the finder."""


class Observability(pulumi.ComponentResource):
    """Metric filters, topic with its optional key, alarms, dashboard, queries."""

    topic_arn: pulumi.Output[str]
    """Topic that receives the alarms."""
    dashboard_name: str
    """Name of the dashboard; empty if there is none."""
    dashboard_url: str
    """Address of the dashboard in the console; empty if there is none."""

    def __init__(
        self, context: SideContext, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dualsync:index:Observability", context.names.of("observability"), None, opts)
        groups = {Source.WORKER: args.worker_log_group, Source.FINDER: args.finder_log_group}
        metrics.register(context, groups, self)
        queries.register(context, args.worker_log_group, args.finder_log_group, self)
        topic = self._topic(context)
        wanted = alarms.alarms(context, args.queue_name, args.dead_letter_queue_name, args.group_name)
        made = alarms.register(context, wanted, topic.arn, self)
        self.topic_arn = topic.arn
        self.dashboard_name = self.dashboard_url = ""
        if context.local.watch.dashboard:
            self.dashboard_name = context.names.of("dashboard")
            self.dashboard_url = (
                f"https://{context.partition.console}/cloudwatch/home?region={context.region}"
                f"#dashboards:name={self.dashboard_name}"
            )
            self._dashboard(context, args, [alarm.arn for alarm in made.values()])
        self.register_outputs({"topicArn": self.topic_arn, "dashboardUrl": self.dashboard_url})

    def _topic(self, context: SideContext) -> aws.sns.Topic:
        """Create the topic, encrypted with the given key, with one of its own, or by SNS's disk encryption alone.

        It never gets AWS's key for SNS: CloudWatch may not use that key, so the alarms would be lost. An alarm's text
        has names of resources and no key of an object (docs/decisions/2026-11-29-alarm-topic-key.md).
        """
        key_arn: pulumi.Input[str] | None = context.kms_key_arn
        if key_arn is None and context.local.security.alarm_topic_key:
            key_arn = self._key(context)
        name = context.names.of("alarms")
        topic = aws.sns.Topic(
            name,
            name=name,
            display_name=name,
            kms_master_key_id=key_arn,
            tags=context.tags("alarms"),
            opts=context.options(self),
        )
        aws.sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=topic.arn.apply(lambda arn: json.dumps(topic_policy(context, arn))),
            opts=context.options(self),
        )
        if context.local.watch.email:
            aws.sns.TopicSubscription(
                f"{name}-email",
                topic=topic.arn,
                protocol="email",
                endpoint=context.local.watch.email,
                opts=context.options(self),
            )
        return topic

    def _key(self, context: SideContext) -> pulumi.Output[str]:
        """Create a key that CloudWatch may use."""
        name = context.names.of("alarms-key")
        key = aws.kms.Key(
            name,
            description=f"Encrypts the alarms of {context.names.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            policy=json.dumps(key_policy(context)),
            tags=context.tags("alarms-key"),
            opts=context.options(self),
        )
        aws.kms.Alias(f"{name}-alias", name=f"alias/{name}", target_key_id=key.key_id, opts=context.options(self))
        return key.arn

    def _dashboard(self, context: SideContext, args: ObservabilityArgs, alarm_arns: list[pulumi.Output[str]]) -> None:
        def render(values: list[Any]) -> str:
            queue, dead, group, worker_log, finder_log, arns = values
            shown = dashboard.Shown(
                region=context.region,
                namespace=context.names.metrics,
                direction=f"{context.side}->{context.side.peer}",
                queue=queue,
                dead_letter_queue=dead,
                group=group,
                worker_log=worker_log,
                finder_log=finder_log,
                alarm_arns=arns,
            )
            return json.dumps(dashboard.body(shown))

        aws.cloudwatch.Dashboard(
            self.dashboard_name,
            dashboard_name=self.dashboard_name,
            dashboard_body=pulumi.Output.all(
                args.queue_name,
                args.dead_letter_queue_name,
                args.group_name,
                args.worker_log_group,
                args.finder_log_group,
                pulumi.Output.all(*alarm_arns),
            ).apply(render),
            opts=context.options(self),
        )


def key_policy(context: SideContext) -> dict[str, Any]:
    """Return a key policy: the account's administrators, and CloudWatch for this account's alarms. `*` is this key."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            administrators(context),
            deployers(context),
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": context.principal("cloudwatch")},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": context.account_id}},
            },
        ],
    }


def administrators(context: SideContext) -> dict[str, Any]:
    """Return the statement by which the account's policies decide about this key.

    Without it no principal could change the key again (KMS Developer Guide, default key policy).
    """
    return {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": context.partition.arn("iam", "root", account=context.account_id)},
        "Action": "kms:*",
        "Resource": "*",
    }


def deployers(context: SideContext) -> dict[str, Any]:
    """Return the statement that lets the pair's deploy role manage this key, and no other key of the account.

    The role cannot be given the right by the key's tag: a role that may tag a key at its creation may tag every key
    that leaves access to IAM (KMS Developer Guide, "Controlling access to tags"). The role's own tag names it instead.
    """
    return {
        "Sid": "Deployers",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(KEY_MANAGEMENT),
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "aws:PrincipalAccount": context.account_id,
                f"aws:PrincipalTag/{DEPLOYER_TAG}": context.pair.name,
            }
        },
    }


def topic_policy(context: SideContext, topic_arn: str) -> dict[str, Any]:
    """Return a topic policy: this account's alarms may publish, over TLS only."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": context.principal("cloudwatch")},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": context.account_id}},
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
