"""ECS: the finder's cluster and task definition."""

from __future__ import annotations

import json

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
    """Task definition. A revision can't be changed: any input but tags makes a new one."""

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
