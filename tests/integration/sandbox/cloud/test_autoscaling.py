"""Test the emulated Auto Scaling group whose template has changed: scale-out and instance refresh."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

SCRIPT = base64.b64encode(b"#!/bin/bash\n").decode()


@dataclass
class Fleet:
    """A group of one instance whose template has a second version."""

    scaling: Any
    template: dict[str, str]

    def instances(self) -> set[str]:
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"]
        return {i["InstanceId"] for i in group["Instances"]}


@pytest.fixture
def fleet(cloud: Cloud) -> Iterator[Fleet]:
    ec2, scaling = (cloud.client(SideName.CN, service) for service in ("ec2", "autoscaling"))
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "t4g.micro", "UserData": SCRIPT}
    made = ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)["LaunchTemplate"]
    template = {"LaunchTemplateId": made["LaunchTemplateId"], "Version": "1"}
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="workers", MinSize=1, MaxSize=9, VPCZoneIdentifier=subnet, LaunchTemplate=template
    )
    ec2.create_launch_template_version(
        LaunchTemplateId=made["LaunchTemplateId"], LaunchTemplateData={**data, "InstanceType": "t4g.small"}
    )
    template["Version"] = "2"
    scaling.update_auto_scaling_group(AutoScalingGroupName="workers", LaunchTemplate=template)
    yield Fleet(scaling, template)
    scaling.delete_auto_scaling_group(AutoScalingGroupName="workers", ForceDelete=True)
    ec2.delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"])


def test_a_raised_desired_capacity_starts_instances(fleet: Fleet) -> None:
    fleet.scaling.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=3)
    assert len(fleet.instances()) == 3


def test_a_refresh_replaces_every_instance_and_is_described(fleet: Fleet) -> None:
    before = fleet.instances()
    id = fleet.scaling.start_instance_refresh(
        AutoScalingGroupName="workers", Strategy="Rolling", Preferences={"MinHealthyPercentage": 100}
    )["InstanceRefreshId"]
    after = fleet.instances()
    assert len(after) == len(before) == 1
    assert not after & before
    described = fleet.scaling.describe_instance_refreshes
    (refresh,) = described(AutoScalingGroupName="workers")["InstanceRefreshes"]
    found = (refresh["InstanceRefreshId"], refresh["Status"], refresh["PercentageComplete"])
    assert found == (id, "Successful", 100)
    assert described(AutoScalingGroupName="workers", InstanceRefreshIds=["another"])["InstanceRefreshes"] == []


def test_a_finished_refresh_cannot_be_cancelled(fleet: Fleet) -> None:
    with pytest.raises(ClientError) as caught:
        fleet.scaling.cancel_instance_refresh(AutoScalingGroupName="workers")
    assert caught.value.response["Error"]["Code"] == "ActiveInstanceRefreshNotFound"
