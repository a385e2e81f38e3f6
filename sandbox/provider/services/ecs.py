"""ECS and EventBridge Scheduler: what starts the finder."""

from __future__ import annotations

import json
from typing import Any

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("ClientException", "ResourceNotFoundException", "ClusterNotFoundException")


@handles("aws:ecs/cluster:Cluster")
class Cluster(Resource):
    replaces = frozenset({"name"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        made = self.account.client("ecs").create_cluster(
            clusterName=inputs["name"],
            settings=inputs.get("settings") or [],
            tags=tag_list(inputs, "key", "value"),
        )
        return str(made["cluster"]["clusterArn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = self.account.client("ecs").describe_clusters(clusters=[id], include=["TAGS", "SETTINGS"])
        live = [c for c in answer["clusters"] if c["status"] == "ACTIVE"]
        if not live:
            return None
        return {
            "arn": live[0]["clusterArn"],
            "name": live[0]["clusterName"],
            "tagsAll": tag_map(live[0].get("tags"), "key", "value"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        ecs = self.account.client("ecs")
        if changed(old, new, "settings"):
            ecs.update_cluster_settings(cluster=id, settings=new.get("settings") or [])
        added, removed = retag(old, new)
        if added:
            ecs.tag_resource(resourceArn=id, tags=tag_list({"tagsAll": added}, "key", "value"))
        if removed:
            ecs.untag_resource(resourceArn=id, tagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("ecs").delete_cluster, GONE, cluster=id)


@handles("aws:ecs/taskDefinition:TaskDefinition")
class TaskDefinition(Resource):
    """A revision can't be changed: anything but tags makes a new one."""

    replaces = frozenset(
        {
            "family",
            "containerDefinitions",
            "cpu",
            "memory",
            "networkMode",
            "requiresCompatibilities",
            "runtimePlatform",
            "executionRoleArn",
            "taskRoleArn",
            "volumes",
            "ephemeralStorage",
            "ipcMode",
            "pidMode",
            "placementConstraints",
            "proxyConfiguration",
        }
    )
    documents = frozenset({"containerDefinitions"})

    def create(self, inputs: Properties) -> str:
        platform = inputs.get("runtimePlatform")
        self.account.client("ecs").register_task_definition(
            family=inputs["family"],
            containerDefinitions=json.loads(inputs["containerDefinitions"]),
            tags=tag_list(inputs, "key", "value"),
            **present(
                cpu=inputs.get("cpu"),
                memory=inputs.get("memory"),
                networkMode=inputs.get("networkMode"),
                requiresCompatibilities=inputs.get("requiresCompatibilities"),
                executionRoleArn=inputs.get("executionRoleArn"),
                taskRoleArn=inputs.get("taskRoleArn"),
                volumes=[{"name": v["name"]} for v in inputs.get("volumes") or ()] or None,
                runtimePlatform=platform
                and present(
                    operatingSystemFamily=platform.get("operatingSystemFamily"),
                    cpuArchitecture=platform.get("cpuArchitecture"),
                ),
            ),
        )
        return str(inputs["family"])

    def read(self, id: str, state: Properties) -> Properties | None:
        wanted = state.get("arn") or id
        describe = self.account.client("ecs").describe_task_definition
        answer = found(describe, GONE, taskDefinition=wanted, include=["TAGS"])
        if answer is None or answer["taskDefinition"]["status"] != "ACTIVE":
            return None
        definition = answer["taskDefinition"]
        arn = definition["taskDefinitionArn"]
        return present(
            arn=arn,
            arnWithoutRevision=arn.rsplit(":", 1)[0],
            family=definition["family"],
            revision=definition["revision"],
            cpu=definition.get("cpu"),
            memory=definition.get("memory"),
            networkMode=definition.get("networkMode"),
            executionRoleArn=definition.get("executionRoleArn"),
            taskRoleArn=definition.get("taskRoleArn"),
        )

    def update(self, id: str, old: Properties, new: Properties) -> None:
        ecs = self.account.client("ecs")
        added, removed = retag(old, new)
        if added:
            ecs.tag_resource(resourceArn=old["arn"], tags=tag_list({"tagsAll": added}, "key", "value"))
        if removed:
            ecs.untag_resource(resourceArn=old["arn"], tagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        if not state.get("skipDestroy"):
            found(self.account.client("ecs").deregister_task_definition, GONE, taskDefinition=state["arn"])


@handles("aws:scheduler/schedule:Schedule")
class Schedule(Resource):
    replaces = frozenset({"name", "namePrefix", "groupName"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self.account.client("scheduler").create_schedule(**self._arguments(inputs))
        return f"{inputs.get('groupName') or 'default'}/{inputs['name']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        group, _, name = id.partition("/")
        schedule = found(self.account.client("scheduler").get_schedule, GONE, Name=name, GroupName=group)
        if schedule is None:
            return None
        return {
            "arn": schedule["Arn"],
            "name": name,
            "groupName": group,
            "scheduleExpression": schedule["ScheduleExpression"],
            "state": schedule.get("State", "ENABLED"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self.account.client("scheduler").update_schedule(**self._arguments(new))

    def delete(self, id: str, state: Properties) -> None:
        group, _, name = id.partition("/")
        found(self.account.client("scheduler").delete_schedule, GONE, Name=name, GroupName=group)

    def _arguments(self, inputs: Properties) -> dict[str, Any]:
        target, window = inputs["target"], inputs["flexibleTimeWindow"]
        retry, task = target.get("retryPolicy"), target.get("ecsParameters")
        return present(
            Name=inputs["name"],
            GroupName=inputs.get("groupName"),
            Description=inputs.get("description"),
            ScheduleExpression=inputs["scheduleExpression"],
            State=inputs.get("state"),
            FlexibleTimeWindow=present(
                Mode=window["mode"], MaximumWindowInMinutes=window.get("maximumWindowInMinutes")
            ),
            Target=present(
                Arn=target["arn"],
                RoleArn=target["roleArn"],
                RetryPolicy=retry
                and present(
                    MaximumRetryAttempts=retry.get("maximumRetryAttempts"),
                    MaximumEventAgeInSeconds=retry.get("maximumEventAgeInSeconds"),
                ),
                EcsParameters=task and self._task(task),
            ),
        )

    def _task(self, task: Properties) -> dict[str, Any]:
        network = task.get("networkConfiguration")
        return present(
            TaskDefinitionArn=task["taskDefinitionArn"],
            LaunchType=task.get("launchType"),
            TaskCount=task.get("taskCount"),
            PropagateTags=task.get("propagateTags"),
            NetworkConfiguration=network
            and {
                "awsvpcConfiguration": present(
                    Subnets=network["subnets"],
                    SecurityGroups=network.get("securityGroups"),
                    AssignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
                )
            },
        )
