"""Test edge cases of the rules over hand-made resources, which the program itself never registers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dualsync.components.config.prefixes import policy_patterns
from policy.ownership import DataBucket, _within
from policy.plan import UNKNOWN, Account, Plan, Resource
from policy.review import review
from policy.rule import Rule
from policy.rules import RULES
from tests.support.prefixes import PREFIXES

CN = Account(
    urn="urn:cn",
    name="dth-dual-cn",
    properties={
        "region": "cn-north-1",
        "allowedAccountIds": '["111122223333"]',
        "defaultTags": '{"tags": {"dualsync:pair": "dth-dual", "dualsync:side": "cn"}}',
    },
)
GLOBAL = Account(
    urn="urn:global",
    name="dth-dual-global",
    properties={"region": "us-west-2", "allowedAccountIds": '["444455556666"]'},
)


def resource(type_: str, name: str = "it", account: Account | None = CN, **properties: Any) -> Resource:
    depends = properties.pop("depends", {})
    return Resource(type=type_, name=name, urn=f"urn:{name}", properties=properties, account=account, depends=depends)


def rule(name: str) -> Rule:
    return next(r for r in RULES if r.name == name)


def found(name: str, *resources: Resource, **options: Any) -> list[str]:
    """Return the details of what one rule finds."""
    return [f.detail for f in rule(name).check(Plan(resources), options)]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resources: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


@pytest.mark.parametrize(
    ("arn", "fine"),
    [
        ("arn:aws:s3:::bucket/prefix*", True),
        ("arn:aws:s3:::bucket/*", True),
        ("arn:aws:s3:::bucket*/key", False),
        ("arn:aws:s3:::*", False),
        ("arn:aws:sqs:us-west-2:444455556666:queue", True),
        ("arn:aws:sqs:us-west-2:*:queue", False),
        ("arn:aws:sqs:*:444455556666:queue", False),
        ("arn:aws:dynamodb:us-west-2:444455556666:table/*", False),
        ("arn:aws:dynamodb:us-west-2:444455556666:table/ledger/index/*", True),
        ("arn:aws:secretsmanager:us-west-2:444455556666:secret:name-??????", True),
        ("arn:aws:secretsmanager:us-west-2:444455556666:secret:*", False),
        ("arn:aws:autoscaling:us-west-2:444455556666:autoScalingGroup:*:autoScalingGroupName/workers", True),
        ("arn:aws:*:us-west-2:444455556666:queue", False),
        ("anything", False),
    ],
)
def test_a_wildcard_is_allowed_only_after_a_name(arn: str, fine: bool) -> None:
    made = resource("aws:iam/rolePolicy:RolePolicy", policy=policy(allow("sqs:SendMessage", arn)))
    assert (found("no-wildcard", made) == []) is fine


def test_actions_without_resources_are_confined_by_their_condition() -> None:
    metrics = allow("cloudwatch:PutMetricData", "*")
    bare = resource("aws:iam/rolePolicy:RolePolicy", policy=policy(metrics))
    assert found("no-wildcard", bare) == ["it: statement number 1 allows cloudwatch:PutMetricData on everything"]
    bound = {**metrics, "Condition": {"StringEquals": {"cloudwatch:Namespace": "dth-dual/cn"}}}
    assert found("no-wildcard", resource("aws:iam/rolePolicy:RolePolicy", policy=policy(bound))) == []


def test_a_key_policy_may_allow_only_the_accounts_administrators() -> None:
    root = {**allow("kms:*", "*"), "Principal": {"AWS": "arn:aws-cn:iam::111122223333:root"}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(root))) == []
    user = {**root, "Principal": {"AWS": ["arn:aws-cn:iam::111122223333:root", "arn:aws-cn:iam::111122223333:user/x"]}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(user)))
    service = {**root, "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(service)))


def test_actions_for_options_are_allowed_by_name() -> None:
    made = resource("aws:iam/policy:Policy", policy=policy(allow("s3:GetObjectTagging", "arn:aws-cn:s3:::b/*")))
    assert found("least-privilege", made)
    assert found("least-privilege", made, moreActions=["s3:GetObjectTagging"]) == []


def test_inline_policies_of_roles_are_checked() -> None:
    inline = [{"name": "x", "policy": policy(allow("iam:CreateUser", "arn:aws-cn:iam::111122223333:user/x"))}]
    made = resource("aws:iam/role:Role", inlinePolicies=inline, assumeRolePolicy=policy())
    assert found("least-privilege", made) == ["it: statement number 1 allows iam:CreateUser, which nothing here calls"]


def test_a_managed_policy_listed_in_the_role_is_found() -> None:
    made = resource("aws:iam/role:Role", managedPolicyArns=["arn:aws-cn:iam::aws:policy/AmazonS3FullAccess"])
    assert "not a policy of this plan" in found("own-policies-only", made)[0]


def test_a_policy_for_every_principal_is_public_without_a_condition() -> None:
    statement = {**allow("sqs:SendMessage", "arn:aws-cn:sqs:cn-north-1:111122223333:q"), "Principal": {"AWS": "*"}}
    made = resource("aws:sqs/queuePolicy:QueuePolicy", policy=policy(statement))
    assert found("nothing-public", made) == ["it: statement number 1 allows everybody"]
    bound = {**statement, "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}}
    assert found("nothing-public", resource("aws:sqs/queuePolicy:QueuePolicy", policy=policy(bound))) == []


def test_a_new_bucket_needs_a_public_access_block_and_no_acls() -> None:
    assert found("nothing-public", resource("aws:s3/bucket:Bucket", bucket="b")) == [
        "it has no public access block",
        "it lets ACLs open it to other accounts (BucketOwnerEnforced)",
    ]


def test_policies_that_aws_fills_in_are_no_finding() -> None:
    # Outputs of a deployment: SNS's first policy of each topic, and EC2's of each endpoint.
    default = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
        "Resource": "arn:aws-cn:sns:cn-north-1:111122223333:dth-dual-cn-alarms",
        "Condition": {"StringEquals": {"AWS:SourceOwner": "111122223333"}},
    }
    topic = resource("aws:sns/topic:Topic", policy=policy(default))
    endpoint = resource("aws:ec2/vpcEndpoint:VpcEndpoint", policy=policy(allow("*", "*", Principal="*")))
    for name in ("nothing-public", "principals-named", "no-wildcard"):
        assert found(name, topic) == []
        assert found(name, endpoint) == []
    default["Condition"] = {"StringEquals": {"AWS:SourceOwner": "999999999999"}}
    assert found("nothing-public", resource("aws:sns/topic:Topic", policy=policy(default)))


@pytest.mark.parametrize(
    ("type_", "properties", "problem"),
    [
        (
            "aws:autoscaling/group:Group",
            {
                "mixedInstancesPolicy": {
                    "launchTemplate": {"overrides": [{"launchTemplateSpecification": {"launchTemplateId": "lt-1"}}]}
                }
            },
            "it starts some machines from a launch template of their own (launchTemplateSpecification)",
        ),
        (
            "aws:ec2/vpcEndpoint:VpcEndpoint",
            {"serviceName": "com.amazonaws.vpce.cn-north-1.vpce-svc-1"},
            "it routes the network's requests to com.amazonaws.vpce.cn-north-1.vpce-svc-1, which is neither S3 nor"
            " DynamoDB of its region",
        ),
        (
            "aws:scheduler/schedule:Schedule",
            {"target": {"arn": "arn:aws-cn:ecs:cn-north-1:999999999999:cluster/x"}},
            "it calls arn:aws-cn:ecs:cn-north-1:999999999999:cluster/x, which is not an ECS cluster of the own account"
            " (target.arn)",
        ),
    ],
)
def test_resources_that_start_further_instances_or_tasks_are_found(
    type_: str, properties: dict[str, Any], problem: str
) -> None:
    assert found("no-second-way", resource(type_, **properties)) == [problem]


VALUE = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"]
IAM = "arn:aws-cn:iam::111122223333:"


@pytest.mark.parametrize(
    ("principals", "more", "fine"),
    [
        ([f"{IAM}role/dth-dual-cn-worker", f"{IAM}role/ci/deploy-*", f"{IAM}user/admin"], {}, True),
        ([f"{IAM}role/*"], {}, False),
        ([f"{IAM}role/ci/*"], {}, False),
        (["arn:aws-cn:iam::999999999999:role/x"], {}, False),
        ([f"{IAM}role/x"], {"Action": VALUE[:2]}, False),
        ([f"{IAM}role/x"], {"Principal": {"AWS": f"{IAM}user/one"}}, False),
        ([f"{IAM}role/x"], {"Resource": f"{IAM}another"}, False),
        ([f"{IAM}role/x"], {"NotAction": "x"}, False),
    ],
)
def test_a_secrets_policy_denies_its_value_to_all_but_named_principals(
    principals: list[str], more: dict[str, Any], fine: bool
) -> None:
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [*VALUE, "secretsmanager:UpdateSecretVersionStage"],
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": principals}},
        **more,
    }
    made = resource("aws:secretsmanager/secretPolicy:SecretPolicy", policy=policy(denial))
    assert (found("secret-confined", made) == []) is fine


def test_unset_and_unknown_properties_are_no_second_way() -> None:
    values: tuple[Any, ...] = (None, UNKNOWN, False, "", [], {})
    for value in values:
        table = resource("aws:dynamodb/table:Table", replicas=value, streamEnabled=value)
        assert found("no-second-way", table) == []


@pytest.mark.parametrize(
    ("type_", "properties"),
    [
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {}),
        ("aws:ec2/securityGroupRule:SecurityGroupRule", {"type": "ingress"}),
        ("aws:ec2/securityGroup:SecurityGroup", {"ingress": [{"fromPort": 443}]}),
    ],
)
def test_every_kind_of_inbound_rule_is_found(type_: str, properties: dict[str, Any]) -> None:
    assert found("no-inbound-rule", resource(type_, **properties))


def test_an_outbound_rule_is_no_inbound_rule() -> None:
    assert found("no-inbound-rule", resource("aws:ec2/securityGroupRule:SecurityGroupRule", type="egress")) == []


def test_a_created_data_bucket_is_found() -> None:
    subscription = resource("dualsync:index:BucketSubscription", "events", bucket="data")
    bucket = resource("aws:s3/bucket:Bucket", "mine", bucket="data")
    other = resource("aws:s3/bucket:Bucket", "artifacts", bucket="dth-dual-cn-artifacts")
    assert found("data-buckets-adopted", subscription, bucket, other) == [
        "mine (aws:s3/bucket:Bucket) manages data bucket data"
    ]


def test_a_data_bucket_is_identified_by_settings_without_a_subscription() -> None:
    finder = resource(
        "aws:ecs/taskDefinition:TaskDefinition",
        containerDefinitions=json.dumps([{"environment": [{"name": "DUALSYNC_LOCAL_BUCKET", "value": "data"}]}]),
    )
    assert found("data-buckets-adopted", finder, resource("aws:s3/bucketPolicy:BucketPolicy", "p", bucket="data"))


def test_the_guard_rule_names_what_is_missing() -> None:
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "worker", userData='DUALSYNC_PAIR="x"\n')
    assert "no dedicated user in this stack" in found("guard-knows-own-user", template)[0]
    # The source of a one-way pair has none, and only the deployment knows the direction.
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "worker", userData=UNKNOWN)
    assert found("guard-knows-own-user", template) == []
    user = resource("aws:iam/user:User", "user", uniqueId=UNKNOWN)
    assert "is not made from user" in found("guard-knows-own-user", template, user)[0]
    wired = resource(
        "aws:ec2/launchTemplate:LaunchTemplate", "worker", userData=UNKNOWN, depends={"userData": ("urn:user",)}
    )
    assert found("guard-knows-own-user", wired, user) == []


def test_former_users_may_follow_the_current_one() -> None:
    user = resource("aws:iam/user:User", "user", uniqueId="AIDANOW")
    script = 'DUALSYNC_OWN_USER_IDS="AIDANOW,AIDABEFORE"'
    assert found("guard-knows-own-user", user, resource("aws:ec2/launchTemplate:LaunchTemplate", userData=script)) == []
    swapped = 'DUALSYNC_OWN_USER_IDS="AIDABEFORE,AIDANOW"'
    wrong = resource("aws:ec2/launchTemplate:LaunchTemplate", "w", userData=swapped)
    assert found("guard-knows-own-user", user, wrong) == [
        "worker w: DUALSYNC_OWN_USER_IDS begins with AIDABEFORE, and user has AIDANOW"
    ]


def hand_over(**content: str) -> Resource:
    return resource("aws:secretsmanager/secretVersion:SecretVersion", "secret", secretString=json.dumps(content))


def test_a_hand_over_from_another_stack_is_complete_and_names_another_user() -> None:
    user = resource("aws:iam/user:User", "user", uniqueId="AIDAOWN")
    whole = {"access_key_id": "AKIAEXAMPLEEXAMPLE12", "secret_access_key": "s3cr3t", "user_id": "AIDAPEER"}
    name = "hand-over-names-suppressed-user"
    assert found(name, user, hand_over(**whole)) == []
    assert found(name, user, hand_over(access_key_id="AKIA")) == ["secret secret lacks secret_access_key, user_id"]
    assert "this side's own user" in found(name, user, hand_over(**{**whole, "user_id": "AIDAOWN"}))[0]
    assert not any("s3cr3t" in text for text in found(name, user, hand_over(**{**whole, "user_id": "AIDAOWN"})))


def test_a_finding_never_shows_a_key() -> None:
    key = resource("aws:iam/accessKey:AccessKey", "key", secret="a-very-secret-access-key", id="AKIAEXAMPLEEXAMPLE12")
    leak = resource("aws:ssm/parameter:Parameter", "leak", value="x a-very-secret-access-key x")
    assert found("keys-in-secrets-manager-only", key, leak) == ["leak.value holds an access key"]


def test_the_stacks_hand_over_and_the_ids_in_outputs_are_no_findings() -> None:
    stack = resource(
        "pulumi:pulumi:Stack",
        account=None,
        handOver='{"access_key_id": "AKIAEXAMPLEEXAMPLE12"}',
        cn={"keyId": "AKIAEXAMPLEEXAMPLE12"},
    )
    assert found("keys-in-secrets-manager-only", stack) == []


def test_a_provider_with_a_key_is_found() -> None:
    made = resource("pulumi:providers:aws", account=None, accessKey="AKIAEXAMPLEEXAMPLE12")
    assert "provider it is given a long-lived key (accessKey)" in found("keys-in-secrets-manager-only", made)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("arn:aws-cn:sqs:cn-north-1:111122223333:q", ""),
        ("arn:aws:sqs:us-west-2:444455556666:q", "an ARN of partition aws"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", ""),
        ("https://sqs.cn-north-1.amazonaws.com/111122223333/q", "host sqs.cn-north-1.amazonaws.com does not exist"),
        ("com.amazonaws.cn-north-1.s3", ""),
        ("ec2.amazonaws.com.cn", ""),
    ],
)
def test_partitions_are_recognised_by_arn_and_host(text: str, problem: str) -> None:
    texts = found("own-partition", resource("aws:sqs/queue:Queue", value=text))
    assert ([problem] if problem else []) == [t.split(": ", 1)[1].split(", and")[0] for t in texts]


def test_user_data_is_read_in_its_encoding() -> None:
    import base64

    script = base64.b64encode(b"queue=arn:aws:sqs:us-west-2:444455556666:q").decode()
    assert found("own-partition", resource("aws:ec2/launchTemplate:LaunchTemplate", userData=script))


def test_default_providers_are_found() -> None:
    default = Account(urn="urn:d", name="default_7_0_0")
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue", account=default))
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue", account=None))
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue")) == []


def test_an_emulators_ledger_needs_no_deletion_protection() -> None:
    emulator = Account(urn="u", name="n", properties={"endpoints": '[{"sqs": "http://127.0.0.1:5000"}]'})
    table: dict[str, Any] = {"pointInTimeRecovery": {"enabled": True}, "deletionProtectionEnabled": False}
    assert found("ledger-recoverable", resource("aws:dynamodb/table:Table", account=emulator, **table)) == []
    assert found("ledger-recoverable", resource("aws:dynamodb/table:Table", **table)) == ["it can be deleted"]


def test_endpoints_on_this_machine_may_use_plain_http() -> None:
    def provider(url: str) -> Resource:
        return resource("pulumi:providers:aws", account=None, endpoints=json.dumps([{"sqs": url}]))

    assert found("https-endpoints", provider("http://127.0.0.1:5000")) == []
    assert found("https-endpoints", provider("https://vpce-1.sqs.us-west-2.vpce.amazonaws.com")) == []
    assert found("https-endpoints", provider("https://sqs.example.com")) == [
        "provider it sends requests to https://sqs.example.com"
    ]
    assert (
        found("https-endpoints", provider("https://sqs.example.com"), otherEndpoints=["https://sqs.example.com"]) == []
    )
    assert found("https-endpoints", provider("http://sqs.example.com")) == [
        "provider it sends requests to http://sqs.example.com"
    ]


def test_only_a_dead_letter_queue_needs_no_dead_letter_queue() -> None:
    dead = resource("aws:sqs/queue:Queue", "dead", messageRetentionSeconds=14 * 86400)
    queue = resource(
        "aws:sqs/queue:Queue",
        "queue",
        messageRetentionSeconds=7 * 86400,
        redrivePolicy=UNKNOWN,
        depends={"redrivePolicy": ("urn:dead",)},
    )
    lone = resource("aws:sqs/queue:Queue", "lone")
    assert found("dead-letters-outlive-queue", dead, queue) == []
    assert found("dead-letters-outlive-queue", dead, queue, lone) == ["lone has no dead-letter queue"]


def test_configured_names_are_allowed_without_the_prefix() -> None:
    user = resource("aws:iam/user:User", name_="x")
    user = Resource(type=user.type, name="u", urn="u", properties={"name": "robot"}, account=CN)
    assert found("prefixed", user) == ["u is named robot, which does not begin with dth-dual-"]
    assert found("prefixed", user, otherNames=["robot"]) == []


def test_every_rule_describes_what_why_and_the_remedy() -> None:
    for one in RULES:
        assert one.what.endswith("."), one.name
        assert one.why.endswith("."), one.name
        assert one.remedy.endswith("."), one.name
        assert len(one.why) > 60, one.name


def test_a_disabled_rule_is_not_run() -> None:
    import dataclasses

    from policy.rule import Level

    off = dataclasses.replace(rule("imdsv2"), level=Level.DISABLED)
    made = Plan((resource("aws:ec2/launchTemplate:LaunchTemplate", userData=""),))
    assert review(made, rules=[off]) == []
    assert review(made, rules=[rule("imdsv2")])


@pytest.mark.parametrize(
    ("rule_", "fine"),
    [
        ({"protocol": "tcp", "fromPort": 443.0, "toPort": 443.0}, True),
        ({"protocol": "6", "fromPort": "443", "toPort": "443"}, True),
        ({"protocol": "tcp", "fromPort": UNKNOWN, "toPort": UNKNOWN}, True),
        ({"protocol": "tcp", "fromPort": 443, "toPort": 444}, False),
        ({"protocol": "udp", "fromPort": 443, "toPort": 443}, False),
        ({"protocol": "-1", "fromPort": 0, "toPort": 0}, False),
        ({"protocol": "tcp"}, False),
    ],
)
def test_ports_are_read_as_the_engine_and_the_provider_write_them(rule_: dict[str, Any], fine: bool) -> None:
    made = resource("aws:ec2/securityGroup:SecurityGroup", egress=[rule_])
    assert (found("https-out-only", made) == []) is fine


@pytest.mark.parametrize(
    ("prefix", "pattern", "fine"),
    [
        ("", "*", True),
        ("year/", "year/*", True),
        ("year/", "*", False),
        ("year/", "yea*", False),
        ("a$b*/", "a${$}b${*}/*", True),
        ("数据/", "??/*", True),
        ("数据/", "*/*", False),
        ("ü数/", "ü?/*", True),
        ("ü数/", "??/*", False),
        ("a?/", "a?/*", False),
        ("${aws:username}/", "${aws:username}/*", False),
    ],
)
def test_a_user_policy_beyond_the_prefix_is_found(prefix: str, pattern: str, fine: bool) -> None:
    events = resource("dualsync:index:BucketSubscription", "events", bucket="b", owner="111122223333", prefix=prefix)
    made = resource("aws:iam/policy:Policy", policy=policy(allow("s3:GetObject", f"arn:aws-cn:s3:::b/{pattern}")))
    assert (found("own-resources-only", events, made) == []) is fine


@pytest.mark.parametrize("text", PREFIXES)
def test_policies_for_a_prefix_or_a_list_of_prefixes_are_accepted(text: str) -> None:
    for pattern in policy_patterns(text):
        assert _within(f"{pattern}*", DataBucket("b", text))
        assert not text or _within(pattern, DataBucket("b", "elsewhere/", text))
        assert not text or not _within(f"x{pattern}", DataBucket("b", text))
        assert not _within(f"{pattern}*", DataBucket("b", "elsewhere/", text))


@pytest.mark.parametrize(("file", "key"), [("list*", "list*"), ("a?", "a?"), ("${aws:username}", "${aws:username}")])
def test_the_right_to_read_a_prefix_list_names_one_key(file: str, key: str) -> None:
    assert not _within(key, DataBucket("b", "elsewhere/", file))
