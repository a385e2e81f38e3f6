"""Test the finder's resources: a task definition that ECS accepts, its schedule, and its rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from dualsync.components.bundle.bundle import Bundle, BundleArgs
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.images import STOCK
from dualsync.components.config.side_options import Architecture, FinderOptions, FleetOptions
from dualsync.components.context import SideContext
from dualsync.components.finder import Finder, FinderArgs, rate, repository_arn
from dualsync.components.network import Network
from dualsync.runtime.settings import SideName
from tests.unit.components.parts import ENVIRONMENT, IMAGE_CN, TinyBundles, World, deploy, pair


def finder(folder: Path, side: SideName = SideName.CN, **options: Any) -> World:
    def program(context: SideContext) -> None:
        bundle = Bundle(context, BundleArgs(architectures=list(Architecture), builder=TinyBundles(folder)))
        finder = Finder(
            context,
            FinderArgs(
                network=Network(context),
                bundle=bundle,
                environment=ENVIRONMENT,
                queue_arn=context.arn("sqs", "queue"),
                dead_letter_arn=context.arn("sqs", "dead-letters"),
                table_arn=context.arn("dynamodb", "table/ledger"),
            ),
        )
        finder.start_on_schedule([])

    fleet = FleetOptions(enabled=options.pop("enabled", True))
    return deploy(program, World(), pair(fleet=fleet, finder=FinderOptions(**{"image": IMAGE_CN, **options})), side)


def statements(world: World, name: str) -> dict[str, dict[str, Any]]:
    (policy,) = [r for r in world.of("RolePolicy") if r.inputs["name"] == name]
    return {s["Sid"]: s for s in json.loads(policy.inputs["policy"])["Statement"]}


@pytest.mark.parametrize("side", SideName)
def test_the_task_definition_is_valid_for_ecs(tmp_path: Path, side: SideName) -> None:
    definition = finder(tmp_path, side).one("TaskDefinition").inputs
    containers = json.loads(definition["containerDefinitions"])
    request = {
        "family": definition["family"],
        "cpu": definition["cpu"],
        "memory": definition["memory"],
        "networkMode": definition["networkMode"],
        "requiresCompatibilities": definition["requiresCompatibilities"],
        "runtimePlatform": definition["runtimePlatform"],
        "containerDefinitions": containers,
    }
    # The provider's keys inside a runtime platform are AWS's; the values must be the model's too.
    model = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    architectures: Any = model.service_model.shape_for("CPUArchitecture")
    assert model.input_shape is not None
    assert ParamValidator().validate(request, model.input_shape).generate_report() == ""
    assert len(json.dumps(request)) < 64 * 1024
    assert definition["runtimePlatform"]["cpuArchitecture"] in architectures.enum


def test_stock_image_fetches_the_uploaded_bundle(tmp_path: Path) -> None:
    world = finder(tmp_path)
    (container,) = json.loads(world.one("TaskDefinition").inputs["containerDefinitions"])
    stored = world.one("BucketObjectv2", "bundle-x86_64").inputs
    assert container["image"] == IMAGE_CN
    assert container["command"] == [stored["bucket"], stored["key"], "v-1", stored["sourceHash"], "/dev/shm/dualsync"]
    assert container["entryPoint"][:2] == ["python3", "-c"]
    compile(container["entryPoint"][2], "start_finder", "exec")
    assert container["readonlyRootFilesystem"]
    assert container["user"] == "1000:1000"
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert not container.get("privileged")
    assert "mountPoints" not in container
    assert container["logConfiguration"]["options"]["awslogs-group"] == "dth-dual-cn-finder-log"
    assert {"name": "DUALSYNC_SIDE", "value": "cn"} in container["environment"]


def test_finder_may_list_and_queue_but_write_no_object(tmp_path: Path) -> None:
    found = statements(finder(tmp_path), "dth-dual-cn-finder-task")
    assert found["Objects"]["Action"] == ["s3:AbortMultipartUpload", "s3:GetObject"]
    assert found["Queue"]["Action"] == ["sqs:GetQueueAttributes", "sqs:SendMessage"]
    assert found["DeadLetters"]["Action"] == ["sqs:GetQueueAttributes"]
    assert {sid for sid, s in found.items() if s["Resource"] == "*"} == {"Others"}
    assert found["Others"]["Condition"] == {
        "ArnEquals": {"ecs:cluster": "arn:aws-cn:ecs:cn-north-1:111111111111:cluster/dth-dual-cn-cluster"}
    }


def test_schedule_starts_this_task_only(tmp_path: Path) -> None:
    world = finder(tmp_path)
    schedule = world.one("Schedule").inputs
    assert schedule["scheduleExpression"] == "rate(1 hour)"
    assert "startDate" not in schedule
    network = schedule["target"]["ecsParameters"]["networkConfiguration"]
    assert network["assignPublicIp"] is True
    assert network["subnets"] == ["subnet-a", "subnet-b"]
    found = statements(world, "dth-dual-cn-finder-schedule")
    assert found["Start"]["Resource"].endswith(":task-definition/dth-dual-cn-finder:*")
    assert found["Roles"]["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert len(found["Roles"]["Resource"]) == 2


def test_an_existing_cluster_is_used(tmp_path: Path) -> None:
    world = finder(tmp_path, cluster="shared")
    assert world.of("Cluster") == []
    assert world.one("Schedule").inputs["target"]["arn"] == "arn:aws-cn:ecs:cn-north-1:111111111111:cluster/shared"


def test_the_image_is_public_where_a_public_registry_exists(tmp_path: Path) -> None:
    world = finder(tmp_path, SideName.GLOBAL)
    (container,) = json.loads(world.one("TaskDefinition").inputs["containerDefinitions"])
    assert container["image"] == STOCK
    assert set(statements(world, "dth-dual-global-finder-start")) == {"Logs"}


def test_china_without_a_private_image_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        finder(tmp_path, image="")
    text = str(raised.value)
    assert text.startswith("cn.finderImage: not given")
    copy = IMAGE_CN.partition("@")[0]
    assert f"imagetools create -t {copy}:3.12 {STOCK}" in text
    assert f"give {copy}@<digest>, with the digest from `aws ecr describe-images" in text


def test_private_image_may_be_pulled(tmp_path: Path) -> None:
    found = statements(finder(tmp_path), "dth-dual-cn-finder-start")
    assert found["Image"]["Resource"] == "arn:aws-cn:ecr:cn-north-1:111111111111:repository/lambda-python"
    assert found["Registry"]["Resource"] == "*"


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (STOCK, ""),
        ("docker.io/library/python:3.11", ""),
        (f"{IMAGE_CN.split(':')[0]}@sha256:{'a' * 64}", "lambda-python"),
        ("333333333333.dkr.ecr.cn-northwest-1.amazonaws.com.cn/team/python:1", "team/python"),
    ],
)
def test_repository_of_an_image(image: str, repository: str) -> None:
    found: list[str] = []
    deploy(lambda context: found.append(repository_arn(context, image)), World(), pair(), SideName.CN)
    assert found[0].partition("repository/")[2] == repository


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (1, "rate(1 minute)"),
        (30, "rate(30 minutes)"),
        (60, "rate(1 hour)"),
        (90, "rate(90 minutes)"),
        (120, "rate(2 hours)"),
    ],
)
def test_rate(minutes: int, text: str) -> None:
    assert rate(minutes) == text


def test_a_side_that_copies_nothing_starts_no_finder(tmp_path: Path) -> None:
    assert finder(tmp_path).one("Schedule").inputs["state"] == "ENABLED"
    assert finder(tmp_path, enabled=False).one("Schedule").inputs["state"] == "DISABLED"
