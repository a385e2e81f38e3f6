"""Auto Scaling: groups, lifecycle hooks, scaling policies."""

from __future__ import annotations

from typing import Any

from sandbox.provider.base import Properties, Resource, changed, found, handles, present

GONE = ("ValidationError",)


@handles("aws:autoscaling/group:Group")
class Group(Resource):
    replaces = frozenset({"name", "namePrefix", "initialLifecycleHooks"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        scaling = self.account.client("autoscaling")
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=inputs["name"], Tags=_tags(inputs["name"], inputs), **self._arguments(inputs)
        )
        self._metrics(inputs["name"], inputs)
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = self.account.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[id])
        if not answer["AutoScalingGroups"]:
            return None
        group = answer["AutoScalingGroups"][0]
        template = group.get("LaunchTemplate")
        return present(
            arn=group["AutoScalingGroupARN"],
            name=id,
            minSize=group["MinSize"],
            maxSize=group["MaxSize"],
            desiredCapacity=group["DesiredCapacity"],
            availabilityZones=group.get("AvailabilityZones"),
            vpcZoneIdentifiers=sorted(filter(None, group.get("VPCZoneIdentifier", "").split(","))),
            launchTemplate=template
            and present(
                id=template["LaunchTemplateId"], name=template["LaunchTemplateName"], version=template.get("Version")
            ),
            healthCheckType=group["HealthCheckType"],
            healthCheckGracePeriod=group.get("HealthCheckGracePeriod"),
            defaultCooldown=group.get("DefaultCooldown"),
        )

    def update(self, id: str, old: Properties, new: Properties) -> None:
        scaling = self.account.client("autoscaling")
        arguments = self._arguments(new)
        if not changed(old, new, "desiredCapacity"):
            arguments.pop("DesiredCapacity", None)
        scaling.update_auto_scaling_group(AutoScalingGroupName=id, **arguments)
        if changed(old, new, "enabledMetrics", "metricsGranularity"):
            self._metrics(id, new)
        if changed(old, new, "tags"):
            scaling.create_or_update_tags(Tags=_tags(id, new))
        refresh = new.get("instanceRefresh")
        if refresh and changed(old, new, "launchTemplate", "mixedInstancesPolicy"):
            # As the provider does: it starts the refresh, and does not wait for its end.
            scaling.start_instance_refresh(
                AutoScalingGroupName=id, Strategy=refresh["strategy"], Preferences=_preferences(refresh)
            )

    def delete(self, id: str, state: Properties) -> None:
        found(
            self.account.client("autoscaling").delete_auto_scaling_group,
            GONE,
            AutoScalingGroupName=id,
            ForceDelete=True,
        )

    def _metrics(self, name: str, inputs: Properties) -> None:
        if inputs.get("enabledMetrics"):
            self.account.client("autoscaling").enable_metrics_collection(
                AutoScalingGroupName=name,
                Metrics=inputs["enabledMetrics"],
                Granularity=inputs.get("metricsGranularity", "1Minute"),
            )

    def _arguments(self, inputs: Properties) -> dict[str, Any]:
        return present(
            MinSize=inputs["minSize"],
            MaxSize=inputs["maxSize"],
            DesiredCapacity=inputs.get("desiredCapacity"),
            DefaultCooldown=inputs.get("defaultCooldown"),
            HealthCheckType=inputs.get("healthCheckType"),
            HealthCheckGracePeriod=inputs.get("healthCheckGracePeriod"),
            VPCZoneIdentifier=",".join(inputs["vpcZoneIdentifiers"]) if inputs.get("vpcZoneIdentifiers") else None,
            CapacityRebalance=inputs.get("capacityRebalance"),
            LaunchTemplate=_template(inputs.get("launchTemplate")),
            MixedInstancesPolicy=_mixed(inputs.get("mixedInstancesPolicy")),
        )


def _tags(name: str, inputs: Properties) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag["propagateAtLaunch"],
        }
        for tag in inputs.get("tags") or ()
    ]


def _preferences(refresh: Properties) -> dict[str, Any]:
    given = refresh.get("preferences") or {}
    warm_up = given.get("instanceWarmup")
    return present(
        MinHealthyPercentage=given.get("minHealthyPercentage"),
        MaxHealthyPercentage=given.get("maxHealthyPercentage"),
        InstanceWarmup=int(warm_up) if warm_up else None,
        SkipMatching=given.get("skipMatching"),
        ScaleInProtectedInstances=given.get("scaleInProtectedInstances"),
    )


def _template(given: Properties | None) -> dict[str, Any] | None:
    if not given:
        return None
    id = given.get("id") or given.get("launchTemplateId")
    return present(LaunchTemplateId=id, LaunchTemplateName=given.get("name"), Version=given.get("version"))


def _mixed(given: Properties | None) -> dict[str, Any] | None:
    if not given:
        return None
    template, spread = given["launchTemplate"], given.get("instancesDistribution") or {}
    return {
        "LaunchTemplate": present(
            LaunchTemplateSpecification=_template(template["launchTemplateSpecification"]),
            Overrides=[{"InstanceType": o["instanceType"]} for o in template.get("overrides") or ()] or None,
        ),
        "InstancesDistribution": present(
            OnDemandBaseCapacity=spread.get("onDemandBaseCapacity"),
            OnDemandPercentageAboveBaseCapacity=spread.get("onDemandPercentageAboveBaseCapacity"),
            OnDemandAllocationStrategy=spread.get("onDemandAllocationStrategy"),
            SpotAllocationStrategy=spread.get("spotAllocationStrategy"),
        ),
    }


@handles("aws:autoscaling/policy:Policy")
class Policy(Resource):
    replaces = frozenset({"name", "autoscalingGroupName"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return f"{inputs['autoscalingGroupName']}/{inputs['name']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        group, _, name = id.partition("/")
        describe = self.account.client("autoscaling").describe_policies
        answer = found(describe, GONE, AutoScalingGroupName=group, PolicyNames=[name])
        if not answer or not answer["ScalingPolicies"]:
            return None
        policy = answer["ScalingPolicies"][0]
        return {
            "arn": policy["PolicyARN"],
            "name": name,
            "autoscalingGroupName": group,
            "policyType": policy["PolicyType"],
            "adjustmentType": policy.get("AdjustmentType"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        group, _, name = id.partition("/")
        delete = self.account.client("autoscaling").delete_policy
        found(delete, GONE, AutoScalingGroupName=group, PolicyName=name)

    def _put(self, inputs: Properties) -> None:
        steps = [
            present(
                ScalingAdjustment=s["scalingAdjustment"],
                MetricIntervalLowerBound=_number(s.get("metricIntervalLowerBound")),
                MetricIntervalUpperBound=_number(s.get("metricIntervalUpperBound")),
            )
            for s in inputs.get("stepAdjustments") or ()
        ]
        self.account.client("autoscaling").put_scaling_policy(
            AutoScalingGroupName=inputs["autoscalingGroupName"],
            PolicyName=inputs["name"],
            **present(
                PolicyType=inputs.get("policyType"),
                AdjustmentType=inputs.get("adjustmentType"),
                MetricAggregationType=inputs.get("metricAggregationType"),
                EstimatedInstanceWarmup=inputs.get("estimatedInstanceWarmup"),
                StepAdjustments=steps or None,
            ),
        )


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


@handles("aws:autoscaling/lifecycleHook:LifecycleHook")
class LifecycleHook(Resource):
    """Lifecycle hook. For another group the provider creates it there and leaves the former group's hook in place."""

    replaces = frozenset({"name"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        group = state["autoscalingGroupName"]
        describe = self.account.client("autoscaling").describe_lifecycle_hooks
        answer = found(describe, GONE, AutoScalingGroupName=group, LifecycleHookNames=[id])
        if not answer or not answer["LifecycleHooks"]:
            return None
        hook = answer["LifecycleHooks"][0]
        return {
            "name": id,
            "autoscalingGroupName": group,
            "lifecycleTransition": hook["LifecycleTransition"],
            "heartbeatTimeout": hook.get("HeartbeatTimeout"),
            "defaultResult": hook.get("DefaultResult"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        delete = self.account.client("autoscaling").delete_lifecycle_hook
        found(delete, GONE, AutoScalingGroupName=state["autoscalingGroupName"], LifecycleHookName=id)

    def _put(self, inputs: Properties) -> None:
        self.account.client("autoscaling").put_lifecycle_hook(
            AutoScalingGroupName=inputs["autoscalingGroupName"],
            LifecycleHookName=inputs["name"],
            LifecycleTransition=inputs["lifecycleTransition"],
            **present(HeartbeatTimeout=inputs.get("heartbeatTimeout"), DefaultResult=inputs.get("defaultResult")),
        )
