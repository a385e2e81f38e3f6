"""Test the operators' roles: generated from the calls of a deployment, and no wider than necessary."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config.partitions import partition_of
from dualsync.components.monitoring.observability import KEY_MANAGEMENT
from dualsync.runtime.operations.aws.account import partition_of as partition_name
from dualsync.runtime.operations.setup.stack_files import Answers, SideAnswers, stack_files, write_files
from dualsync.runtime.settings import SideName
from policy.documents import allowed, is_identity
from policy.rules.access.privilege import ROLE_ACTIONS, USER_ACTIONS
from sandbox.environment.processes import ROOT
from tests.unit.components.conftest import both_sides, bundles, tidy_threads
from tests.unit.policy.plans import plan_of
from tests.unit.runtime.commands import test_smoke
from tools.iam_roles import __main__ as command
from tools.iam_roles.__main__ import declared
from tools.iam_roles.actions import CHANGING, READING, UnknownActionError, actions, resource_kinds
from tools.iam_roles.evaluator import Request, decide
from tools.iam_roles.identities import by_key_policy
from tools.iam_roles.machines import machines
from tools.iam_roles.options import options
from tools.iam_roles.questions import BOUNDARY, EC2, QUESTIONS, documents, tagged
from tools.iam_roles.scopes import Scopes
from tools.iam_roles.statements import LIMIT, packed, size
from tools.iam_roles.trust import BRANCH, CLAIMS

__all__ = ["bundles", "tidy_threads"]

FOLDER = ROOT / "docs" / "roles"
FILES = sorted(FOLDER.glob("*.json"))
SIDES = {"cn": ("aws-cn", "111122223333"), "global": ("aws", "444455556666")}
ROLES = ("deploy", "hand-over", "drift", "preview", "smoke")


def load(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


def statements(role: str, side: str) -> Iterator[Mapping[str, Any]]:
    for document in documents(role, side):
        yield from document["Statement"]


def many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def granted(role: str, side: str) -> set[str]:
    return {action for s in statements(role, side) if s["Effect"] == "Allow" for action in s["Action"]}


def test_only_documents_of_roles_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may hold an operator's other files, such as the pair file."""
    for name in ("pair.json", "notes-cn.json", "deploy-cn-9.json", "deploy-cn-1.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(command, "record", lambda pair: None)
    monkeypatch.setattr(command, "generate", lambda recorder: {"deploy-cn-1.json": {"Statement": []}})
    assert command.main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploy-cn-1.json", "notes-cn.json", "pair.json"]
    assert load(tmp_path / "deploy-cn-1.json") == {"Statement": []}


def test_nothing_is_removed_if_the_documents_cannot_be_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy-cn-9.json").write_text("{}")

    def fail(pair: object) -> None:
        raise UnknownActionError("s3:Unknown")

    monkeypatch.setattr(command, "record", fail)
    with pytest.raises(UnknownActionError):
        command.main([str(tmp_path)])
    assert (tmp_path / "deploy-cn-9.json").exists()


def test_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(command, "record", lambda pair: None)
    monkeypatch.setattr(command, "generate", lambda recorder: {})
    assert command.main([str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'file'}: File exists; give a folder that can be written\n"


def test_the_documents_are_up_to_date(tmp_path: Path) -> None:
    """Run `python -m tools.iam_roles docs/roles` after a change of what a deployment makes."""
    # In its own process, because the program leaves event loops open.
    subprocess.run(
        [sys.executable, "-m", "tools.iam_roles", str(tmp_path)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    now = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in FILES} == now


def test_the_pair_is_that_of_the_files_that_init_writes(tmp_path: Path) -> None:
    issuers = {side: f"https://tokens.example.com/{side}" for side in SideName}
    image = f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/lambda-python@sha256:{'a' * 64}"
    answers = Answers(
        pair="ours",
        sides={
            SideName.CN: SideAnswers(
                account="123456789012",
                region="cn-north-1",
                bucket="ours-cn",
                image=image,
                stack="cn",
                issuer=issuers[SideName.CN],
            ),
            SideName.GLOBAL: SideAnswers(
                account="210987654321",
                region="eu-west-1",
                bucket="ours-eu",
                stack="global",
                issuer=issuers[SideName.GLOBAL],
            ),
        },
    )
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    write_files(stack_files(tmp_path, answers, partition_name), force=False)
    with (tmp_path / "Pulumi.global.yaml").open("a") as file:
        file.write("  dualsync:vpcId: vpc-0123456789abcdef0\n  dualsync:maxCapacity: '7'\n")
        file.write("  dualsync:alarmEmail:\n    secure: v1:encrypted\n")
    pair = declared(tmp_path)
    assert (pair.name, str(pair.peer_identity)) == ("ours", "role")
    assert [(side.account_id, side.region, side.bucket, side.issuer) for side in map(pair.side, SideName)] == [
        ("123456789012", "cn-north-1", "ours-cn", issuers[SideName.CN]),
        ("210987654321", "eu-west-1", "ours-eu", issuers[SideName.GLOBAL]),
    ]
    assert [pair.side(side).network.vpc_id for side in SideName] == ["", "vpc-0123456789abcdef0"]
    assert pair.side(SideName.GLOBAL).fleet.max_capacity == 7
    # A company with one of the accounts has one stack's file, whose facts of the other side count.
    (tmp_path / "Pulumi.global.yaml").unlink()
    assert declared(tmp_path).side(SideName.GLOBAL).bucket == "ours-eu"
    (tmp_path / "Pulumi.cn.yaml").unlink()
    assert declared(tmp_path).name == "dth-dual"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_document_fits_a_managed_policy_and_has_unique_statement_ids(path: Path) -> None:
    found = load(path)
    assert size(dict(found)) <= LIMIT
    names = [s["Sid"] for s in found["Statement"]]
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("role", ROLES)
def test_actions_with_resource_types_name_resources_or_have_conditions(role: str, side: str) -> None:
    for statement in statements(role, side):
        if statement["Effect"] == "Deny":
            continue
        resources = many(statement["Resource"])
        for action in statement["Action"]:
            assert "*" not in action
            if resources == ["*"] and "Condition" not in statement:
                assert resource_kinds(action) == (), action
        for arn in resources:
            if arn != "*":
                partition, account = SIDES[side]
                assert arn.split(":")[1] == partition, arn
                assert arn.split(":")[4] in ("", account), arn


FOREIGN = {
    "autoscaling": "autoScalingGroup:*:autoScalingGroupName/other",
    "cloudwatch": "alarm:other",
    "dynamodb": "table/other",
    "ecs": "cluster/other",
    "logs": "log-group:other",
    "scheduler": "schedule/default/other",
    "secretsmanager": "secret:other-AbCdEf",
    "sns": "other",
    "sqs": "other",
    "ssm": "parameter/other",
}
BESIDE = {
    ("ec2:AuthorizeSecurityGroupEgress", "security-group-rule"),
    ("ec2:CreateSecurityGroup", "vpc"),
    ("ec2:CreateVpcEndpoint", "route-table"),
    ("ec2:CreateVpcEndpoint", "vpc"),
    ("ec2:ModifyVpcEndpoint", "route-table"),
}
"""Kinds that a call names beside a resource of the pair, whose tags are checked."""

MADE = {
    ("ec2:CreateLaunchTemplate", "launch-template"),
    ("ec2:CreateSecurityGroup", "security-group"),
    ("ec2:CreateVpcEndpoint", "vpc-endpoint"),
    ("kms:TagResource", "key"),
}
"""Kinds that the call creates, and tags of a key, which give no right on it."""


@pytest.mark.parametrize("side", SIDES)
def test_no_action_of_the_deploy_role_reaches_another_teams_resource(side: str) -> None:
    """Evaluate every granted action on a foreign resource of each kind, with the context that allows the most."""
    partition, account = SIDES[side]
    region = {"cn": "cn-north-1", "global": "us-west-2"}[side]
    own = {"aws:RequestTag/dualsync:pair": "dth-dual", "aws:RequestTag/dualsync:side": side}
    boundary = {"iam:PermissionsBoundary": f"arn:{partition}:iam::{account}:policy/dth-dual-{side}-boundary"}
    context: dict[str, str | tuple[str, ...]] = {
        **own,
        **boundary,
        "iam:PassedToService": "ec2.amazonaws.com",
        "aws:TagKeys": ("dualsync:pair",),
    }
    reached = set()
    asked = 0
    for action in sorted(granted("deploy", side)):
        service = action.partition(":")[0]
        for kind in resource_kinds(action):
            place = ("", account) if service == "iam" else ("", "") if service == "s3" else (region, account)
            path = FOREIGN.get(
                service, "other/key" if kind == "object" else f"{kind}/other" if service != "s3" else "x"
            )
            asked += 1
            request = Request(action, f"arn:{partition}:{service}:{place[0]}:{place[1]}:{path}", context)
            if decide(documents("deploy", side), request).allowed:
                reached.add((action, kind))
    assert asked > 200
    assert reached == BESIDE | MADE


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.role}: {q.goal}")
def test_a_stolen_pipeline_role_allows_only_what_is_intended(question: Any) -> None:
    assert question.answer().allowed is question.wanted


def test_the_first_deployment_is_allowed_every_call() -> None:
    """Calls with several resources are authorised on each of them."""
    new, old = tagged("aws:RequestTag"), tagged("aws:ResourceTag")
    template = {"ec2:LaunchTemplate": f"{EC2}launch-template/lt-1"}
    for action, kind, context in (
        ("CreateSecurityGroup", "security-group", new),
        ("CreateSecurityGroup", "vpc", {}),
        ("AuthorizeSecurityGroupEgress", "security-group", old),
        ("AuthorizeSecurityGroupEgress", "security-group-rule", {}),
        ("RevokeSecurityGroupEgress", "security-group", old),
        ("DeleteSecurityGroup", "security-group", old),
        ("CreateLaunchTemplate", "launch-template", new),
        ("CreateLaunchTemplateVersion", "launch-template", old),
        ("CreateVpcEndpoint", "vpc-endpoint", new),
        ("CreateVpcEndpoint", "vpc", {}),
        ("CreateVpcEndpoint", "route-table", {}),
        ("CreateTags", "launch-template", {**new, "ec2:CreateAction": "CreateLaunchTemplate"}),
        ("CreateTags", "instance", {**new, "ec2:CreateAction": "RunInstances"}),
        ("CreateTags", "security-group", old),
        ("DeleteTags", "security-group", old),
        ("RunInstances", "launch-template", {**old, **template}),
        ("RunInstances", "security-group", {**old, **template}),
        ("RunInstances", "instance", template),
        ("RunInstances", "volume", template),
        ("RunInstances", "network-interface", template),
        ("RunInstances", "subnet", template),
    ):
        request = Request(f"ec2:{action}", f"{EC2}{kind}/x-1", context)
        assert decide(documents("deploy"), request).allowed, (action, kind)
    image = "arn:aws-cn:ec2:cn-north-1::image/ami-1"
    assert decide(documents("deploy"), Request("ec2:RunInstances", image, template)).allowed
    parameter = (
        "arn:aws-cn:ssm:cn-north-1::parameter/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    )
    assert decide(documents("deploy"), Request("ssm:GetParameters", parameter)).allowed
    iam = "arn:aws-cn:iam::111122223333:"
    for action, resource in (
        ("CreateUser", "user/dth-dual-user"),
        ("CreateRole", "role/dth-dual-cn-finder-task"),
        ("PutRolePolicy", "role/dth-dual-cn-worker"),
    ):
        assert decide(documents("deploy"), Request(f"iam:{action}", iam + resource, BOUNDARY)).allowed
    attach = {**BOUNDARY, "iam:PolicyARN": f"{iam}policy/dth-dual-policy"}
    assert decide(documents("deploy"), Request("iam:AttachUserPolicy", f"{iam}user/dth-dual-user", attach)).allowed


def test_calls_on_a_key_that_no_identity_policy_allows_are_in_the_key_policy() -> None:
    """Evaluate every call of the program and the provider on an existing key."""
    called = actions("kms", CHANGING["kms"]) | {
        *("kms:CreateAlias", "kms:DeleteAlias", "kms:EnableKeyRotation", "kms:ScheduleKeyDeletion")
    }
    assert by_key_policy(called) <= {*KEY_MANAGEMENT}
    assert not any(
        a.startswith(("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant")) for a in KEY_MANAGEMENT
    )


@pytest.mark.parametrize("side", SideName)
def test_the_boundary_allows_exactly_the_listed_rights(side: SideName, bundles: Path) -> None:
    plan = plan_of("cn", bundles, both_sides())
    asked = 0
    for resource in plan.resources:
        if not is_identity(resource) or resource.account is None or not resource.account.name.endswith(f"-{side}"):
            continue
        for statement in allowed(resource):
            context = {k: v for block in statement.conditions.values() for k, v in block.items()}
            for action in statement.actions:
                for arn in statement.resources:
                    # The recorder's ARNs of tables and log groups lack their kind.
                    name = arn.replace(":cloudwatch:", ":logs:").replace("??????", "AbCdEf")
                    name = name.replace(":dth-dual", ":table/dth-dual") if ":dynamodb:" in name else name
                    name = name.replace(":dth-dual", ":log-group:dth-dual", 1) if ":logs:" in name else name
                    asked += 1
                    request = Request(action, name, context)
                    assert decide(documents("boundary", side), request).allowed, (resource.name, action, name)
    assert asked > 40
    options = {"s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"}
    assert granted("boundary", side) <= USER_ACTIONS | ROLE_ACTIONS | options


@pytest.mark.parametrize("side", SIDES)
def test_the_hand_over_role_writes_one_secret_and_nothing_else(side: str) -> None:
    verbs = ("Describe", "Get", "List", "Head")
    writes = {a for a in granted("hand-over", side) if not a.partition(":")[2].startswith(verbs)}
    assert writes
    assert all(a.startswith("secretsmanager:") for a in writes)
    resources = {r for s in statements("hand-over", side) if writes & {*s["Action"]} for r in many(s["Resource"])}
    assert len(resources) == 1


@pytest.mark.parametrize("side", SIDES)
def test_read_only_roles_can_change_nothing_and_read_no_secret(side: str) -> None:
    verbs = ("Describe", "Get", "List", "Head")
    for role in ("preview", "drift"):
        assert all(a.partition(":")[2].startswith(verbs) for a in granted(role, side)), role
    assert not any(a.startswith(("secretsmanager:", "kms:")) for a in granted("preview", side))


@pytest.mark.parametrize("side", SIDES)
def test_the_deploy_role_may_not_access_objects_of_the_data_bucket(side: str) -> None:
    bucket = {"cn": "dth-dual-dev-cn-north-1", "global": "dth-dual-dev-us-west-2"}[side]
    about = [s for s in statements("deploy", side) if bucket in json.dumps(s["Resource"])]
    actions_ = {a for s in about for a in s["Action"]}
    assert "s3:PutBucketNotification" in actions_
    assert not actions_ & {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteBucket", "s3:PutBucketPolicy"}


class Recorded:
    """A bucket, or another part of a side, that records the methods that are called."""

    def __init__(self, part: Any, name: str, used: set[str]) -> None:
        self._part, self._name, self._used = part, name, used

    def __getattr__(self, method: str) -> Any:
        self._used.add(f"{self._name}.{method}")
        return getattr(self._part, method)


NEEDED = {
    "bucket.put": "s3:PutObject",
    "bucket.read": "s3:GetObject",
    "bucket.head": "s3:GetObject",
    "bucket.delete": "s3:DeleteObject",
}
"""Actions that a bucket's methods need (S3 User Guide, Required permissions for S3 API operations)."""


def test_the_smoke_role_has_exactly_the_rights_of_the_smoke_test() -> None:
    used: set[str] = set()
    operator = test_smoke.operator(*SideName)
    for side, found in list(operator.sides.items()):
        parts = {n: Recorded(getattr(found, n), n, used) for n in ("bucket", "ledger", "queue", "store", "metrics")}
        operator.change(side, **parts)
    assert operator.call("smoke").code == 0
    assert used == {*NEEDED}
    for name in SIDES:
        # Without the right to list the bucket, S3 answers 403 for a missing key.
        assert granted("smoke", name) == {*NEEDED.values(), "s3:ListBucket"}


def test_a_configured_vpc_limits_the_network_resources_of_calls() -> None:
    pair = declared()
    named = replace(pair.cn, network=replace(pair.cn.network, vpc_id="vpc-1"))
    names = {"ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"}
    ec2 = "arn:aws-cn:ec2:cn-north-1:111122223333:"
    for model, free in ((pair.cn, True), (named, False)):
        found = [{"Statement": machines(Scopes(replace(pair, cn=model), SideName.CN), names)}]

        def may(action: str, resource: str, vpc: str, found: list[dict[str, Any]] = found) -> bool:
            return decide(found, Request(action, ec2 + resource, {"ec2:Vpc": f"{ec2}vpc/{vpc}"})).allowed

        for action in ("ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint"):
            assert may(action, "vpc/vpc-1", "vpc-1")
            assert may(action, "vpc/vpc-2", "vpc-2") is free
        for action in ("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"):
            assert may(action, "route-table/rtb-1", "vpc-1")
            assert may(action, "route-table/rtb-2", "vpc-2") is free


KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/12345678-1234-1234-1234-123456789012"


TOPIC = "arn:aws-cn:sns:cn-north-1:111122223333:events"
SECRET = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:dth-credentials-us-west-2-AbCdEf"
NO_PUBLIC = {"secretsmanager:BlockPublicPolicy": "true"}


def via(service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.cn-north-1.amazonaws.com"}


def test_options_add_the_rights_that_their_resources_need() -> None:
    """DynamoDB, S3 and Secrets Manager use a customer managed key with the rights of the caller."""
    pair = declared()
    security = replace(pair.cn.security, kms_key_arn=KEY, deployers=("arn:aws-cn:iam::111122223333:role/deploy",))
    given = replace(pair, cn=replace(pair.cn, security=security, events_topic_arn=TOPIC))

    def may(role: str, action: str, resource: str, context: Mapping[str, str] = {}) -> bool:
        found = [{"Statement": options(Scopes(given, SideName.CN), role)}]
        return decide(found, Request(action, resource, context)).allowed

    wanted: list[tuple[str, str, str, Mapping[str, str]]] = [
        ("deploy", "kms:CreateGrant", KEY, via("dynamodb")),
        ("deploy", "kms:DescribeKey", KEY, via("dynamodb")),
        *(("deploy", "kms:GenerateDataKey", KEY, via(service)) for service in ("dynamodb", "s3", "secretsmanager")),
        ("hand-over", "kms:GenerateDataKey", KEY, via("secretsmanager")),
        *((role, "kms:Decrypt", KEY, via("secretsmanager")) for role in ("deploy", "hand-over", "drift")),
        *((role, "secretsmanager:PutResourcePolicy", SECRET, NO_PUBLIC) for role in ("deploy", "hand-over")),
        *((role, "secretsmanager:DeleteResourcePolicy", SECRET, {}) for role in ("deploy", "hand-over")),
        *(("deploy", f"sns:{name}", TOPIC, {}) for name in ("Subscribe", "Unsubscribe", "GetSubscriptionAttributes")),
        ("drift", "sns:GetSubscriptionAttributes", TOPIC, {}),
    ]
    assert [call for call in wanted if not may(*call)] == []
    refused: list[tuple[str, str, str, Mapping[str, str]]] = [
        ("drift", "kms:Encrypt", KEY, via("s3")),
        ("hand-over", "kms:Decrypt", KEY, via("s3")),
        ("deploy", "kms:Decrypt", KEY, via("ec2")),
        ("deploy", "kms:PutKeyPolicy", KEY, via("s3")),
        ("deploy", "secretsmanager:PutResourcePolicy", SECRET, {"secretsmanager:BlockPublicPolicy": "false"}),
        ("drift", "secretsmanager:DeleteResourcePolicy", SECRET, {}),
        ("deploy", "sns:DeleteTopic", TOPIC, {}),
        ("drift", "sns:Subscribe", TOPIC, {}),
    ]
    assert [call for call in refused if may(*call)] == []
    assert not any(options(Scopes(given, SideName.CN), role) for role in ("preview", "smoke"))
    assert not any(options(Scopes(pair, SideName.CN), role) for role in ROLES)
    assert not any(options(Scopes(given, SideName.GLOBAL), role) for role in ROLES)


@pytest.mark.parametrize("side", SIDES)
def test_roles_may_be_passed_only_to_three_services(side: str) -> None:
    (passing,) = [s for s in statements("deploy", side) if s["Action"] == ["iam:PassRole"]]
    services = {n.partition(".")[0] for n in passing["Condition"]["StringEquals"]["iam:PassedToService"]}
    assert services == {"ec2", "ecs-tasks", "scheduler"}
    assert not any("*" in arn for arn in passing["Resource"])


def subject(role: str, side: str) -> str:
    (statement,) = load(FOLDER / f"{role}-{side}-trust.json")["Statement"]
    found: str = next(v for k, v in statement["Condition"]["StringEquals"].items() if k.endswith(":sub"))
    return found


@pytest.mark.parametrize("side", SIDES)
def test_a_pipelines_roles_trust_the_partitions_audience_and_one_exact_subject(side: str) -> None:
    partition = partition_of({"cn": "cn-north-1", "global": "us-west-2"}[side])
    assert partition is not None
    for role in (*ROLES, "state"):
        (statement,) = load(FOLDER / f"{role}-{side}-trust.json")["Statement"]
        assert {*statement["Condition"]} == {"StringEquals"}
        conditions = statement["Condition"]["StringEquals"]
        assert conditions["token.actions.githubusercontent.com:aud"] == f"sts.{partition.dns_suffix}"
        assert "*" not in subject(role, side)
        assert subject(role, side).count(BRANCH) == 2
        assert "job_workflow_ref:" in subject(role, side)
        assert statement["Principal"]["Federated"].startswith(f"arn:{partition.id}:iam::")
    assert CLAIMS == ("repo", "context", "ref", "job_workflow_ref")


def test_one_sides_job_may_assume_the_other_sides_hand_over_role_only() -> None:
    for side, peer in (("cn", "global"), ("global", "cn")):
        assert f":environment:{side}:" in subject("deploy", side)
        assert f":environment:{side}:" in subject("hand-over", peer)
        assert subject("deploy", side) != subject("deploy", peer)
    # Only these two roles trust a side's own job.
    for role, environment in (
        ("drift", "drift"),
        ("preview", "preview"),
        ("smoke", "smoke"),
        ("state", "preview-state"),
    ):
        assert f":environment:{environment}:" in subject(role, "cn")


def test_the_tables_of_further_calls_have_only_actions_that_exist() -> None:
    for table in (READING, CHANGING):
        for service, operations in table.items():
            assert actions(service, operations)
    with pytest.raises(UnknownActionError):
        actions("s3", ["GetBucketMood"])


def test_documents_that_would_be_too_long_are_split() -> None:
    one = {"Sid": "A", "Effect": "Allow", "Action": ["x" * 2500], "Resource": "*"}
    found = packed([one, one, one])
    assert [[s["Sid"] for s in d["Statement"]] for d in found] == [["A1", "A2"], ["A"]]
    assert all(size(d) <= LIMIT for d in found)
