"""Test wrong and odd values of every config key: each is refused in one line or gives documents that AWS accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pulumi_aws as aws
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dualsync.components import identity, queue
from dualsync.components.config import stack_config
from dualsync.components.config.declared import keys
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import SIDE_FACTS, SIDE_OPTIONS, PairModel
from dualsync.components.config.prefixes import FILTER_LENGTH, filter_value
from dualsync.components.config.service_names import problem_with
from dualsync.components.context import SideContext
from dualsync.components.workers.userdata import environment_file
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.settings import Settings
from tests.unit.components.recorder import deploy

CN = {"accountId": "111122223333", "partition": "aws-cn", "region": "cn-north-1", "bucket": "b-cn", "profile": "x"}
GLOBAL = {"accountId": "444455556666", "partition": "aws", "region": "us-west-2", "bucket": "b-gl", "profile": "x"}
ECR = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
DIGEST = f"sha256:{'0' * 64}"


def cn(**changes: Any) -> dict[str, Any]:
    return {"cn": {**CN, **changes}}


def other(**changes: Any) -> dict[str, Any]:
    return {"global": {**GLOBAL, **changes}}


REFUSED: list[dict[str, Any]] = [
    *(
        cn(bucket=b)
        for b in (
            "My-Bucket",
            "arn:aws-cn:s3:::b",
            "s3://b-cn",
            "b/p",
            "b-cn ",
            "桶-abc",
            "a" * 64,
            "x-s3alias",
            "x--table-s3",
        )
    ),
    cn(bucket="b") | other(bucket="b", accountId="111122223333", region="cn-north-1", partition="aws-cn"),
    cn(bucket="b") | other(bucket="b"),
    *(cn(prefix=p) for p in ("\ud800/", "a" * 513, "a\nb/", "a*", "\x7f", "数" * 200)),
    *(cn(accountId=a) for a in ("1111", 111122223333, "1111-2222-3333", "", None, "１１１１２２２２３３３３")),
    *(cn(region=r) for r in ("cn-nort-1", "us-east-1", "cn-north-1a", "", "CN-NORTH-1")),
    *(
        cn(roleArn=r)
        for r in (
            *("arn:aws-cn:iam::999988887777:role/x", "arn:aws:iam::111122223333:role/x", "x"),
            "arn:aws-cn:iam::111122223333:role/部署",
        )
    ),
    cn(endpoint="localhost"),
    cn(instancetype="t3.micro"),
    *({"instanceType": i} for i in ("big", "T4g.micro", "t4g.", "")),
    {"architecture": "amd64"},
    {"minCapacity": 5, "maxCapacity": 2},
    *({"maxCapacity": m} for m in (2.5, "many", -1, True, None)),
    *({"spotPercent": 101}, {"volumeSize": 4}, {"workerConcurrency": 0}, {"workerConcurrency": 1_000_000}),
    *({"giantThreshold": 1}, {"finderIntervalMinutes": 0}, {"finderIntervalMinutes": 10**9}),
    *({"finderCpu": 300}, {"finderMemory": 1000}),
    *(
        {"finderImage": i}
        for i in (
            *("a b", "MyRepo/Img:1", "python:3.11", "public.ecr.aws/lambda/python:3.11", f"{ECR}/x:1"),
            *(f"111122223333.dkr.ecr.cn-north-1.amazonaws.com/x@{DIGEST}", f"public.ecr.aws/lambda/python@{DIGEST}"),
        )
    ),
    {"finderCluster": "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/x"},
    *({"alarmEmail": e} for e in ("a@b.c,d@e.f", "ops", "运维@例子.公司", "a b@c.d", "a@b@c.d")),
    *({"logRetentionDays": 15}, {"lagAlarmSeconds": 10}, {"deletionsAlarm": -1}, {"storageClass": "standard"}),
    *({"acl": "public"}, {"kmsKey": "arn:aws:kms:us-west-2:444455556666:key/1"}),
    *({"encryption": "aws:kms", "kmsKey": k} for k in ("alias/x", "arn:aws-cn:kms:cn-north-1:111122223333:key/abc")),
    *({"pair": p} for p in ("Dth", "同步", "a" * 60, "", "a-", "-a", "a_b", "sg-a", "xn--a")),
    *({"handOver": "email"}, {"events": "All"}, {"conflictPolicy": "oldest"}, {"deletionLimit": -5}),
    *({"deletionLimitPercent": 200}, {"tombstoneDays": 1}, {"queueRetentionDays": 15}, {"keyVersion": 0}),
    *({"protect": "yes"}, {"logLevel": "info"}, {"tags": ["a"]}, {"tags": {"a": 1}}, {"tags": {"aws:x": "1"}}),
    *({"tags": {"a": "it's"}}, {"tags": {"": "x"}}, {"tags": {f"t{n}": "" for n in range(47)}}),
    *({"tags": t} for t in ({"team": "a", "Team": "b"}, {"name": "x"}, {"部A": "", "部a": ""})),
    *(cn(externalId=e, roleArn="arn:aws-cn:iam::111122223333:role/x") for e in ("x", "a b", "数据", "e" * 1225)),
    cn(externalId="who"),
    *({"manages": m} for m in ("cn", ["eu"], ["cn", "cn"], [], [None])),
    *({"peerStack": p} for p in ("a/b/c/d", "a/b", "a b", "/", "部署")),
    *({"vpcId": "my-vpc"}, {"subnetIds": "subnet-12345678"}, {"subnetIds": ["subnet-0123456789abcdef0"] * 2}),
    {"machineImage": "al2023"},
    *(cn(secretName=s) for s in ("my-secret", "密", "s" * 513)),
    *(cn(userName=u) for u in ("u" * 65, "a b", "数")),
    cn(userName="u") | other(userName="u", accountId="111122223333", region="cn-northwest-1", partition="aws-cn"),
    cn(userName="u") | other(userName="U", accountId="111122223333", region="cn-northwest-1", partition="aws-cn"),
    cn(formerUserIds=["bob"]),
    *(
        cn(eventsTopicArn=f"arn:aws-cn:sns:{t}")
        for t in ("cn-northwest-1:111122223333:t", "cn-north-1:111122223333:t.fifo", "cn-north-1:", "cn-north-1:1:t")
    ),
    *(cn(peerAddresses=[a]) for a in ("10.0.0.0/8", "203.0.113.7/24", "somewhere", "0.0.0.0/0")),
    *({"operatorRoles": [r]} for r in ("ops", "arn:aws-cn:iam::999988887777:role/ops", "*")),
    *({"enableSynchronization": e} for e in ("true", 1, None)),
]
"""Values that no deployment could work with."""

DEPLOYABLE: list[dict[str, Any]] = [
    cn(bucket="my.bucket.cn"),
    *(cn(prefix=p) for p in ("数据/", "my data/", "year=2024/", "/a/", "a", "é/", "a" * 512, 'it\'s "x"/', "50%/")),
    *(cn(prefix=p) for p in ("a\u00a0b/", "a\u200bb/", "${aws:username}/", "what?/", "😀/")),
    *({"instanceType": "t3.small"}, {"maxCapacity": 100_000}, {"minCapacity": 0}, {"giantThreshold": 10**15}),
    *({"finderIntervalMinutes": 1440}, {"finderArchitecture": "arm64"}, {"storageClass": "GLACIER"}),
    *({"encryption": "aws:kms"}, {"pair": "aws"}, {"pair": "ssm"}, {"pair": "a"}, {"tags": {"a": ""}}),
    *({"tags": {"Name": "x"}}, {"tags": {"部门": "存储"}}, cn(profile="") | other(profile="")),
    cn(externalId="a:b/c@d", roleArn="arn:aws-cn:iam::111122223333:role/x"),
    cn(prefixListFile="my list.txt"),
    *({"peerStack": p} for p in ("global", "org/dualsync/global", "")),
]
"""Odd values that work."""


def pair(changes: dict[str, Any]) -> PairModel:
    image = {"finderImage": f"{ECR}/lambda-python@{DIGEST}"}
    return stack_config.pair_of({"manages": ["cn"], "cn": CN, "global": GLOBAL, **image, **changes})


def pair_or_error(changes: dict[str, Any]) -> PairModel | ConfigError:
    try:
        return pair(changes)
    except ConfigError as e:
        return e


def check_deployable(model: PairModel) -> None:
    """Build everything that needs no cloud from the model, and check it against AWS's limits."""
    for side in model.manages:
        made = settings_of(model, side, user_id="AIDAEXAMPLE")
        assert Settings.from_environment(made.to_environment()) == made
        environment_file(made.to_environment())
        context = SideContext(model, side, cast("aws.Provider", None))
        for document, limit in ((identity.user_policy(context), 6144), (queue.queue_policy(context), 8192)):
            text = json.dumps(document, ensure_ascii=False)
            assert len(text) <= limit
            assert all(character in "\t\n\r" or " " <= character <= "\u00ff" for character in text)
        assert len(filter_value(context.local.prefix)) <= FILTER_LENGTH
        names = context.names
        for kind, name in (("IAM user", names.user), ("IAM policy", names.policy), ("secret", names.secret)):
            assert problem_with(kind, name) == ""
        assert all(len(longest) <= allowed for _, longest, allowed in names.tightest)


@pytest.mark.parametrize("changes", REFUSED, ids=[str(c)[:60] for c in REFUSED])
def test_a_wrong_value_is_refused_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        pair(changes)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize("changes", DEPLOYABLE, ids=[str(c)[:60] for c in DEPLOYABLE])
def test_an_odd_value_is_deployable(changes: dict[str, Any]) -> None:
    check_deployable(pair(changes))


def test_odd_values_in_combination_are_deployable(bundles: Path) -> None:
    changes = cn(prefix="数据 ${x}/it's 50%/") | {"pair": "aws", "tags": {"部门": "存储"}, "maxCapacity": 100_000}
    assert len(deploy("cn", bundles, {**changes, "global": GLOBAL}).aws) > 80


EXAMPLES = 300
"""Sets of random values per test run."""

TEXTS = st.text(max_size=40) | st.sampled_from(
    ["a/", "arn:aws-cn:iam::111122223333:role/x", "cn-north-1", "${a}*?", "1"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.integers(0, 400) | st.floats() | TEXTS
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=8), SCALARS, max_size=3)


def _of(names: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of keys, each with its default, one of its choices, or any value."""
    return st.lists(st.sampled_from(sorted(names)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {
                name: VALUES | st.just(names[name].default) | st.sampled_from([*names[name].declared.choices, "x"])
                for name in chosen
            }
        )
    )


@given(top=_of(dict(keys())), inside=_of({**SIDE_FACTS, **SIDE_OPTIONS}), peer=_of(dict(SIDE_FACTS)))
@example(top={"pair": "a"}, inside={"prefix": "é"}, peer={})
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_values_are_refused_in_one_line_or_deployable(
    top: dict[str, Any], inside: dict[str, Any], peer: dict[str, Any]
) -> None:
    found = pair_or_error({**top, "cn": {**CN, **inside}, "global": {**GLOBAL, **peer}})
    if isinstance(found, ConfigError):
        assert "\n" not in str(found)
        assert found.key
    else:
        check_deployable(found)
