"""Test edge cases of the rules about hardening over hand-made resources: network, transport, unused properties."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy.plan import UNKNOWN, Account, Resource
from tests.unit.policy.resources import found, resource

GLOBAL = Account(urn="urn:global", name="dth-dual-global", properties={})
"""Account of the other side."""


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
        (
            "aws:scheduler/schedule:Schedule",
            {"target": {"ecsParameters": {"launchType": "EXTERNAL"}}},
            "it runs the finder as EXTERNAL, on machines that this pack does not review"
            " (target.ecsParameters.launchType)",
        ),
        (
            "aws:scheduler/schedule:Schedule",
            {"target": {"ecsParameters": {"capacityProviderStrategies": [{"capacityProvider": "theirs"}]}}},
            "it can run the finder on machines that this pack does not review"
            " (target.ecsParameters.capacityProviderStrategies)",
        ),
        (
            "pulumi:providers:aws",
            {"customCaBundle": "/tmp/other.pem"},
            "it accepts other certificates, whose owners can read and change what it sends (customCaBundle)",
        ),
    ],
)
def test_second_ways_to_run_or_send_something_are_found(type_: str, properties: dict[str, Any], problem: str) -> None:
    assert found("no-second-way", resource(type_, **properties)) == [problem]


def test_unset_and_unknown_properties_are_accepted() -> None:
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


def test_an_outbound_rule_is_accepted_by_the_inbound_rule() -> None:
    assert found("no-inbound-rule", resource("aws:ec2/securityGroupRule:SecurityGroupRule", type="egress")) == []


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
def test_ports_are_read_in_the_types_of_engine_and_provider(rule_: dict[str, Any], fine: bool) -> None:
    made = resource("aws:ec2/securityGroup:SecurityGroup", egress=[rule_])
    assert (found("https-out-only", made) == []) is fine


TOPIC_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/12345678-1234-1234-1234-123456789012"


@pytest.mark.parametrize("key", [None, "", UNKNOWN])
def test_a_topic_without_a_key_is_accepted_unless_a_key_is_asked_for(key: Any) -> None:
    topic = resource("aws:sns/topic:Topic", kmsMasterKeyId=key)
    assert found("encrypted-at-rest", topic) == []
    assert found("encrypted-at-rest", topic, topicKey=True) == [
        "it is encrypted by SNS's disk encryption alone (topicKey)"
    ]


def test_a_topic_without_a_key_is_found_beside_queues_with_one() -> None:
    queue = resource("aws:sqs/queue:Queue", "queue", kmsMasterKeyId=TOPIC_KEY)
    other = resource("aws:sqs/queue:Queue", "other", account=GLOBAL, kmsMasterKeyId=TOPIC_KEY)
    topic = resource("aws:sns/topic:Topic")
    assert found("encrypted-at-rest", queue, topic) == [
        "it is encrypted by SNS's disk encryption alone, and its side's queues with a key"
    ]
    assert found("encrypted-at-rest", other, topic) == []
    with_key = resource("aws:sns/topic:Topic", kmsMasterKeyId=TOPIC_KEY)
    assert found("encrypted-at-rest", queue, with_key, topicKey=True) == []


def test_a_disabled_key_is_found() -> None:
    key = resource("aws:kms/key:Key", enableKeyRotation=True, isEnabled=False)
    assert found("encrypted-at-rest", key) == ["it is disabled, and nothing under it can be read"]
    for value in (True, None, UNKNOWN):
        assert found("encrypted-at-rest", resource("aws:kms/key:Key", enableKeyRotation=True, isEnabled=value)) == []
