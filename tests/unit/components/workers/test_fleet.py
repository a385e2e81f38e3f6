"""Test the fleet's resources: hardened template, rolling group with drain, scaling steps, least privilege."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.bundle.bundle import Bundle, BundleArgs
from dualsync.components.config.side_options import Architecture, FleetOptions
from dualsync.components.context import SideContext
from dualsync.components.network import Network
from dualsync.components.workers.fleet import Fleet, FleetArgs, siblings
from dualsync.components.workers.scaling import STEPS, step_adjustments
from dualsync.runtime.settings import SideName
from tests.unit.components.parts import ENVIRONMENT, TinyBundles, World, deploy, pair

QUEUE = "arn:aws-cn:sqs:cn-north-1:111111111111:dth-dual-cn-queue"


def fleet(folder: Path, **options: Any) -> World:
    def program(context: SideContext) -> None:
        bundle = Bundle(context, BundleArgs(architectures=list(Architecture), builder=TinyBundles(folder)))
        Fleet(
            context,
            FleetArgs(
                network=Network(context),
                bundle=bundle,
                environment=ENVIRONMENT,
                queue_name="dth-dual-cn-queue",
                queue_arn=QUEUE,
                dead_letter_queue_arn=f"{QUEUE}-dead",
                table_arn="arn:aws-cn:dynamodb:cn-north-1:111111111111:table/dth-dual-cn-ledger",
            ),
        )

    return deploy(program, World(), pair(fleet=FleetOptions(**options)), SideName.CN)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return fleet(tmp_path)


def test_template_is_hardened(world: World) -> None:
    template = world.one("LaunchTemplate").inputs
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    (volume,) = template["blockDeviceMappings"]
    assert volume["ebs"] == {
        "volumeSize": 8,
        "volumeType": "gp3",
        "encrypted": "true",
        "deleteOnTermination": "true",
    }
    assert template["monitoring"] == {"enabled": False}
    assert template["instanceInitiatedShutdownBehavior"] == "terminate"
    assert template["instanceType"] == "t4g.micro"
    assert "keyName" not in template
    assert template["imageId"] == ("resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")


def test_detailed_monitoring_is_optional(tmp_path: Path) -> None:
    template = fleet(tmp_path, detailed_monitoring=True).one("LaunchTemplate").inputs
    assert template["monitoring"] == {"enabled": True}


def test_image_can_be_pinned(tmp_path: Path) -> None:
    assert fleet(tmp_path, image_id="ami-1").one("LaunchTemplate").inputs["imageId"] == "ami-1"


def test_user_data_boots_the_bundle_that_was_uploaded(world: World) -> None:
    script = base64.b64decode(world.one("LaunchTemplate").inputs["userData"]).decode()
    stored = world.one("BucketObjectv2", "bundle-arm64").inputs
    assert f"sha256='{stored['sourceHash']}'" in script
    assert f"key='{stored['key']}'" in script
    assert "version='v-1'" in script
    assert 'DUALSYNC_SIDE="cn"' in script
    assert 'AWS_REGION="cn-north-1"' in script


def test_the_group_rolls_and_drains_and_ignores_the_desired_capacity(world: World) -> None:
    group = world.one("Group").inputs
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (1, 1, 20)
    assert group["launchTemplate"]["version"] == "7"
    assert group["instanceRefresh"]["preferences"]["minHealthyPercentage"] == 100
    assert group["waitForCapacityTimeout"] == "0"
    assert group["vpcZoneIdentifiers"] == ["subnet-a", "subnet-b"]
    assert "mixedInstancesPolicy" not in group
    hook = world.one("LifecycleHook").inputs
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["defaultResult"] == "CONTINUE"


def test_spot_applies_only_to_instances_above_the_base_capacity(tmp_path: Path) -> None:
    group = fleet(tmp_path, spot_percent=75, min_capacity=2, desired_capacity=2).one("Group").inputs
    assert "launchTemplate" not in group
    distribution = group["mixedInstancesPolicy"]["instancesDistribution"]
    assert distribution["onDemandBaseCapacity"] == 2
    assert distribution["onDemandPercentageAboveBaseCapacity"] == 25
    template = group["mixedInstancesPolicy"]["launchTemplate"]
    assert [o["instanceType"] for o in template["overrides"]] == ["t4g.micro", "t4g.small"]
    assert template["launchTemplateSpecification"]["version"] == "7"


def test_a_side_that_copies_nothing_has_no_instance_and_no_scaling(tmp_path: Path) -> None:
    world = fleet(tmp_path, enabled=False, min_capacity=2, desired_capacity=2)
    group = world.one("Group").inputs
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (0, 0, 0)
    assert world.of("Policy") == world.of("MetricAlarm") == []


def test_siblings() -> None:
    assert siblings("t4g.small") == ["t4g.small", "t4g.medium"]
    assert siblings("c7g.metal") == ["c7g.metal"]


@pytest.mark.parametrize(
    ("backlog", "added"), [(100, 1), (499, 1), (500, 2), (1999, 2), (2000, 5), (9999, 5), (10000, 10), (10**6, 10)]
)
def test_scaling_steps_are_those_of_the_guide(backlog: int, added: int) -> None:
    above = backlog - STEPS[0][0]
    (step,) = [
        s
        for s in step_adjustments()
        if float(str(s.metric_interval_lower_bound)) <= above
        and (s.metric_interval_upper_bound is None or above < float(str(s.metric_interval_upper_bound)))
    ]
    assert step.scaling_adjustment == added


def test_scaling_counts_waiting_and_received_messages(world: World) -> None:
    out = world.one("MetricAlarm", "scale-out-alarm").inputs
    assert (out["threshold"], out["comparisonOperator"]) == (100, "GreaterThanOrEqualToThreshold")
    queries = {q["id"]: q for q in out["metricQueries"]}
    assert queries["visible"]["metric"]["metricName"] == "ApproximateNumberOfMessagesVisible"
    assert queries["inflight"]["metric"]["metricName"] == "ApproximateNumberOfMessagesNotVisible"
    assert "visible + inflight" in queries["result"]["expression"]
    assert [q["id"] for q in out["metricQueries"] if q["returnData"]] == ["result"]
    assert out["alarmActions"] == [f"arn:test:{world.one('Policy', 'scale-out').type}:dth-dual-cn-scale-out"]


def test_an_empty_queue_scales_the_fleet_to_its_minimum(tmp_path: Path) -> None:
    world = fleet(tmp_path, min_capacity=2, desired_capacity=2)
    back = world.one("Policy", "scale-in").inputs
    assert back["adjustmentType"] == "ExactCapacity"
    assert [s["scalingAdjustment"] for s in back["stepAdjustments"]] == [2]
    assert {p.inputs["estimatedInstanceWarmup"] for p in world.of("Policy")} == {120}


def test_a_fleet_scaled_to_zero_starts_with_the_first_message(tmp_path: Path) -> None:
    assert [p.name for p in fleet(tmp_path).of("Policy") if p.name.endswith("wake")] == []
    world = fleet(tmp_path, min_capacity=0, desired_capacity=0)
    alarm = world.one("MetricAlarm", "wake-alarm").inputs
    assert alarm["threshold"] == 1
    assert alarm["metricQueries"][-1]["expression"] == "IF(FILL(FILL(instances, REPEAT), 0) < 1, visible, 0)"
    assert world.one("Policy", "wake").inputs["stepAdjustments"] == [
        {"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}
    ]


def statements(world: World, name: str) -> dict[str, dict[str, Any]]:
    (policy,) = [r for r in world.of("RolePolicy") if r.inputs["name"] == name]
    return {s["Sid"]: s for s in json.loads(policy.inputs["policy"])["Statement"]}


def test_worker_has_exactly_the_rights_that_it_needs(tmp_path: Path) -> None:
    found = statements(fleet(tmp_path), "dth-dual-cn-worker")
    assert found["Objects"]["Resource"] == ["arn:aws-cn:s3:::dth-dual-dev-cn-north-1/*"]
    assert found["Bucket"]["Resource"] == "arn:aws-cn:s3:::dth-dual-dev-cn-north-1"
    assert "Condition" not in found["Bucket"]
    assert found["DeadLetters"]["Action"] == ["sqs:SendMessage"]
    assert found["PeerSecret"]["Resource"] == (
        "arn:aws-cn:secretsmanager:cn-north-1:111111111111:secret:dth-credentials-us-west-2-??????"
    )
    assert found["Bundle"]["Resource"] == ["arn:aws-cn:s3:::dth-dual-cn-artifacts-111111111111/bundles/arm64.tar"]
    assert found["Drain"]["Resource"].endswith(":autoScalingGroupName/dth-dual-cn-workers")
    everywhere = {sid for sid, s in found.items() if s["Resource"] == "*"}
    assert everywhere == {"Metrics", "Session"}
    assert found["Metrics"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "dth-dual/cn"}}
    assert not any("*" in action for s in found.values() for action in s["Action"])


def test_log_group_keeps_two_weeks(world: World) -> None:
    log = world.one("LogGroup").inputs
    assert (log["name"], log["retentionInDays"]) == ("dth-dual-cn-worker-log", 14)


def test_role_is_for_the_partitions_ec2(world: World) -> None:
    trust = json.loads(world.one("Role").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}


def test_every_resource_has_the_sides_provider_and_prefix(world: World) -> None:
    ours = [r for r in world.registered if r.type.startswith("aws:")]
    assert ours
    assert {r.provider.rsplit("::", 2)[1] for r in ours} == {"aws-cn"}
    assert {r.name for r in ours if not r.name.startswith("dth-dual-cn-")} == set()
