"""Test the message of every error of config: one line with the key, the value and the remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from tests.unit.components.config.pairs import CN, GLOBAL, pair
from tests.unit.components.recorder import deploy

DIGEST = f"sha256:{'0' * 64}"
SAME = GLOBAL | {"prefix": "x/"}

ERRORS: list[tuple[dict[str, Any], str]] = [
    # where
    ({"cn": {}}, "cn.accountId='': is missing; give it under dualsync:cn (which, in a stack's file, replaces"),
    ({"cn": CN | {"accountId": "12"}}, "cn.accountId='12': not an account's number; use its 12 digits, in quotes"),
    ({"cn": CN | {"accountId": 111122223333}}, "cn.accountId=111122223333: is not text; put it in quotes"),
    (
        {"global": GLOBAL | {"region": "us-wast-2"}},
        "global.region='us-wast-2': unknown region; use, for example, us-west-2",
    ),
    (
        {"cn": CN | {"partition": "aws-cn", "region": "us-east-1"}},
        "cn.region='us-east-1': is in partition aws, not in aws-cn; correct it, or cn.partition",
    ),
    ({"cn": CN | {"bucket": "No_Bucket"}}, "cn.bucket='No_Bucket': not a bucket's name; use an existing bucket's name"),
    ({"cn": CN | {"bucket": "192.168.0.1"}}, "cn.bucket='192.168.0.1': looks like an address; use an existing"),
    ({"cn": CN | {"bucket": "xn--bucket"}}, "cn.bucket='xn--bucket': a reserved name; use an existing bucket's name"),
    ({"cn": CN | {"prefix": "a*"}}, "cn.prefix='a*': holds a wildcard"),
    ({"cn": CN | {"prefix": "a" * 600}}, "cn.prefix="),
    (
        {"cn": CN | {"prefix": "\ud800"}},
        "cn.prefix='\\ud800': holds a lone surrogate, which",
    ),
    ({"tags": {"a": "\udfff"}}, "tags.a='\\udfff': holds a lone surrogate"),
    ({"cn": CN | {"buckets": "x"}}, "cn.buckets='x': no such key; use bucket"),
    (
        {"cn": CN | {"roleArn": "arn:aws:iam::111122223333:role/x"}},
        "cn.roleArn='arn:aws:iam::111122223333:role/x': is in partition aws, and cn-north-1 in aws-cn; give this side a"
        " profile or web identity of its own partition: roles can't be assumed across them",
    ),
    ({"cn": CN | {"roleArn": "x"}}, "cn.roleArn='x': not a role's ARN; use arn:aws-cn:iam::"),
    (
        {"cn": CN | {"roleArn": "arn:aws-cn:iam::000000000000:role/x"}},
        "is in account 000000000000; use a role of",
    ),
    ({"cn": CN | {"endpoint": "localhost"}}, "cn.endpoint='localhost': not valid for side cn; use http://host:port"),
    *(
        ({"peerIdentity": "role", "cn": CN | {"issuer": wrong}}, f"cn.issuer={wrong!r}: not valid for side cn; use")
        for wrong in (
            *("id.example.com", "http://id.example.com", "https://id.example.com/", "https://id.example.com:443/a"),
            *(
                "https://id.example.com/a?b=c",
                "https://id.example.com/a#b",
                "https://localhost",
                "https://ID.example.com",
            ),
            *("https://id.example.com//a", "https://user@id.example.com/a", "https://id.example.com/a b", "https://"),
            *(
                "https://-id.example.com",
                "https://id..example.com",
                "https://id.example.com/a\nb",
                "https://例.example.com",
            ),
        )
    ),
    (
        {"peerIdentity": "role", "cn": CN | {"issuer": "https://id.example.com/" + "a" * 240}},
        "cn.issuer='https://id.example.com/aaaaaaaaaaaaaaaaa…': has 263 characters, and IAM allows 255; use a shorter",
    ),
    ({"peerIdentity": "role"}, "cn.issuer='': is missing, and peerIdentity is role; give the public address of its"),
    (
        {"peerIdentity": "role", "cn": CN | {"issuer": "https://id.example.com/cn"}},
        "global.issuer='': is missing, and peerIdentity is role; give the public",
    ),
    (
        {"cn": CN | {"issuer": "https://id.example.com/cn"}},
        "cn.issuer='https://id.example.com/cn': has no use, as peerIdentity is user; remove it, or use role",
    ),
    (
        {
            "peerIdentity": "role",
            "cn": CN | {"issuer": "https://id.example.com"},
            "global": GLOBAL | {"issuer": "https://id.example.com"},
        },
        "global.issuer='https://id.example.com': is cn.issuer too, so that each side could sign for the other",
    ),
    (
        {
            "peerIdentity": "role",
            "cn": CN | {"issuer": "https://id.example.com/cn", "userName": "mine"},
            "global": GLOBAL | {"issuer": "https://id.example.com/global"},
        },
        "cn.userName='mine': has no use, as peerIdentity is role; remove it",
    ),
    ({"peerIdentity": "key"}, "peerIdentity='key': unknown choice; use one of user, role"),
    ({"cn": CN | {"userName": "a b"}}, "cn.userName='a b': not allowed; use 1 to 64 letters"),
    ({"cn": CN | {"secretName": "a-bcdefg"}}, "cn.secretName='a-bcdefg': not allowed; use up to 512"),
    ({"cn": CN | {"lifecycleExpires": "no"}}, "cn.lifecycleExpires='no': is not true or false; give true or false"),
    ({"cn": CN | {"formerUserIds": ["x"]}}, "cn.formerUserIds='x': not valid for side cn; use AIDA"),
    ({"cn": CN | {"formerUserIds": "x"}}, "cn.formerUserIds='x': is not a list of texts; give a list, each in quotes"),
    (
        {"cn": CN | {"eventsTopicArn": "arn:aws:sns:us-west-2:111122223333:t"}},
        "not a topic in cn-north-1; use a topic of the bucket's region",
    ),
    # together
    (
        {"cn": SAME, "global": GLOBAL | {"prefix": "x/y/"}},
        "global.prefix='x/y/': overlaps cn.prefix='x/' in the same bucket bucket-global, which would copy into itself;"
        " use two prefixes of which neither begins with the other, or two buckets",
    ),
    ({"cn": GLOBAL}, "global.prefix='': overlaps cn.prefix='' in the same bucket"),
    (
        {"global": GLOBAL | {"bucket": "bucket-cn"}},
        "global.bucket='bucket-cn': is cn.bucket too, which has one region and one account; correct either side",
    ),
    (
        {"cn": CN | {"accountId": GLOBAL["accountId"]}},
        "global.accountId='444455556666': is cn's too, but cn-north-1 and us-west-2 are in different partitions",
    ),
    (
        {
            "cn": GLOBAL | {"bucket": "bucket-a", "secretName": "key"},
            "global": GLOBAL | {"secretName": "key"},
        },
        "global.secretName='key': is the same on both sides, which share an account; give another name to",
    ),
    (
        {"cn": GLOBAL | {"bucket": "bucket-a", "userName": "u"}, "global": GLOBAL | {"userName": "u"}},
        "global.userName='u': is the same on both sides",
    ),
    # the pair
    (
        {"pair": "Photos!"},
        "pair='Photos!': not a pair's name; use lower-case letters, digits and hyphens, a letter first",
    ),
    ({"pair": "sg-photos"}, "pair='sg-photos': starts like names that AWS reserves; use another start"),
    ({"manages": []}, "manages=[]: not a choice of sides; use [cn], [global], or both"),
    ({"manages": ["cn", "cn"]}, "manages=['cn', 'cn']: not a choice of sides"),
    ({"manages": ["us"]}, "manages='us': unknown choice; use one of cn, global"),
    ({"events": "Delete"}, "events='Delete': unknown choice; use one of CreateAndDelete, Create, No"),
    ({"conflictPolicy": "oldest"}, "conflictPolicy='oldest': unknown choice; use one of newest, prefer-cn"),
    ({"onLifecycleExpiry": "x"}, "onLifecycleExpiry='x': unknown choice; use one of ignore, propagate"),
    ({"handOver": "mail"}, "handOver='mail': unknown choice; use one of provider, stack-reference, config"),
    (
        {"handOver": "config", "manages": ["cn", "global"]},
        "handOver='config': passes keys from one stack to another, and this stack manages both sides; use provider",
    ),
    ({"deletionLimit": -1}, "deletionLimit=-1: is negative; use 0 or more"),
    ({"deletionLimitPercent": 101}, "deletionLimitPercent=101: out of range; use 0 to 100"),
    ({"queueRetentionDays": 15}, "queueRetentionDays=15: out of range; use 1 to 13"),
    ({"tombstoneDays": 14}, "tombstoneDays=14: out of range; use 15 or more"),
    ({"keyVersion": 0}, "keyVersion=0: out of range; use 1 or more"),
    ({"logLevel": "LOUD"}, "logLevel='LOUD': unknown choice; use one of DEBUG, INFO, WARNING, ERROR"),
    ({"tags": {"aws:x": "y"}}, "tags='aws:x': not a tag's key"),
    ({"tags": {"Dualsync:pair": "y"}}, "tags='Dualsync:pair': not a tag's key"),
    ({"tags": {"a": "*"}}, "tags.a='*': not a tag's value; use at most 256 letters"),
    ({"tags": {f"t{n}": "" for n in range(47)}}, "tags=47: too many; give at most 46: a resource takes 50, and 4 are"),
    ({"tags": {"x": 1}}, "tags={'x': 1}: is not an object of texts; give each value in quotes"),
    # options
    ({"minCapacity": -1}, "minCapacity=-1: is negative; use 0 or more"),
    (
        {"minCapacity": 3, "desiredCapacity": 2},
        "desiredCapacity=2: capacities out of order (minCapacity 3, maxCapacity 20);"
        " let minCapacity ≤ desiredCapacity ≤ maxCapacity",
    ),
    ({"desiredCapacity": 21}, "desiredCapacity=21: capacities out of order"),
    ({"spotPercent": 200}, "spotPercent=200: out of range; use 0 to 100"),
    ({"volumeSize": 4}, "volumeSize=4: out of range; use 8 to 16384"),
    ({"architecture": "arm"}, "architecture='arm': unknown choice; use one of arm64, x86_64"),
    ({"storageClass": "COLD"}, "storageClass='COLD': unknown choice; use one of STANDARD"),
    ({"encryption": "DES"}, "encryption='DES': unknown choice; use one of nothing, AES256, aws:kms, aws:kms:dsse"),
    ({"kmsKey": "arn:x"}, "kmsKey='arn:x': has no use; set encryption to aws:kms as well"),
    (
        {"encryption": "aws:kms", "kmsKey": "arn:aws-cn:kms:cn-north-1:111122223333:key/1"},
        "is no key where the replicas are, in us-west-2; use arn:aws:kms:us-west-2:…:key/…",
    ),
    ({"acl": "open"}, "acl='open': unknown choice; use one of nothing, bucket-owner-full-control"),
    ({"logRetentionDays": 15}, "logRetentionDays=15: not offered; use one of 1, 3, 5, 7, 14"),
    ({"cn": CN | {"vpcId": "default"}}, "cn.vpcId='default': not valid for side cn; use vpc-"),
    ({"cn": CN | {"spotPercent": 101}}, "cn.spotPercent=101: out of range; use 0 to 100"),
    ({"finderCpu": 300}, "finderCpu=300: not offered; use one of 256, 512, 1024"),
    (
        {"finderCpu": 256, "finderMemory": 3072},
        "finderMemory=3072: not offered for 256 CPU units; use one of 512, 1024, 2048",
    ),
    ({"vpcId": "default"}, "vpcId='default': not valid for side cn; use vpc-"),
    ({"subnetIds": ["a"]}, "subnetIds='a': not valid for side cn; use a list of subnet-"),
    ({"machineImage": "latest"}, "machineImage='latest': not valid for side cn; use ami-"),
    ({"instanceType": "big"}, "instanceType='big': not valid for side cn; use one like t4g.micro"),
    ({"alarmEmail": "me"}, "alarmEmail='me': not valid for side cn; use one address, or nothing"),
    (
        {"finderImage": f"444455556666.dkr.ecr.us-west-2.amazonaws.com/x@{DIGEST}"},
        "is in a registry that side cn can't reach from cn-north-1; give it under cn, from a registry of partition",
    ),
    (
        {"finderImage": f"111122223333.dkr.ecr.cn-north-1.amazonaws.com/x@{DIGEST}"},
        "can't reach from cn-north-1; give it under cn, from a registry of partition aws-cn"
        " (<account>.dkr.ecr.<region>.amazonaws.com.cn)",
    ),
    (
        {"finderImage": "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/x:3"},
        "is not named by digest, so its content could change; give"
        " 111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/x:3@<digest>, with the digest from `aws ecr describe-images"
        " --registry-id 111122223333 --region cn-north-1 --repository-name x --image-ids imageTag=3",
    ),
    (
        {"manages": ["global"], "finderImage": "python:3.11"},
        "with the digest from `docker buildx imagetools inspect --format '{{.Manifest.Digest}}' python:3.11`",
    ),
    (
        {"finderImage": f"public.ecr.aws/lambda/python@{DIGEST}"},
        "does not reach reliably; copy it into 111122223333.dkr",
    ),
    ({"finderImage": f"MyRepo/Img@{DIGEST}"}, "not an image's reference; use HOST/REPOSITORY@sha256:"),
    ({"finderImage": f"a b@{DIGEST}"}, "not an image's reference; use HOST/REPOSITORY@sha256:"),
    # security
    ({"operatorRoles": ["ops"]}, "operatorRoles='ops': not valid for side cn; use the ARN of a role or user"),
    (
        {"operatorRoles": ["arn:aws:iam::111122223333:role/ops"]},
        "is of another account; use arn:aws-cn:iam::111122223333:role/<name>",
    ),
    (
        {"operatorRoles": ["arn:aws-cn:iam::111122223333:role/*"]},
        "names every role or user of the account; name those meant",
    ),
    ({"deployers": ["arn:aws-cn:iam::1:role/x"]}, "deployers='arn:aws-cn:iam::1:role/x': not valid for side cn"),
    ({"kmsKeyArn": "alias/x"}, "kmsKeyArn='alias/x': not valid for side cn; use a key's ARN, not an alias"),
    (
        {"kmsKeyArn": "arn:aws:kms:us-west-2:444455556666:key/1"},
        "is no key in cn-north-1; use arn:aws-cn:kms:cn-north-1:<account>:key/",
    ),
    (
        {"cn": CN | {"peerAddresses": ["1.2.3.4/8"]}},
        "cn.peerAddresses='1.2.3.4/8': not an address range; use addresses",
    ),
    ({"cn": CN | {"peerAddresses": ["10.1.0.0/16"]}}, "holds addresses that never reach S3 across regions; use the"),
    # names and alphabets
    ({"cn": CN | {"userName": "同步用户"}}, "cn.userName='同步用户': not allowed; use 1 to 64 letters, digits"),
    ({"cn": CN | {"secretName": "密"}}, "cn.secretName='密': not allowed; use up to 512 letters, digits"),
    ({"cn": CN | {"accountId": "１１１１２２２２３３３３"}}, "not an account's number; use its 12 digits"),
    (
        {"cn": CN | {"eventsTopicArn": "arn:aws-cn:sns:cn-north-1:444455556666:t"}},
        "not a topic of account 111122223333, so others decide who publishes to it; use a topic of cn.accountId:",
    ),
    ({"cn": CN | {"eventsTopicArn": "arn:aws-cn:sns:cn-north-1:"}}, "not a topic of account 111122223333"),
    ({"cn": CN | {"eventsTopicArn": "arn:aws-cn:sns:cn-north-1:111122223333:"}}, "not a topic's ARN; use arn:aws-cn"),
    (
        {"cn": CN | {"eventsTopicArn": "arn:aws-cn:sns:cn-north-1:111122223333:t.fifo"}},
        "of a standard topic, since S3 takes no FIFO one",
    ),
    ({"finderIntervalMinutes": 2881}, "finderIntervalMinutes=2881: out of range; use 1 to 2880"),
]


@pytest.mark.parametrize(("changes", "message"), ERRORS, ids=[e[1][:40] for e in ERRORS])
def test_errors_are_one_line_naming_key_value_and_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pair(changes)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert "; " in text, "a remedy follows the problem"


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("minCapacity", "many", "minCapacity='many': is not a whole number; give a whole number"),
        ("protect", "yes", "protect='yes': is not true or false; give true or false"),
        ("manages", "cn", "manages='cn': is not a list; give a list"),
        ("cn", "[]", "cn='[]': is not an object; give an object"),
        ("minCapacity", "true", "minCapacity='true': is not a whole number"),
    ],
)
def test_texts_are_converted_to_the_declared_type(key: str, text: str, message: str) -> None:
    class Given:
        def get(self, name: str) -> str | None:
            return text if name == key else None

    with pytest.raises(ConfigError) as caught:
        stack_config.read(Given())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("prefixListFile", "give it inside cn or global"),
        ("protetc", "use protect"),
        ("deletionLimt", "use deletionLimit"),
    ],
)
def test_an_unknown_key_at_the_top_is_refused(bundles: Path, name: str, remedy: str) -> None:
    """The engine ignores unknown keys, so a misspelt safety setting would not apply."""
    with pytest.raises(Exception, match=rf"^{name}='x': no such key at the top; {remedy}"):
        deploy("cn", bundles, {name: "x"})


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("peerCredental", "no such key at the top; use peerCredential"),
        ("handOver", "unknown choice; use one of provider, stack-reference, config"),
        ("peerStack", "not valid; use the stack's name, or organization/project/name"),
        ("maxCapacity", "is not a whole number; give a whole number"),
    ],
)
def test_the_value_of_a_secret_key_is_not_shown(bundles: Path, key: str, problem: str) -> None:
    """A hand-over may be set under another key by mistake."""
    with pytest.raises(Exception, match=rf"^{key}: {re.escape(problem)}$"):
        deploy("cn", bundles, {key: '{"secret_access_key": "hunter2"}'}, secret=[key])


def test_a_config_error_ends_the_program_before_anything_is_registered(bundles: Path) -> None:
    seen: list[str] = []

    def call(token: str, args: dict[str, Any]) -> None:
        seen.append(token)

    with pytest.raises(Exception, match=r"^maxCapacity=-3: is negative; use 1 or more$"):
        deploy("cn", bundles, {"maxCapacity": -3}, call)
    assert not seen
