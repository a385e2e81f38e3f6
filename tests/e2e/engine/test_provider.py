"""Test the provider over gRPC, called as by the engine, without the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from sandbox.environment.workspace import Workspace
from sandbox.provider.grpc_provider import Servicer
from sandbox.provider.wire import UNKNOWN, decode

QUEUE = "aws:sqs/queue:Queue"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
_numbers = count()


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:cn::dualsync::dualsync:index:Side${token}::{name}"


@pytest.fixture
def port(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    workspace = Workspace(tmp_path)
    workspace.write_profiles(cloud.endpoint)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        server.stop(None).wait()


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], Any]]:
    channels: list[grpc.Channel] = []

    def connection() -> Any:
        # As each provider instance has: without the option, channels to one address share a connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels.append(grpc.insecure_channel(f"127.0.0.1:{port}", options=options))
        return provider_pb2_grpc.ResourceProviderStub(channels[-1])

    yield connection
    for channel in channels:
        channel.close()


def configuration(cloud: Cloud, side: SideName, **more: Any) -> struct_pb2.Struct:
    account = ACCOUNTS[side]
    return struct(
        {
            "region": account.region,
            "profile": account.profile,
            "endpoints": f'[{{"sts": "{cloud.endpoint}"}}]',
            "allowedAccountIds": f'["{account.account_id}"]',
            "defaultTags": '{"tags": {"pair": "p"}}',
            **more,
        }
    )


@pytest.fixture
def cn(connect: Callable[[], Any], cloud: Cloud) -> Any:
    stub = connect()
    stub.Configure(provider_pb2.ConfigureRequest(args=configuration(cloud, SideName.CN)))
    return stub


def make(stub: Any, token: str, inputs: dict[str, Any], *, preview: bool = False) -> Any:
    checked = stub.Check(provider_pb2.CheckRequest(urn=urn(token), news=struct(inputs)))
    assert not checked.failures
    return stub.Create(provider_pb2.CreateRequest(urn=urn(token), properties=checked.inputs, preview=preview))


def difference(stub: Any, token: str, old: dict[str, Any], new: dict[str, Any], name: str = "thing") -> Any:
    request = provider_pb2.DiffRequest(urn=urn(token, name), old_inputs=struct(old), news=struct(new))
    return stub.Diff(request)


def name() -> str:
    return f"queue-{next(_numbers)}"


def test_two_instances_are_distinguished_by_their_connections(connect: Callable[[], Any], cloud: Cloud) -> None:
    stubs = {side: connect() for side in SideName}
    for side, stub in stubs.items():
        stub.Configure(provider_pb2.ConfigureRequest(args=configuration(cloud, side)))
    for side, stub in stubs.items():
        made = decode(make(stub, QUEUE, {"name": name()}).properties).plain
        account = ACCOUNTS[side]
        assert made["arn"].startswith(f"arn:{account.partition}:sqs:{account.region}:{account.account_id}:")


def test_a_connection_that_was_never_configured_is_refused(connect: Callable[[], Any], cn: Any) -> None:
    with pytest.raises(grpc.RpcError) as error:
        connect().Create(provider_pb2.CreateRequest(urn=urn(QUEUE), properties=struct({"name": "q"})))
    assert "never configured" in error.value.details()


def test_credentials_of_another_account_are_refused(connect: Callable[[], Any], cloud: Cloud) -> None:
    args = configuration(cloud, SideName.CN, profile=ACCOUNTS[SideName.GLOBAL].profile)
    with pytest.raises(grpc.RpcError) as error:
        connect().Configure(provider_pb2.ConfigureRequest(args=args))
    assert "AWS account ID not allowed: 444455556666" in error.value.details()


def test_a_provider_without_endpoint_is_refused(connect: Callable[[], Any]) -> None:
    answer = connect().CheckConfig(provider_pb2.CheckRequest(news=struct({"region": "us-west-2"})))
    assert [f.property for f in answer.failures] == ["endpoints"]


def test_each_wrong_input_is_named(cn: Any) -> None:
    news = struct({"name": "q", "visibilityTimeout": 3, "delaySeconds": "soon", "policy": "{"})
    answer = cn.Check(provider_pb2.CheckRequest(urn=urn(QUEUE), news=news))
    assert sorted(f.property for f in answer.failures) == ["delaySeconds", "policy", "visibilityTimeout"]


def test_default_tags_become_inputs(cn: Any) -> None:
    answer = cn.Check(provider_pb2.CheckRequest(urn=urn(QUEUE), news=struct({"name": "q", "tags": {"own": "1"}})))
    assert decode(answer.inputs).plain["tagsAll"] == {"pair": "p", "own": "1"}


def test_a_preview_returns_given_values_and_unknown_outputs(cn: Any) -> None:
    given = {"name": name(), "kmsMasterKeyId": UNKNOWN}
    answer = make(cn, QUEUE, given, preview=True)
    outputs = decode(answer.properties).plain
    assert answer.id == ""
    assert (outputs["name"], outputs["arn"], outputs["kmsMasterKeyId"]) == (given["name"], UNKNOWN, UNKNOWN)


def test_a_secret_input_is_a_secret_output(cn: Any) -> None:
    made = make(cn, QUEUE, {"name": secret(name()), "tags": {"a": secret("b")}})
    assert decode(made.properties).secret == {"name", "tags"}


def test_a_secret_output_of_the_service_is_marked_secret(cn: Any) -> None:
    user = name()
    make(cn, "aws:iam/user:User", {"name": user})
    made = make(cn, "aws:iam/accessKey:AccessKey", {"user": user})
    message = decode(made.properties)
    assert message.secret == {"secret"}
    assert len(message.plain["secret"]) == 40


@pytest.mark.parametrize(
    ("token", "old", "new", "changed", "replacing"),
    [
        (QUEUE, {"name": "a"}, {"name": "a"}, [], []),
        (QUEUE, {"name": "a", "delaySeconds": 1}, {"name": "a", "delaySeconds": 2}, ["delaySeconds"], []),
        (QUEUE, {"name": "a"}, {"name": "b"}, ["name"], ["name"]),
        (QUEUE, {"policy": '{"a": 1}'}, {"policy": '{ "a":1 }'}, [], []),
        (TASK, {"family": "f", "cpu": "256"}, {"family": "f", "cpu": "512"}, ["cpu"], ["cpu"]),
        (TASK, {"family": "f", "tags": {}}, {"family": "f", "tags": {"a": "b"}}, ["tags"], []),
        ("aws:iam/user:User", {"name": "a", "path": "/"}, {"name": "a", "path": "/x/"}, ["path"], []),
        ("aws:iam/accessKey:AccessKey", {"user": "a"}, {"user": UNKNOWN}, ["user"], ["user"]),
    ],
)
def test_a_changed_property_is_reported_as_update_or_replacement(
    cn: Any, token: str, old: dict[str, Any], new: dict[str, Any], changed: list[str], replacing: list[str]
) -> None:
    answer = difference(cn, token, old, new)
    assert (list(answer.diffs), list(answer.replaces)) == (changed, replacing)


def test_a_replacement_with_the_same_name_follows_the_deletion(cn: Any) -> None:
    kind = "aws:dynamodb/table:Table"
    given = difference(cn, kind, {"name": "mine", "hashKey": "a"}, {"name": "mine", "hashKey": "b"})
    assert given.deleteBeforeReplace
    generated = {"name": "thing-0a1b2c3"}
    assert not difference(cn, kind, {**generated, "hashKey": "a"}, {**generated, "hashKey": "b"}).deleteBeforeReplace


def test_reading_a_deleted_resource_returns_no_id(cn: Any) -> None:
    made = make(cn, QUEUE, {"name": name()})
    cn.Delete(provider_pb2.DeleteRequest(urn=urn(QUEUE), id=made.id, properties=made.properties))
    assert cn.Read(provider_pb2.ReadRequest(urn=urn(QUEUE), id=made.id, properties=made.properties)).id == ""


def test_a_read_returns_manual_changes(cn: Any, cloud: Cloud) -> None:
    inputs = {"name": name(), "visibilityTimeoutSeconds": 60, "tagsAll": {"pair": "p"}}
    made = make(cn, QUEUE, {"name": inputs["name"], "visibilityTimeoutSeconds": 60})
    cloud.client(SideName.CN, "sqs").set_queue_attributes(QueueUrl=made.id, Attributes={"VisibilityTimeout": "33"})
    request = provider_pb2.ReadRequest(urn=urn(QUEUE), id=made.id, properties=made.properties, inputs=struct(inputs))
    assert decode(cn.Read(request).inputs).plain == {**inputs, "visibilityTimeoutSeconds": 33}


def test_an_import_returns_values_that_are_not_defaults(cn: Any, cloud: Cloud) -> None:
    url = cloud.client(SideName.CN, "sqs").create_queue(
        QueueName=name(), Attributes={"VisibilityTimeout": "60"}, tags={"a": "b"}
    )["QueueUrl"]
    inputs = decode(cn.Read(provider_pb2.ReadRequest(urn=urn(QUEUE), id=url)).inputs).plain
    assert inputs["visibilityTimeoutSeconds"] == 60
    assert inputs["tags"] == {"a": "b"}
    assert not {"messageRetentionSeconds", "delaySeconds", "region", "fifoQueue"} & set(inputs)


def test_an_error_has_the_services_message(cn: Any) -> None:
    user = name()
    make(cn, "aws:iam/user:User", {"name": user})
    with pytest.raises(grpc.RpcError) as error:
        make(cn, "aws:iam/user:User", {"name": user})
    assert "EntityAlreadyExists" in error.value.details()


def test_a_type_without_handler_is_refused_with_the_place_to_add_one(cn: Any) -> None:
    with pytest.raises(grpc.RpcError) as error:
        make(cn, "aws:rds/cluster:Cluster", {})
    assert "sandbox/provider/services" in error.value.details()


def test_a_lookup_returns_the_accounts_id(cn: Any) -> None:
    request = provider_pb2.InvokeRequest(tok="aws:index/getCallerIdentity:getCallerIdentity", args=struct({}))
    assert decode(getattr(cn.Invoke(request), "return")).plain["accountId"] == "111122223333"
