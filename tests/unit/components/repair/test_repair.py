"""Test the repair of a stack's state: imports, removals, and what is left to the next deployment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.components.repair import __main__ as command
from dualsync.components.repair import ids
from dualsync.components.repair.ids import LOOKUPS, NAMED, Finder
from dualsync.components.repair.state import Pending, adopt, forget, pending_creates, provider_inputs

STACK = "urn:pulumi:cn::dualsync"
OWN, PEER = (f"{STACK}::pulumi:providers:aws::dth-dual-{side}" for side in ("cn", "global"))


def resource(type_: str, name: str, provider: str = OWN, **more: Any) -> dict[str, Any]:
    return {"urn": f"{STACK}::{type_}::{name}", "type": type_, "provider": f"{provider}::id", **more}


def state(*resources: Mapping[str, Any], pending: tuple[Mapping[str, Any], ...] = ()) -> dict[str, Any]:
    head = [
        {
            "urn": f"{STACK}::pulumi:pulumi:Stack::dualsync-cn",
            "type": "pulumi:pulumi:Stack",
            "outputs": {"manages": ["cn"]},
        },
        *(
            {"urn": urn, "type": "pulumi:providers:aws", "inputs": {"region": "cn-north-1", "profile": "ours"}}
            for urn in (OWN, PEER)
        ),
    ]
    operations = [{"type": "creating", "resource": dict(r)} for r in pending]
    return {"version": 3, "deployment": {"resources": [*head, *resources], "pending_operations": operations}}


ROLE = resource("aws:iam/role:Role", "worker", inputs={"name": "dth-dual-cn-worker"}, dependencies=[OWN])
QUEUE = resource("aws:sqs/queue:Queue", "queue", inputs={"name": "dth-dual-cn-queue"})


def names(edited: Mapping[str, Any]) -> list[str]:
    return [r["urn"].rpartition("::")[2] for r in edited["deployment"]["resources"][3:]]


def test_an_interrupted_creation_is_imported_by_its_id_and_dropped_without_one() -> None:
    before = state(pending=(ROLE, QUEUE))
    edited, adopted = adopt(before, lambda p: p.inputs["name"] if p.type in NAMED else "")
    assert adopted == {"worker": "dth-dual-cn-worker"}
    assert edited["deployment"]["resources"][3:] == [{**ROLE, "id": "dth-dual-cn-worker", "outputs": {}}]
    assert pending_creates(edited) == []
    assert len(pending_creates(before)) == 2, "the export itself is not changed"


def test_an_interrupted_replacement_keeps_the_existing_resource() -> None:
    edited, adopted = adopt(state({**ROLE, "id": "a"}, pending=(ROLE,)), lambda p: "a")
    assert (adopted, names(edited)) == ({}, ["worker"])


def test_other_interrupted_operations_are_left_to_the_engine() -> None:
    before = state(ROLE)
    before["deployment"]["pending_operations"] = [{"type": "updating", "resource": ROLE}]
    assert pending_creates(before) == []


def test_resources_of_a_lost_account_are_removed_with_every_reference() -> None:
    secret = resource("aws:secretsmanager/secret:Secret", "secret", PEER)
    urn = secret["urn"]
    schedule = resource(
        "aws:scheduler/schedule:Schedule",
        "schedule",
        dependencies=[ROLE["urn"], urn],
        propertyDependencies={"target": [urn, ROLE["urn"]], "name": None},
        deletedWith=urn,
    )
    edited, forgotten = forget(state(ROLE, secret, schedule, pending=(secret, QUEUE)), lambda p: p == PEER)
    assert forgotten == [urn]
    assert urn not in json.dumps(edited)
    assert names(edited) == ["worker", "schedule"]
    kept = edited["deployment"]["resources"][-1]
    assert kept["dependencies"] == [ROLE["urn"]]
    assert kept["propertyDependencies"] == {"target": [ROLE["urn"]], "name": []}
    assert "deletedWith" not in kept


TASK = "arn:aws-cn:ecs:cn-north-1:111122223333:task-definition/one:1"


class Services:
    """Fake clients with one answer per operation."""

    answers: Mapping[str, Any] = {
        "get_caller_identity": {"Arn": "arn:aws-cn:sts::111122223333:assumed-role/deploy/x", "Account": "111122223333"},
        "describe_secret": {"ARN": "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:one-AbCdEf"},
        "describe_launch_templates": {"LaunchTemplates": [{"LaunchTemplateId": "lt-1"}]},
        "describe_security_groups": {"SecurityGroups": [{"GroupId": "sg-1"}]},
        "describe_vpc_endpoints": {"VpcEndpoints": [{"VpcEndpointId": "vpce-1"}]},
        "describe_key": {"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled"}},
        "list_resource_tags": {"Tags": [{"TagKey": "Name", "TagValue": "alarms"}]},
        "describe_task_definition": {"taskDefinition": {"taskDefinitionArn": TASK}},
        "describe_query_definitions": {
            "queryDefinitions": [
                {"name": "one more", "queryDefinitionId": "query-0"},
                {"name": "one", "queryDefinitionId": "query-1"},
            ]
        },
    }

    meta = SimpleNamespace(region_name="cn-north-1")

    def __init__(self, error: str = "") -> None:
        self._error = error
        self.made: list[tuple[str, str, str | None]] = []

    def client(self, service: str, *, region_name: str, endpoint_url: str | None) -> Any:
        self.made.append((service, region_name, endpoint_url))
        return self

    def paginate(self) -> list[Any]:
        if self._error:
            raise ClientError({"Error": {"Code": self._error, "Message": ""}}, "ListKeys")
        return [{"Keys": [{"KeyId": "key-1"}]}]

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_keys"
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            if self._error:
                raise ClientError({"Error": {"Code": self._error, "Message": ""}}, operation)
            return self.answers[operation]

        return call


INPUTS = {
    "name": "one",
    "family": "one",
    "vpcId": "vpc-1",
    "serviceName": "com.amazonaws.cn-north-1.s3",
    "tags": {"Name": "alarms"},
}
QUERY = "arn:aws-cn:logs:cn-north-1:111122223333:query-definition:query-1"
WANTED = {
    "aws:iam/policy:Policy": "arn:aws-cn:iam::111122223333:policy/one",
    "aws:secretsmanager/secret:Secret": "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:one-AbCdEf",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt-1",
    "aws:ec2/securityGroup:SecurityGroup": "sg-1",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce-1",
    "aws:kms/key:Key": "key-1",
    "aws:cloudwatch/queryDefinition:QueryDefinition": QUERY,
    "aws:ecs/taskDefinition:TaskDefinition": TASK,
}


def found(monkeypatch: pytest.MonkeyPatch, services: Services, type_: str) -> str:
    reached: list[Any] = []

    def session(reach: Any) -> Services:
        reached.append(reach)
        return services

    monkeypatch.setattr(ids, "session_of", session)
    given = state()
    id = Finder(lambda urn: provider_inputs(given, urn))(Pending(resource(type_, "one", inputs=INPUTS)))
    assert [(r.region, r.access.profile) for r in reached] in ([], [("cn-north-1", "ours")])
    return id


@pytest.mark.parametrize("type_", sorted(LOOKUPS))
def test_ids_that_the_service_assigns_are_looked_up(monkeypatch: pytest.MonkeyPatch, type_: str) -> None:
    assert found(monkeypatch, Services(), type_) == WANTED[type_]


def test_what_does_not_exist_has_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, Services("ResourceNotFoundException"), "aws:secretsmanager/secret:Secret") == ""
    assert found(monkeypatch, Services("AccessDeniedException"), "aws:kms/key:Key") == ""
    assert found(monkeypatch, Services("ClientException"), "aws:ecs/taskDefinition:TaskDefinition") == ""
    assert found(monkeypatch, Services(), "aws:sqs/queue:Queue") == ""
    with pytest.raises(ClientError):
        found(monkeypatch, Services("AccessDeniedException"), "aws:secretsmanager/secret:Secret")


def test_a_saved_query_on_a_later_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paged(Services):
        def describe_query_definitions(self, **given: Any) -> Any:
            if "nextToken" not in given:
                return {"queryDefinitions": [], "nextToken": "2"}
            return self.answers["describe_query_definitions"]

    assert found(monkeypatch, Paged(), "aws:cloudwatch/queryDefinition:QueryDefinition") == QUERY


def fake_pulumi(folder: Path, given: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake `pulumi` on the path, which exports a state and records its calls and its input."""
    calls = folder / "calls"
    (folder / "state.json").write_text(json.dumps(given))
    program = folder / "pulumi"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {calls}\n'
        f'case "$*" in *"stack export"*|*cancel*) grep -q deployment {folder}/state.json && cat {folder}/state.json'
        " || { echo 'error: failed to load checkpoint: EOF' >&2; exit 255; };;\n"
        f'*whoami*) echo "User: me"; echo "Backend URL: ${{BACKEND:-file://{folder}}}";;\n'
        f'*"stack import"*) cat > {folder}/imported.json;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return calls


def test_repair_changes_nothing_without_the_option_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = resource("aws:secretsmanager/secret:Secret", "secret", PEER)
    calls = fake_pulumi(tmp_path, state(ROLE, secret, pending=(ROLE, QUEUE)), monkeypatch)
    for word in ("interrupted", "lost-peer"):
        assert command.main([word, "cn"]) == 0
    assert {line.split(" --")[1].split(maxsplit=1)[1] for line in calls.read_text().splitlines()} == {"stack export"}
    said = capsys.readouterr().out
    assert "queue: created again" in said
    assert "secret: forgotten" in said
    assert said.count("Repeat the command with --run") == 2


def test_an_interrupted_up_is_repaired_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_pulumi(tmp_path, state(pending=(ROLE,)), monkeypatch)
    assert command.main(["interrupted", "cn", "--run"]) == 0
    done = [line.partition("--non-interactive ")[2] for line in calls.read_text().splitlines()]
    assert done == [
        "cancel --yes --stack cn",
        "stack export --stack cn",
        "stack import --stack cn",
        "refresh --yes --skip-preview --stack cn",
    ]
    assert names(json.loads((tmp_path / "imported.json").read_text())) == ["worker"]


def test_a_stack_without_anything_in_the_lost_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = state(ROLE)
    del given["deployment"]["resources"][2]
    fake_pulumi(tmp_path, given, monkeypatch)
    assert command.main(["lost-peer", "cn", "--run"]) == 1
    assert "error: stack cn has no resources" in capsys.readouterr().err


def cut(folder: Path, monkeypatch: pytest.MonkeyPatch, *, before: str | None = None) -> Path:
    """Make a local backend with an empty checkpoint, which `pulumi` can't read; return the checkpoint's file."""
    fake_pulumi(folder, {}, monkeypatch)
    (folder / "Pulumi.yaml").write_text("description: a program\nname: dualsync\n")
    stacks = folder / ".pulumi" / "stacks" / "dualsync"
    stacks.mkdir(parents=True)
    file = stacks / "cn.json"
    (folder / "state.json").unlink()
    (folder / "state.json").symlink_to(file)
    file.write_bytes(b"")
    if before is not None:
        (stacks / "cn.json.bak").write_text(before)
    return file


def repair_cut(folder: Path, *more: str) -> int:
    return command.main(["interrupted", "org/dualsync/cn", "--project", str(folder), *more])


def test_an_empty_checkpoint_is_restored_from_its_backup_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cut(tmp_path, monkeypatch, before=json.dumps(state(pending=(ROLE,))))
    assert repair_cut(tmp_path) == 1
    assert "repeat the command with --run, which restores the checkpoint before" in capsys.readouterr().err
    assert file.read_bytes() == b"", "nothing is changed without --run"
    assert repair_cut(tmp_path, "--run") == 0
    said = capsys.readouterr().out
    assert "cn.json.bak was restored" in said
    assert "worker: taken over as dth-dual-cn-worker" in said
    assert pending_creates(json.loads(file.read_text())), "the engine imports what is edited; this one does not"


def test_empty_attributes_of_an_intact_checkpoint_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine's local backend can't open a checkpoint whose attributes are empty."""
    calls = fake_pulumi(tmp_path, state(), monkeypatch)
    (tmp_path / "Pulumi.yaml").write_text("name: 'dualsync'\n")
    stacks = tmp_path / ".pulumi" / "stacks" / "dualsync"
    stacks.mkdir(parents=True)
    whole = json.dumps(state())
    for name, text in {"cn.json": whole, "cn.json.attrs": "", "cn.json.bak": "", "cn.json.bak.attrs": "{}"}.items():
        (stacks / name).write_text(text)
    program = tmp_path / "pulumi"
    guard = f"test -s {stacks}/cn.json.attrs -o ! -e {stacks}/cn.json.attrs"
    program.write_text(program.read_text().replace(f"grep -q deployment {tmp_path}/state.json", guard))
    assert repair_cut(tmp_path, "--run") == 0
    assert "cn.json.attrs was removed" in capsys.readouterr().out
    assert (stacks / "cn.json").read_text() == whole
    assert (stacks / "cn.json.bak.attrs").exists()
    assert "stack export" in calls.read_text()


@pytest.mark.parametrize("before", [None, "", '{"version": 3, "deploy'])
def test_an_empty_checkpoint_without_a_backup_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: str | None
) -> None:
    cut(tmp_path, monkeypatch, before=before)
    assert repair_cut(tmp_path, "--run") == 1
    assert "copy the newest file of .pulumi/backups over it" in capsys.readouterr().err


def test_a_checkpoint_of_another_backend_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cut(tmp_path, monkeypatch, before=json.dumps(state()))
    monkeypatch.setenv("BACKEND", "s3://states")
    assert repair_cut(tmp_path, "--run") == 1
    assert "`pulumi cancel --yes` failed: error: failed to load checkpoint: EOF" in capsys.readouterr().err
    assert file.read_bytes() == b""


@pytest.mark.parametrize("word", ["interrupted", "lost-peer"])
@pytest.mark.parametrize(
    ("answer", "mode", "words"),
    [
        ("echo hello", 0o755, "`pulumi stack export` shows no state of stack cn"),
        ("echo null", 0o755, "`pulumi stack export` shows no state of stack cn"),
        ("echo '{\"deployment\": null}'", 0o755, "`pulumi stack export` shows no state of stack cn"),
        ("printf '\\351'", 0o755, "answers with something else than text"),
        ("echo hello", 0o644, "pulumi can't be started: Permission denied"),
    ],
)
def test_an_answer_of_pulumi_that_is_no_state_is_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    answer: str,
    mode: int,
    words: str,
) -> None:
    script = tmp_path / "pulumi"
    script.write_text(f"#!/bin/sh\n{answer}\n")
    script.chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main([word, "cn"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1


def test_ctrl_c_during_a_repair_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: command.Engine) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Engine, "state", interrupted)
    assert command.main(["lost-peer", "cn"]) == 130
