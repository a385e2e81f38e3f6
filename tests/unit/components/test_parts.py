"""Test the registered resources of a side: queues, ledger, subscription, secret, providers, outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.bucket_access.endpoints import FLAGS
from tests.unit.components.recorder import Call, Deployment, deploy

CN, GLOBAL = "111122223333", "444455556666"
POLICY = "aws:iam/policy:Policy"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SUBSCRIPTION = "dualsync:index:BucketSubscription"


def test_queues(cn: Deployment) -> None:
    queue = cn.one("aws:sqs/queue:Queue", "dth-dual-cn-queue").inputs
    dead = cn.one("aws:sqs/queue:Queue", "dth-dual-cn-dead-letters").inputs
    assert queue["visibilityTimeoutSeconds"] == 15 * 60
    assert queue["messageRetentionSeconds"] == 7 * 86400
    assert dead["messageRetentionSeconds"] == 14 * 86400
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["maxReceiveCount"] == 5
    assert redrive["deadLetterTargetArn"].endswith(":dth-dual-cn-dead-letters")


def test_only_the_own_queue_may_send_dead_letters_except_in_china_without_the_attribute(
    cn: Deployment, other: Deployment
) -> None:
    assert "redriveAllowPolicy" not in cn.one("aws:sqs/queue:Queue", "dth-dual-cn-dead-letters").inputs
    there = other.one("aws:sqs/queue:Queue", "dth-dual-global-dead-letters").inputs
    assert json.loads(there["redriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": ["arn:aws:sqs:us-west-2:444455556666:dth-dual-global-queue"],
    }


def test_the_queue_can_not_be_another_queues_dead_letter_queue(cn: Deployment, other: Deployment) -> None:
    # SQS moves dead letters past the queue's policy, so any queue's owner could send what is denied to send.
    assert "redriveAllowPolicy" not in cn.one("aws:sqs/queue:Queue", "dth-dual-cn-queue").inputs
    there = other.one("aws:sqs/queue:Queue", "dth-dual-global-queue").inputs
    assert json.loads(there["redriveAllowPolicy"]) == {"redrivePermission": "denyAll"}


def test_only_the_own_bucket_may_send_and_only_over_tls(cn: Deployment) -> None:
    document = json.loads(cn.one("aws:sqs/queuePolicy:QueuePolicy", "dth-dual-cn-queue-policy").inputs["policy"])
    deny, sources, accounts, allow = document["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    senders = [f"arn:aws-cn:iam::{CN}:role/dth-dual-cn-{part}" for part in ("worker", "finder-task")]
    for denial in (sources, accounts):
        assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", "sqs:SendMessage")
        assert denial["Condition"]["ArnNotLike"] == {"aws:PrincipalArn": senders}
    assert sources["Condition"]["ArnNotEquals"] == {"aws:SourceArn": "arn:aws-cn:s3:::dth-dual-dev-cn-north-1"}
    assert accounts["Condition"]["StringNotEquals"] == {"aws:SourceAccount": CN}
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    assert allow["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws-cn:s3:::dth-dual-dev-cn-north-1"},
        "StringEquals": {"aws:SourceAccount": CN},
    }


def test_the_subscription_depends_on_the_queues_policy(cn: Deployment) -> None:
    subscription = cn.one(SUBSCRIPTION)
    assert subscription.inputs == {
        "bucket": "dth-dual-dev-cn-north-1",
        "owner": CN,
        "notificationId": "dth-dual-cn-events",
        "queueArn": "arn:aws-cn:sqs:cn-north-1:111122223333:dth-dual-cn-queue",
        "events": ["s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "prefix": "",
    }
    assert any(d.endswith("QueuePolicy::dth-dual-cn-queue-policy") for d in subscription.dependencies)


@pytest.mark.parametrize(("choice", "events"), [("Create", ["s3:ObjectCreated:*"]), ("No", None)])
def test_the_events_option_selects_the_subscribed_events(bundles: Path, choice: str, events: list[str] | None) -> None:
    found = deploy("cn", bundles, {"events": choice}).of(SUBSCRIPTION)
    assert [s.inputs["events"] for s in found] == ([events] if events else [])


def test_a_configured_topic_replaces_the_buckets_subscription(bundles: Path) -> None:
    topic = f"arn:aws-cn:sns:cn-north-1:{CN}:their-topic"
    side = {"accountId": CN, "region": "cn-north-1", "bucket": "some-bucket", "eventsTopicArn": topic}
    deployment = deploy("cn", bundles, {"cn": side})
    assert not deployment.of(SUBSCRIPTION)
    subscription = deployment.one("aws:sns/topicSubscription:TopicSubscription", "dth-dual-cn-events").inputs
    assert (subscription["topic"], subscription["protocol"], subscription["rawMessageDelivery"]) == (topic, "sqs", True)
    document = json.loads(
        deployment.one("aws:sqs/queuePolicy:QueuePolicy", "dth-dual-cn-queue-policy").inputs["policy"]
    )
    _, denial, allow = document["Statement"]
    assert denial["Condition"]["ArnNotEquals"] == {"aws:SourceArn": topic}
    assert allow["Principal"] == {"Service": "sns.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}


def test_ledger(cn: Deployment) -> None:
    table = cn.one("aws:dynamodb/table:Table").inputs
    assert (table["hashKey"], table["billingMode"]) == ("ObjectKey", "PAY_PER_REQUEST")
    assert table["pointInTimeRecovery"]["enabled"]
    assert table["deletionProtectionEnabled"]
    assert table["ttl"] == {"attributeName": "ExpiresAt", "enabled": True}
    (index,) = table["globalSecondaryIndexes"]
    assert index["name"] == "records"
    assert [(k["attributeName"], k["keyType"]) for k in index["keySchemas"]] == [
        ("RecordKind", "HASH"),
        ("RecordTime", "RANGE"),
    ]
    assert {(a["name"], a["type"]) for a in table["attributes"]} == {
        ("ObjectKey", "S"),
        ("RecordKind", "S"),
        ("RecordTime", "N"),
    }


def test_protection_can_be_switched_off(bundles: Path) -> None:
    deployment = deploy("cn", bundles, {"protect": False})
    assert not any(r.protect for r in deployment.resources)
    assert deployment.one("aws:dynamodb/table:Table").inputs["deletionProtectionEnabled"] is False
    assert "forceDestroy" not in deployment.one("aws:iam/user:User").inputs


def test_destroying_a_protected_pair_deletes_nothing_because_the_first_deletion_is_refused(
    deployment: Deployment,
) -> None:
    """The engine deletes in order of dependencies and stops at the first error, which is the schedule of each side.

    What no schedule depends on is only the pair, the providers of sides that have nothing else, and the components
    above the schedule, which are deleted after it.
    """
    guards = {r.urn: r for r in deployment.of("aws:scheduler/schedule:Schedule")}
    assert guards
    assert all(r.protect for r in guards.values())
    by_urn = {r.urn: r for r in deployment.resources}
    reached: set[str] = set()
    todo = list(guards)
    while todo:
        urn = todo.pop()
        if urn not in reached and urn in by_urn:
            reached.add(urn)
            resource = by_urn[urn]
            todo += [*resource.dependencies, resource.parent, resource.provider.rpartition("::")[0]]
    left = [r for r in deployment.resources if r.custom and r.urn not in reached]
    assert [r.name for r in left if not r.type.startswith("pulumi:providers:")] == []


def test_the_first_run_of_the_finder_waits_for_its_rights_and_the_subscription(deployment: Deployment) -> None:
    for schedule in deployment.of("aws:scheduler/schedule:Schedule"):
        side = schedule.name.removesuffix("-finder-schedule")
        for name in (f"{side}-finder-start-policy", f"{side}-finder-task-policy", f"{side}-finder-schedule-policy"):
            assert any(d.endswith(f"::{name}") for d in schedule.dependencies), name
        assert any(d.endswith(f"::{side}-events") for d in schedule.dependencies)


def test_a_changed_user_name_replaces_the_user(cn: Deployment) -> None:
    """If the user were renamed, the provider would search the old key under the old name and leave it active."""
    assert cn.one("aws:iam/user:User").replace_on_changes == ("name",)


def test_operators_named_in_config_may_send(bundles: Path) -> None:
    role = f"arn:aws-cn:iam::{CN}:role/ops/*"
    found = deploy("cn", bundles, {"operatorRoles": [role]})
    for name in ("dth-dual-cn-queue-policy", "dth-dual-cn-dead-letters-policy"):
        document = json.loads(found.one("aws:sqs/queuePolicy:QueuePolicy", name).inputs["policy"])
        denials = [s for s in document["Statement"] if s["Action"] == "sqs:SendMessage" and s["Effect"] == "Deny"]
        assert denials
        assert all(role in s["Condition"]["ArnNotLike"]["aws:PrincipalArn"] for s in denials)


def test_only_workers_may_send_to_the_dead_letter_queue(cn: Deployment) -> None:
    policy = cn.one("aws:sqs/queuePolicy:QueuePolicy", "dth-dual-cn-dead-letters-policy").inputs["policy"]
    _, denial = json.loads(policy)["Statement"]
    assert denial["Condition"] == {
        "ArnNotLike": {"aws:PrincipalArn": [f"arn:aws-cn:iam::{CN}:role/dth-dual-cn-worker"]},
        "ArnNotEquals": {"aws:SourceArn": f"arn:aws-cn:sqs:cn-north-1:{CN}:dth-dual-cn-queue"},
    }


KEY_ARN = f"arn:aws-cn:kms:cn-north-1:{CN}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_customer_managed_key_encrypts_everything_of_the_side(bundles: Path) -> None:
    found = deploy("cn", bundles, {"kmsKeyArn": KEY_ARN})
    assert [q.inputs["kmsMasterKeyId"] for q in found.of("aws:sqs/queue:Queue")] == [KEY_ARN] * 2
    assert not any("sqsManagedSseEnabled" in q.inputs for q in found.of("aws:sqs/queue:Queue"))
    assert found.one("aws:dynamodb/table:Table").inputs["serverSideEncryption"]["kmsKeyArn"] == KEY_ARN
    assert [g.inputs["kmsKeyId"] for g in found.of("aws:cloudwatch/logGroup:LogGroup")] == [KEY_ARN] * 2
    assert found.one("aws:sns/topic:Topic").inputs["kmsMasterKeyId"] == KEY_ARN
    assert not found.of("aws:kms/key:Key")
    objects = found.of("aws:s3/bucketObjectv2:BucketObjectv2")
    assert {(o.inputs["serverSideEncryption"], o.inputs["kmsKeyId"]) for o in objects} == {("aws:kms", KEY_ARN)}
    for part in ("worker", "finder-task"):
        policy = found.one("aws:iam/rolePolicy:RolePolicy", f"dth-dual-cn-{part}-policy").inputs["policy"]
        (statement,) = (s for s in json.loads(policy)["Statement"] if s["Sid"] == "CustomerKey")
        assert statement["Resource"] == KEY_ARN
        assert "sqs.cn-north-1.amazonaws.com.cn" in statement["Condition"]["StringEquals"]["kms:ViaService"]
    # The secret is in the peer's account, under the key of that side.
    assert "kmsKeyId" not in found.one(SECRET).inputs
    there = f"arn:aws:kms:us-west-2:{GLOBAL}:key/1234abcd"
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket", "kmsKeyArn": there}
    assert deploy("cn", bundles, {"global": peer}).one(SECRET).inputs["kmsKeyId"] == there


def caller(arn: str) -> Call:
    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        answer = {"accountId": GLOBAL, "arn": arn, "userId": "x", "id": GLOBAL}
        return answer if token == "aws:index/getCallerIdentity:getCallerIdentity" else None

    return call


def test_the_secrets_value_is_denied_to_all_but_worker_finder_and_deployers(bundles: Path) -> None:
    deployers = [f"arn:aws:iam::{GLOBAL}:role/ci/deploy-*", f"arn:aws:iam::{GLOBAL}:user/admin"]
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket", "deployers": deployers}
    for arn in (f"arn:aws:sts::{GLOBAL}:assumed-role/deploy-cn/session", f"arn:aws:iam::{GLOBAL}:user/admin"):
        found = deploy("cn", bundles, {"global": peer}, caller(arn))
        (statement,) = json.loads(found.one("aws:secretsmanager/secretPolicy:SecretPolicy").inputs["policy"])[
            "Statement"
        ]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {
            "ArnNotLike": {
                "aws:PrincipalArn": [
                    f"arn:aws:iam::{GLOBAL}:role/dth-dual-global-worker",
                    f"arn:aws:iam::{GLOBAL}:role/dth-dual-global-finder-task",
                    *deployers,
                ]
            }
        }
        # Administrators of secrets can still replace or delete policy and secret.
        assert statement["Action"] == [
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecret",
            "secretsmanager:UpdateSecretVersionStage",
        ]
    stranger = f"arn:aws:sts::{GLOBAL}:assumed-role/other/session"
    with pytest.raises(Exception, match=rf"^global.deployers=.* does not name {stranger}, which deploys"):
        deploy("cn", bundles, {"global": peer}, caller(stranger))


@pytest.mark.parametrize(
    ("named", "accepted"),
    [
        ("role/AWSReservedSSO_Admin_0123456789abcdef", False),
        ("role/AWSReservedSSO_*", False),
        ("role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Admin_*", True),
        ("role/*/AWSReservedSSO_Admin_0123456789abcdef", True),
    ],
)
def test_a_deployers_role_is_named_with_its_path(bundles: Path, named: str, accepted: bool) -> None:
    """A session's ARN has no path, and aws:PrincipalArn, by which the secret's policy decides, has the role's own."""
    name = "AWSReservedSSO_Admin_0123456789abcdef"
    session = f"arn:aws:sts::{GLOBAL}:assumed-role/{name}/me"
    role = f"arn:aws:iam::{GLOBAL}:role/aws-reserved/sso.amazonaws.com/us-west-2/{name}"
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket"}
    changes = {"global": peer | {"deployers": [f"arn:aws:iam::{GLOBAL}:{named}"]}}

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        if token == "aws:iam/getSessionContext:getSessionContext":
            assert args["arn"] == session
            return {"arn": session, "issuerArn": role, "issuerName": name, "id": session}
        return caller(session)(token, args)

    if accepted:
        assert deploy("cn", bundles, changes, call).of("aws:secretsmanager/secretPolicy:SecretPolicy")
        return
    with pytest.raises(Exception, match=rf"^global.deployers=.* does not name {role}, which deploys .* with its path"):
        deploy("cn", bundles, changes, call)


def test_session_manager_on_workers_can_be_switched_off(bundles: Path, cn: Deployment) -> None:
    def sids(found: Deployment) -> set[str]:
        policy = found.one("aws:iam/rolePolicy:RolePolicy", "dth-dual-cn-worker-policy").inputs["policy"]
        return {s["Sid"] for s in json.loads(policy)["Statement"]}

    assert sids(cn) - sids(deploy("cn", bundles, {"sessionManager": False})) == {"Session"}


def test_two_sides_of_one_bucket_subscribe_in_sequence(bundles: Path) -> None:
    where = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "one-bucket"}
    changes = {
        "manages": ["cn", "global"],
        "peerStack": "",
        "finderImage": "",
        "cn": where | {"prefix": "a/"},
        "global": where | {"prefix": "b/"},
    }
    found = deploy("cn", bundles, changes)
    second = found.one(SUBSCRIPTION, "dth-dual-global-events")
    assert any(d.endswith("::dth-dual-cn-events") for d in second.dependencies)
    assert not any(d.endswith("-events") for d in found.one(SUBSCRIPTION, "dth-dual-cn-events").dependencies)


def test_providers_carry_profile_role_and_tags(bundles: Path) -> None:
    role = f"arn:aws-cn:iam::{CN}:role/deploy"
    side = {
        "accountId": CN,
        "region": "cn-north-1",
        "bucket": "some-bucket",
        "profile": "china",
        "roleArn": role,
        "externalId": "who",
    }
    deployment = deploy("cn", bundles, {"cn": side, "tags": {"team": "storage"}})
    inputs = deployment.one("pulumi:providers:aws", "dth-dual-cn").inputs
    assert inputs["profile"] == "china"
    (assumed,) = json.loads(inputs["assumeRoles"])
    assert (assumed["roleArn"], assumed["externalId"]) == (role, "who")
    assert json.loads(inputs["defaultTags"])["tags"]["team"] == "storage"
    ours = deployment.one("pulumi:providers:dualsync", "dth-dual-cn-sync").inputs
    assert (ours["profile"], ours["roleArn"], ours["externalId"]) == ("china", role, "who")


def test_an_endpoint_redirects_every_service_and_the_runtime(bundles: Path) -> None:
    address = "http://127.0.0.1:4566"
    side = {"accountId": CN, "region": "cn-north-1", "bucket": "some-bucket", "endpoint": address}
    deployment = deploy("cn", bundles, {"cn": side})
    inputs = deployment.one("pulumi:providers:aws", "dth-dual-cn").inputs
    (endpoints,) = json.loads(inputs["endpoints"])
    used = {r.type.split(":")[1].split("/")[0] for r in deployment.aws}
    assert set(endpoints.values()) == {address}
    # The provider keeps log groups under CloudWatch, and its API under `logs`; tags of buckets under S3 Control.
    assert used | {"logs", "s3control", "sts"} <= {*endpoints}
    flags = {"".join([name.split("_")[0], *map(str.capitalize, name.split("_")[1:])]) for name in FLAGS}
    assert {name: inputs.get(name) for name in flags} == dict.fromkeys(flags, "true")
    assert json.loads(inputs["allowedAccountIds"]) == [CN], "the emulator is asked whose account it is"
    real = deployment.one("pulumi:providers:aws", "dth-dual-global").inputs
    assert not {"endpoints", *flags} & {*real}
    assert inputs["skipCredentialsValidation"] == "false"
    assert "skipRequestingAccountId" not in inputs
    (container,) = json.loads(deployment.one("aws:ecs/taskDefinition:TaskDefinition").inputs["containerDefinitions"])
    environment = {e["name"]: e["value"] for e in container["environment"]}
    assert environment["DUALSYNC_LOCAL_ENDPOINT"] == environment["AWS_ENDPOINT_URL"] == address
    assert environment["DUALSYNC_REMOTE_ENDPOINT"] == ""


def test_the_first_output_is_the_one_that_operators_need(cn: Deployment) -> None:
    """The engine prints outputs in the order of their names."""
    assert min(cn.outputs) == "addresses"
    facts = cn.outputs["cn"]
    names = ("bucket", "dashboardUrl", "alarmTopic", "workerLogGroup", "finderLogGroup")
    assert cn.outputs["addresses"] == {"cn": {name: facts[name] for name in names}}
    assert all(cn.outputs["addresses"]["cn"].values())


def test_outputs_have_what_operators_and_the_command_line_read(cn: Deployment) -> None:
    assert cn.outputs["manages"] == ["cn"]
    assert {
        *("accountId", "region", "bucket", "prefix", "userId", "userName", "keyId", "queueUrl", "deadLetterQueueUrl"),
        *("ledgerTable", "secretName", "workerGroup", "workerLogGroup", "finderLogGroup", "dashboard", "alarmTopic"),
    } <= {*cn.outputs["cn"]}
    assert "handOver" not in cn.outputs
