"""CloudWatch Logs: groups, metric filters, saved queries."""

from __future__ import annotations

import re

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag

GONE = ("ResourceNotFoundException",)


@handles("aws:cloudwatch/logGroup:LogGroup")
class LogGroup(Resource):
    replaces = frozenset({"name", "namePrefix", "logGroupClass"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        logs = self.account.client("logs")
        logs.create_log_group(
            logGroupName=inputs["name"],
            **present(tags=inputs.get("tagsAll") or None, kmsKeyId=inputs.get("kmsKeyId")),
        )
        self._retention(inputs["name"], inputs)
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        logs = self.account.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=id)["logGroups"]
        group = next((g for g in groups if g["logGroupName"] == id), None)
        if group is None:
            return None
        return {
            "arn": self.account.arn("logs", f"log-group:{id}"),
            "name": id,
            "retentionInDays": group.get("retentionInDays", 0),
            "tagsAll": logs.list_tags_log_group(logGroupName=id).get("tags", {}),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        logs = self.account.client("logs")
        if changed(old, new, "retentionInDays"):
            self._retention(id, new)
        added, removed = retag(old, new)
        if added:
            logs.tag_log_group(logGroupName=id, tags=added)
        if removed:
            logs.untag_log_group(logGroupName=id, tags=removed)

    def delete(self, id: str, state: Properties) -> None:
        if not state.get("skipDestroy"):
            found(self.account.client("logs").delete_log_group, GONE, logGroupName=id)

    def _retention(self, name: str, inputs: Properties) -> None:
        logs, days = self.account.client("logs"), inputs.get("retentionInDays")
        if days:
            logs.put_retention_policy(logGroupName=name, retentionInDays=days)
        else:
            logs.delete_retention_policy(logGroupName=name)


@handles("aws:cloudwatch/logMetricFilter:LogMetricFilter")
class LogMetricFilter(Resource):
    replaces = frozenset({"name", "logGroupName"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        group = state["logGroupName"]
        describe = self.account.client("logs").describe_metric_filters
        answer = found(describe, GONE, logGroupName=group, filterNamePrefix=id)
        for given in (answer or {}).get("metricFilters", ()):
            if given["filterName"] == id and given["logGroupName"] == group:
                (metric,) = given["metricTransformations"]
                return {
                    "name": id,
                    "logGroupName": group,
                    "pattern": given["filterPattern"],
                    "metricTransformation": present(
                        name=metric["metricName"],
                        namespace=metric["metricNamespace"],
                        value=metric["metricValue"],
                    ),
                }
        return None

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        delete = self.account.client("logs").delete_metric_filter
        found(delete, GONE, logGroupName=state["logGroupName"], filterName=id)

    def _put(self, inputs: Properties) -> None:
        metric = inputs["metricTransformation"]
        default = metric.get("defaultValue")
        transformation = present(
            metricName=metric["name"],
            metricNamespace=metric["namespace"],
            metricValue=metric["value"],
            defaultValue=None if default in (None, "") else float(default),
            dimensions=metric.get("dimensions"),
            unit=metric.get("unit"),
        )
        self.account.client("logs").put_metric_filter(
            logGroupName=inputs["logGroupName"],
            filterName=inputs["name"],
            filterPattern=inputs["pattern"],
            metricTransformations=[transformation],
        )


@handles("aws:cloudwatch/queryDefinition:QueryDefinition")
class QueryDefinition(Resource):
    """Saved query. Its id is the service's; the provider imports it by its ARN (logs/query_definition.go)."""

    @staticmethod
    def imported(id: str) -> str:
        found = re.fullmatch(r"arn:[a-z-]+:logs:[^:]+:[^:]+:query-definition:([0-9a-f-]{36})", id)
        if found is None:
            raise ValueError(f"unexpected format for ID ({id}), expected a CloudWatch query definition ARN")
        return found[1]

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self.account.client("logs").put_query_definition(**self._arguments(inputs))
        return made["queryDefinitionId"], {"queryDefinitionId": made["queryDefinitionId"]}

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = self.account.client("logs").describe_query_definitions()
        for given in answer["queryDefinitions"]:
            if given["queryDefinitionId"] == id:
                return {
                    "name": given["name"],
                    "queryDefinitionId": id,
                    "queryString": given["queryString"],
                    "logGroupNames": given.get("logGroupNames", []),
                }
        return None

    def update(self, id: str, old: Properties, new: Properties) -> None:
        arguments = self._arguments(new) | {"queryDefinitionId": id}
        self.account.client("logs").put_query_definition(**arguments)

    def delete(self, id: str, state: Properties) -> None:
        delete = self.account.client("logs").delete_query_definition
        found(delete, GONE, queryDefinitionId=id)

    def _arguments(self, inputs: Properties) -> Properties:
        return present(
            name=inputs["name"], queryString=inputs["queryString"], logGroupNames=inputs.get("logGroupNames")
        )
