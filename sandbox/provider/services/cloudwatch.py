"""CloudWatch: alarms and dashboards."""

from __future__ import annotations

from typing import Any

from sandbox.provider.base import Properties, Resource, found, handles, present, retag, tag_list, tag_map


@handles("aws:cloudwatch/metricAlarm:MetricAlarm")
class MetricAlarm(Resource):
    replaces = frozenset({"name"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self._put(inputs, tag_list(inputs))
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        cloudwatch = self.account.client("cloudwatch")
        alarms = cloudwatch.describe_alarms(AlarmNames=[id])["MetricAlarms"]
        if not alarms:
            return None
        alarm = alarms[0]
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        return present(
            arn=alarm["AlarmArn"],
            name=id,
            comparisonOperator=alarm["ComparisonOperator"],
            evaluationPeriods=alarm["EvaluationPeriods"],
            threshold=alarm.get("Threshold"),
            alarmDescription=alarm.get("AlarmDescription"),
            treatMissingData=alarm.get("TreatMissingData"),
            alarmActions=alarm.get("AlarmActions"),
            tagsAll=tag_map(tags),
        )

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new, [])
        cloudwatch, arn = self.account.client("cloudwatch"), self.account.arn("cloudwatch", f"alarm:{id}")
        added, removed = retag(old, new)
        if added:
            cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_list({"tagsAll": added}))
        if removed:
            cloudwatch.untag_resource(ResourceARN=arn, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        self.account.client("cloudwatch").delete_alarms(AlarmNames=[id])

    def _put(self, inputs: Properties, tags: list[dict[str, str]]) -> None:
        self.account.client("cloudwatch").put_metric_alarm(
            AlarmName=inputs["name"],
            ComparisonOperator=inputs["comparisonOperator"],
            EvaluationPeriods=inputs["evaluationPeriods"],
            **present(
                AlarmDescription=inputs.get("alarmDescription"),
                ActionsEnabled=inputs.get("actionsEnabled"),
                AlarmActions=inputs.get("alarmActions"),
                OKActions=inputs.get("okActions"),
                InsufficientDataActions=inputs.get("insufficientDataActions"),
                MetricName=inputs.get("metricName"),
                Namespace=inputs.get("namespace"),
                Statistic=inputs.get("statistic"),
                ExtendedStatistic=inputs.get("extendedStatistic"),
                Dimensions=_dimensions(inputs.get("dimensions")),
                Period=inputs.get("period"),
                Unit=inputs.get("unit"),
                DatapointsToAlarm=inputs.get("datapointsToAlarm"),
                Threshold=inputs.get("threshold"),
                TreatMissingData=inputs.get("treatMissingData"),
                Metrics=[_query(q) for q in inputs.get("metricQueries") or ()] or None,
                Tags=tags or None,
            ),
        )


def _dimensions(given: Properties | None) -> list[dict[str, str]] | None:
    return [{"Name": k, "Value": v} for k, v in sorted(given.items())] if given else None


def _query(given: Properties) -> dict[str, Any]:
    metric = given.get("metric")
    stat = metric and present(
        Metric=present(
            Namespace=metric.get("namespace"),
            MetricName=metric["metricName"],
            Dimensions=_dimensions(metric.get("dimensions")),
        ),
        Period=metric["period"],
        Stat=metric["stat"],
        Unit=metric.get("unit"),
    )
    return present(
        Id=given["id"],
        Label=given.get("label"),
        ReturnData=given.get("returnData"),
        Expression=given.get("expression"),
        MetricStat=stat,
    )


@handles("aws:cloudwatch/dashboard:Dashboard")
class Dashboard(Resource):
    replaces = frozenset({"dashboardName"})
    documents = frozenset({"dashboardBody"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return str(inputs["dashboardName"])

    def read(self, id: str, state: Properties) -> Properties | None:
        gone = ("ResourceNotFound", "DashboardNotFoundError")
        answer = found(self.account.client("cloudwatch").get_dashboard, gone, DashboardName=id)
        if answer is None:
            return None
        return {
            # A dashboard's ARN has no region (CloudWatch API Reference, GetDashboard).
            "dashboardArn": f"arn:{self.account.partition}:cloudwatch::{self.account.account_id}:dashboard/{id}",
            "dashboardName": id,
            "dashboardBody": answer["DashboardBody"],
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        gone = ("ResourceNotFound", "DashboardNotFoundError")
        found(self.account.client("cloudwatch").delete_dashboards, gone, DashboardNames=[id])

    def _put(self, inputs: Properties) -> None:
        self.account.client("cloudwatch").put_dashboard(
            DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"]
        )
