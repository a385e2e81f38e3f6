"""Test a deployed one-way pair: no resources of the other direction exist, and files arrive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.settings import Direction, SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from sandbox.environment.environment import Stage

CN, GLOBAL = SideName.CN, SideName.GLOBAL
ORDERS = {Direction.CN_TO_GLOBAL: (CN, GLOBAL), Direction.GLOBAL_TO_CN: (CN, GLOBAL)}
"""The order of the two deployments: the source first, and the destination first."""
LISTS: dict[str, Callable[[Any], list[str]]] = {
    "autoscaling": lambda c: [g["AutoScalingGroupName"] for g in c.describe_auto_scaling_groups()["AutoScalingGroups"]],
    "cloudwatch": lambda c: (
        [a["AlarmName"] for a in c.describe_alarms()["MetricAlarms"]]
        + [d["DashboardName"] for d in c.list_dashboards().get("DashboardEntries", ())]
    ),
    "dynamodb": lambda c: c.list_tables()["TableNames"],
    "ec2": lambda c: (
        [t["LaunchTemplateName"] for t in c.describe_launch_templates()["LaunchTemplates"]]
        + [g["GroupName"] for g in c.describe_security_groups()["SecurityGroups"]]
    ),
    "ecs": lambda c: [*c.list_clusters()["clusterArns"], *c.list_task_definitions()["taskDefinitionArns"]],
    "iam": lambda c: (
        [f"role {r['RoleName']}" for r in c.list_roles()["Roles"]]
        + [f"profile {p['InstanceProfileName']}" for p in c.list_instance_profiles()["InstanceProfiles"]]
        + [f"user {u['UserName']}" for u in c.list_users()["Users"]]
        + [f"policy {p['PolicyName']}" for p in c.list_policies(Scope="Local")["Policies"]]
    ),
    "kms": lambda c: [k["KeyId"] for k in c.list_keys()["Keys"]],
    "logs": lambda c: [g["logGroupName"] for g in c.describe_log_groups()["logGroups"]],
    "s3": lambda c: [b["Name"] for b in c.list_buckets()["Buckets"]],
    "scheduler": lambda c: [s["Name"] for s in c.list_schedules()["Schedules"]],
    "secretsmanager": lambda c: [s["Name"] for s in c.list_secrets()["SecretList"]],
    "sns": lambda c: [t["TopicArn"] for t in c.list_topics()["Topics"]],
    "sqs": lambda c: c.list_queues().get("QueueUrls", []),
}
"""Functions that list an account's resources, per service."""


@dataclass
class Deployed:
    """A deployed one-way pair, with the resources of both accounts before and after the deployment."""

    stage: Stage
    source: SideName
    before: dict[SideName, set[str]]
    after: dict[SideName, set[str]]

    def created(self, side: SideName) -> set[str]:
        """Return the resources that the deployment created in an account."""
        return self.after[side] - self.before[side]

    def s3(self, side: SideName) -> Any:
        return self.stage.s3(side)

    def put(self, side: SideName, key: str, body: bytes) -> None:
        self.s3(side).put_object(Bucket=self.stage.buckets[side], Key=key, Body=body)

    def body(self, side: SideName, key: str) -> bytes | None:
        """Return an object's content; None if there is none."""
        try:
            return bytes(self.s3(side).get_object(Bucket=self.stage.buckets[side], Key=key)["Body"].read())
        except ClientError:
            return None

    def arrives(self, key: str, body: bytes | None) -> bool:
        return wait_for(lambda: self.body(self.source.peer, key) == body, 30)

    def is_idle(self) -> bool:
        return wait_for(lambda: not any(self.stage.backlog(self.source)), 30)

    def dualsync(self, *arguments: str) -> tuple[int, Any]:
        """Run an operator's command over the deployed pair; return its exit code and its document."""
        command = [sys.executable, "-m", "dualsync.runtime", "--pair", str(self.stage.write_pair())]
        environment = {**os.environ, **self.stage.workspace.environment}
        done = subprocess.run([*command, *arguments, "--json"], env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)


def inventory(stage: Stage, side: SideName) -> set[str]:
    """Return the resources of an account."""
    clients = {service: stage.cloud.client(side, service) for service in LISTS}
    return {f"{service}: {name}" for service, names in LISTS.items() for name in names(clients[service])}


@pytest.fixture(scope="module", params=list(ORDERS))
def deployed(request: pytest.FixtureRequest) -> Iterator[Deployed]:
    direction: Direction = request.param
    source = direction.source
    assert source is not None
    with Stage.open("one-way", settings={"DUALSYNC_RETRY_DELAY_SECONDS": "1"}) as stage:
        stage.make_buckets()
        stage.build_bundles()
        before = {side: inventory(stage, side) for side in SideName}
        for side in ORDERS[direction]:
            stage.deploy(side, config={"direction": str(direction)})
        after = {side: inventory(stage, side) for side in SideName}
        stage.fleet.start(source)
        stage.fleet.wait_until_running()
        yield Deployed(stage, source, before, after)


def test_the_destination_gets_a_user_with_its_policy_and_nothing_else(deployed: Deployed) -> None:
    source, destination = deployed.source, deployed.source.peer
    made = deployed.created(destination)
    assert {name.split()[1] for name in made} == {"user", "policy"}
    assert len(made) == 2
    outputs = deployed.stage.fleet.outputs[destination]
    assert f"iam: user {outputs['userName']}" in made
    configured = deployed.s3(destination).get_bucket_notification_configuration(
        Bucket=deployed.stage.buckets[destination]
    )
    entries = [e["Id"] for name, given in configured.items() if name.endswith("Configurations") for e in given]
    assert entries == (["another-teams-restores"] if destination is CN else [])
    assert outputs["queueUrl"] == outputs["ledgerTable"] == outputs["workerGroup"] == outputs["finderTask"] == ""
    services = {name.partition(":")[0] for name in deployed.created(source)}
    assert services >= set(LISTS) - {"kms"}, "each list is able to show what a side has"


def test_no_user_and_no_key_of_the_source_exists(deployed: Deployed) -> None:
    source = deployed.source
    assert not {name for name in deployed.created(source) if name.startswith(("iam: user", "iam: policy"))}
    outputs = deployed.stage.fleet.outputs
    secret = deployed.stage.cloud.client(source, "secretsmanager").get_secret_value(
        SecretId=outputs[source]["secretName"]
    )
    handed = json.loads(secret["SecretString"])
    assert (handed["user_id"], handed["access_key_id"]) == (
        outputs[source.peer]["userId"],
        outputs[source.peer]["keyId"],
    )


def test_a_file_its_edit_and_its_deletion_are_copied(deployed: Deployed) -> None:
    source = deployed.source
    for body in (b"first", b"second"):
        deployed.put(source, "travels/über + 1.txt", body)
        assert deployed.arrives("travels/über + 1.txt", body)
    deployed.s3(source).delete_object(Bucket=deployed.stage.buckets[source], Key="travels/über + 1.txt")
    assert deployed.arrives("travels/über + 1.txt", None)
    assert deployed.is_idle()


def test_changes_at_the_destination_are_not_sent_back_and_the_finder_mirrors_the_source(deployed: Deployed) -> None:
    source, destination = deployed.source, deployed.source.peer
    for key in ("edited", "removed"):
        deployed.put(source, key, b"source's")
        assert deployed.arrives(key, b"source's")
    deployed.put(destination, "edited", b"changed there")
    deployed.put(destination, "theirs", b"their own")
    deployed.s3(destination).delete_object(Bucket=deployed.stage.buckets[destination], Key="removed")
    found = deployed.stage.fleet.find(source, {"DUALSYNC_FINDER_GRACE_SECONDS": "0"})
    assert found["queued"] == 2
    assert deployed.arrives("edited", b"source's")
    assert deployed.arrives("removed", b"source's")
    assert deployed.is_idle()
    assert deployed.body(source, "theirs") is None
    assert deployed.body(destination, "theirs") == b"their own"
    assert deployed.stage.backlog(source) == (0, 0)


def test_the_worker_may_write_nothing_at_the_source(deployed: Deployed) -> None:
    source = deployed.source
    iam = deployed.stage.cloud.client(source, "iam")
    (role,) = [n.split()[-1] for n in deployed.created(source) if n.startswith("iam: role") and n.endswith("-worker")]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    bucket = f"arn:{ACCOUNTS[source].partition}:s3:::{deployed.stage.buckets[source]}"
    actions = {
        action
        for document in documents
        for statement in document["Statement"]
        for action in _list(statement["Action"])
        if any(str(resource).startswith(bucket) for resource in _list(statement["Resource"]))
    }
    assert actions
    assert {action for action in actions if not action.startswith(("s3:Get", "s3:List"))} == set()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_operators_see_one_direction(deployed: Deployed) -> None:
    source, destination = deployed.source, deployed.source.peer
    deployed.put(source, "seen", b"1")
    assert deployed.arrives("seen", b"1")
    assert deployed.is_idle()
    name = f"{source}->{destination}"
    _, status = deployed.dualsync("status")
    assert (status["one_way"], [d["name"] for d in status["directions"]]) == (name, [name])
    assert [p for p in status["problems"] if destination in p["direction"].split("->")[0]] == []
    code, pending = deployed.dualsync("pending")
    assert (code, [d["name"] for d in pending["directions"]]) == (0, [name])
    code, explained = deployed.dualsync("explain", "seen")
    assert (code, explained["verdict"]) == (0, f"Both sides hold the same version, written at {source}.")
    code, listed = deployed.dualsync("deletions", "list", "--live")
    assert (code, listed["pending"]) == (0, [])
