"""Test the rules as CrossGuard policies: requests of the engine and reports to it."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.policy import EnforcementLevel, _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policy.pack import NAME, policy
from policy.rules import RULES


@pytest.fixture
def pack() -> Any:
    """Return the pack's gRPC servant, which the engine calls."""
    return _PolicyAnalyzerServicer(
        NAME, "0.0.1", [policy(r) for r in RULES], EnforcementLevel.MANDATORY, None, None, None, None, None, None, None
    )


def resource_request(type_: str, name: str, properties: dict[str, Any], **more: Any) -> Any:
    """Return the engine's request about one resource."""
    request = analyzer_pb2.AnalyzeRequest(type=type_, name=name, urn=f"urn:pulumi:s::p::{type_}::{name}")
    request.properties.update(properties)
    request.provider.type = "pulumi:providers:aws"
    request.provider.name = "dth-dual-cn"
    request.provider.urn = "urn:pulumi:s::p::pulumi:providers:aws::dth-dual-cn"
    request.provider.properties.update({"region": "cn-north-1", **more})
    return request


def reported(answer: Any) -> list[tuple[str, int]]:
    return [(d.policyName, d.enforcementLevel) for d in answer.diagnostics]


def test_the_packs_description_has_every_rule(pack: Any) -> None:
    info = pack.GetAnalyzerInfo(None, None)
    assert [p.name for p in info.policies] == [r.name for r in RULES]
    assert all(p.remediation_steps and p.description for p in info.policies)
    limited = next(p for p in info.policies if p.name == "logs-limited")
    assert limited.configSchema.properties["minimumDays"]["default"] == 7


def test_a_resource_is_refused_before_it_is_made(pack: Any) -> None:
    request = resource_request("aws:ec2/securityGroup:SecurityGroup", "group", {"ingress": [{"fromPort": 22}]})
    answer = pack.Analyze(request, None)
    hit = next(d for d in answer.diagnostics if d.policyName == "no-inbound-rule")
    assert hit.enforcementLevel == analyzer_pb2.MANDATORY
    assert "group has inbound rules" in hit.message
    assert "Why: " in hit.message
    assert "Remedy: " in hit.message


def test_an_unknown_value_is_accepted(pack: Any) -> None:
    request = resource_request(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "template",
        {
            "userData": UNKNOWN_STRING_VALUE,
            "metadataOptions": {"httpTokens": UNKNOWN_STRING_VALUE, "httpPutResponseHopLimit": UNKNOWN_STRING_VALUE},
            "blockDeviceMappings": [{"ebs": {"encrypted": UNKNOWN_STRING_VALUE}}],
            "tags": {"dualsync:pair": "p", "dualsync:side": "cn", "dualsync:part": "x"},
        },
    )
    assert reported(pack.Analyze(request, None)) == []


def test_levels_and_options_are_set_by_the_configuration(pack: Any) -> None:
    request = resource_request("aws:cloudwatch/logGroup:LogGroup", "log", {"retentionInDays": 7})
    configure = analyzer_pb2.ConfigureAnalyzerRequest()
    configure.policyConfig["tagged"].enforcementLevel = analyzer_pb2.DISABLED
    configure.policyConfig["logs-limited"].enforcementLevel = analyzer_pb2.ADVISORY
    configure.policyConfig["logs-limited"].properties.update({"minimumDays": 30})
    assert reported(pack.Analyze(request, None)) == [("tagged", analyzer_pb2.MANDATORY)]
    pack.Configure(configure, None)
    assert reported(pack.Analyze(request, None)) == [("logs-limited", analyzer_pb2.ADVISORY)]


def test_whole_stack_rules_name_the_resource(pack: Any) -> None:
    request = analyzer_pb2.AnalyzeStackRequest()
    one = request.resources.add()
    one.type, one.name = "aws:sqs/queue:Queue", "queue"
    one.urn = "urn:queue"
    one.properties.update({"sqsManagedSseEnabled": False})
    answer = pack.AnalyzeStack(request, None)
    hits = {d.policyName: d.urn for d in answer.diagnostics}
    assert hits["encrypted-at-rest"] == "urn:queue"
    assert hits["tls-only"] == "urn:queue"


def test_a_resource_that_does_not_exist_yet_has_an_unknown_id(pack: Any) -> None:
    request = analyzer_pb2.AnalyzeStackRequest()
    group, template = request.resources.add(), request.resources.add()
    for one, kind, name in (
        (group, "securityGroup:SecurityGroup", "group"),
        (template, "launchTemplate:LaunchTemplate", "t"),
    ):
        one.type, one.name, one.urn = f"aws:ec2/{kind}", name, f"urn:{name}"
        one.provider.urn = "urn:provider"
    template.properties.update({"networkInterfaces": [{"securityGroups": [UNKNOWN_STRING_VALUE]}]})
    template.propertyDependencies["networkInterfaces"].urns.append("urn:group")
    assert "own-security-group" not in {d.policyName for d in pack.AnalyzeStack(request, None).diagnostics}
    template.propertyDependencies["networkInterfaces"].urns[0] = "urn:elsewhere"
    assert "own-security-group" in {d.policyName for d in pack.AnalyzeStack(request, None).diagnostics}
