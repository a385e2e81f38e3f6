"""Test the environment of worker and finder: every setting has a config key or a reason to have none; no secret."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config import stack_config
from dualsync.components.preflight import expiring
from dualsync.components.queue import VISIBILITY_SECONDS
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.settings import Settings, SideName, variable
from tests.unit.components.recorder import KEY_SECRET, Deployment, config_of, deploy

CN = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn", "profile": "a"}
GLOBAL = {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global", "profile": "b"}

KEY = "arn:aws:kms:us-west-2:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHERWISE: list[dict[str, Any]] = [
    {"pair": "photos"},
    {
        "cn": CN
        | {
            "bucket": "other",
            "prefix": "p/",
            "prefixListFile": "list",
            "region": "cn-northwest-1",
            "endpoint": "http://localhost:1",
        }
    },
    {"cn": CN | {"secretName": "its/key", "formerUserIds": ["AIDAOLDUSEROLDUSER12"]}},
    {"global": GLOBAL | {"bucket": "more", "prefix": "p/", "region": "eu-west-1", "endpoint": "http://localhost:1"}},
    {"cn": CN | {"lifecycleExpires": False}, "global": GLOBAL | {"lifecycleExpires": False}},
    {"cn": CN | {"accountId": "333333333333"}, "global": GLOBAL | {"accountId": "444444444444"}},
    {"events": "Create", "conflictPolicy": "prefer-cn", "keepLoser": True, "onLifecycleExpiry": "propagate"},
    {"includeMetadata": False, "storageClass": "STANDARD_IA", "acl": "", "workerConcurrency": 8},
    {"includeTags": True, "encryption": "aws:kms", "kmsKey": KEY, "requesterPays": True},
    {"finderNumber": 4, "firstContact": "size"},
    {"enableSynchronization": False},
    {
        "peerIdentity": "role",
        "cn": CN | {"issuer": "https://id.example.com/cn"},
        "global": GLOBAL | {"issuer": "https://id.example.com/global"},
    },
    {"direction": "cn-to-global"},
    {"giantThreshold": 10 << 30},
    {"deletionLimit": 5, "deletionLimitPercent": 5, "finderGraceSeconds": 60, "tombstoneDays": 90, "logLevel": "DEBUG"},
]
"""Every key that a setting comes from, with another value than its default."""

DEPLOYMENTS = {"queue_url", "dead_letter_queue_url", "ledger_table", "own_user_ids", "side"}
"""Settings whose values are known only to the deployment."""

WITHOUT_KEY = {
    "visibility_seconds": "a worker extends it while it works; it only says how soon a killed worker's work is redone",
    "retry_delay_seconds": "follows from how long a copy takes, not from a user's wish",
    "contention_attempts": "a bound against endless checks, far beyond what happens",
    "denied_seconds": "an operator's time to correct a policy, before its messages are dead letters",
    "multipart_threshold": "sized to the memory of the smallest instance; ETags follow the source's own parts",
    "part_size": "sized to the memory of the smallest instance; ETags follow the source's own parts",
}
"""Settings that no config key sets, and why."""


def settings(changes: dict[str, Any] | None = None) -> Settings:
    model = stack_config.pair_of({"manages": ["cn"], "cn": CN, "global": GLOBAL} | (changes or {}))
    return settings_of(model, SideName.CN, expires=expiring(model, {}))


def test_every_setting_has_a_key_or_a_reason_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi.log.info", lambda *_: None)
    usual = settings()
    reached = {
        field.name
        for changes in OTHERWISE
        for field in dataclasses.fields(Settings)
        if getattr(settings(changes), field.name) != getattr(usual, field.name)
    }
    assert reached | DEPLOYMENTS | set(WITHOUT_KEY) == {field.name for field in dataclasses.fields(Settings)}
    assert not set(WITHOUT_KEY) & (reached | DEPLOYMENTS)


def test_a_workers_visibility_timeout_is_not_longer_than_the_queues() -> None:
    assert settings_visibility() <= VISIBILITY_SECONDS


def settings_visibility() -> int:
    return int(next(str(f.default) for f in dataclasses.fields(Settings) if f.name == "visibility_seconds"))


def user_data(deployment: Deployment) -> str:
    return base64.b64decode(deployment.one("aws:ec2/launchTemplate:LaunchTemplate").inputs["userData"]).decode()


def worker_environment(deployment: Deployment) -> dict[str, str]:
    """Return the boot script's environment file, read as systemd does."""
    lines = re.findall(r'^([A-Z][A-Z0-9_]*)="(.*)"$', user_data(deployment), re.MULTILINE)
    return {name: re.sub(r'\\(["\\$`])', r"\1", value) for name, value in lines}


def finder_environment(deployment: Deployment) -> dict[str, str]:
    definition = deployment.one("aws:ecs/taskDefinition:TaskDefinition").inputs["containerDefinitions"]
    (container,) = json.loads(definition)
    return {v["name"]: v["value"] for v in container["environment"]}


@pytest.mark.parametrize("stack", ["cn", "global"])
def test_worker_and_finder_parse_the_settings_of_the_deployment(bundles: Path, stack: str) -> None:
    side = json.loads(config_of(stack)[f"dualsync:{stack}"])
    former = ["AIDAOLDUSEROLDUSER12", "AIDAOLDERUSEROLDER12"]
    found = deploy(stack, bundles, {stack: side | {"formerUserIds": former, "prefix": 'a "b" $c/'}})
    worker, finder = worker_environment(found), finder_environment(found)
    assert Settings.from_environment(worker) == Settings.from_environment(finder)
    assert set(worker) >= {variable(f.name) for f in dataclasses.fields(Settings)}
    assert Settings.from_environment(worker).own_user_ids == (f"AIDA{side['accountId']}USER", *former)
    for environment in (worker, finder):
        assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == side["region"]
        assert "AWS_ENDPOINT_URL" not in environment


EGRESS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    (
        {"httpsProxy": "http://proxy.example:3128", "noProxy": [".example.com"]},
        {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "169.254.169.254,169.254.170.2,.example.com"},
    ),
    ({"fipsEndpoints": True}, {"AWS_USE_FIPS_ENDPOINT": "true"}),
    (
        {"dualStackEndpoints": True},
        {
            "AWS_USE_DUALSTACK_ENDPOINT": "true",
            **{
                f"AWS_ENDPOINT_URL_{variable}": f"https://{name}.us-west-2.amazonaws.com"
                for variable, name in {
                    "AUTO_SCALING": "autoscaling",
                    "CLOUDWATCH": "monitoring",
                    "DYNAMODB": "dynamodb",
                    "ECS": "ecs",
                    "KMS": "kms",
                    "STS": "sts",
                }.items()
            },
        },
    ),
]


@pytest.mark.parametrize(("options", "variables"), EGRESS, ids=[" ".join(options) for options, _ in EGRESS])
def test_worker_finder_and_machine_get_the_configured_proxy_and_endpoints(
    bundles: Path, options: dict[str, Any], variables: dict[str, str]
) -> None:
    found = deploy("global", bundles, options)
    for environment in (worker_environment(found), finder_environment(found), found.outputs["global"]["environment"]):
        own = {n: v for n, v in environment.items() if not n.startswith("DUALSYNC_")}
        assert own.items() >= variables.items()
        assert set(own) - set(variables) <= {"AWS_REGION", "AWS_DEFAULT_REGION", "PYTHONUNBUFFERED", "TMPDIR"}
    (line,) = re.findall(r"AWS_MAX_ATTEMPTS=5((?:\nexport .*)?)\n", user_data(found))
    assert dict(re.findall(r"([A-Z_]+)='([^']*)'", line)) == variables
    assert ("egress.conf" in user_data(found)) is bool(variables)


def test_no_secret_is_in_an_environment(deployment: Deployment) -> None:
    for template in deployment.of("aws:ec2/launchTemplate:LaunchTemplate"):
        text = base64.b64decode(template.inputs["userData"]).decode()
        assert KEY_SECRET not in text
        assert "AKIA" not in text
    for definition in deployment.of("aws:ecs/taskDefinition:TaskDefinition"):
        assert KEY_SECRET not in definition.inputs["containerDefinitions"]
        assert "AKIA" not in definition.inputs["containerDefinitions"]
