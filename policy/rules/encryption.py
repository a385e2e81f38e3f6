"""Everything that rests is encrypted, and alarms still get through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policy.documents import documents, statements
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

_AWS_KEY = "alias/aws/sns"


def at_rest(plan: Plan, _: Options) -> Iterator[Finding]:
    """Queues, topics, tables, volumes and buckets."""
    for resource in plan.resources:
        problem = _problem(plan, resource)
        if problem:
            yield Finding(resource, f"{resource.name} {problem}")


def alarms_arrive(plan: Plan, _: Options) -> Iterator[Finding]:
    """A topic's key lets CloudWatch use it."""
    for topic in plan.of("sns.Topic"):
        key = topic.get("kmsMasterKeyId")
        if key == _AWS_KEY:
            yield Finding(topic, f"{topic.name} is encrypted with {_AWS_KEY}, which CloudWatch may not use")
        for found in plan.behind(topic, "kmsMasterKeyId", "kms.Key"):
            if found.get("policy") is not UNKNOWN and not _lets_cloudwatch(found):
                yield Finding(topic, f"{topic.name} is encrypted with {found.name}, which CloudWatch may not use")


def _problem(plan: Plan, resource: Resource) -> str:
    match resource.kind:
        case "sqs.Queue":
            if not _given(resource, "sqsManagedSseEnabled") and not _given(resource, "kmsMasterKeyId"):
                return "keeps messages unencrypted"
        case "sns.Topic":
            if not _given(resource, "kmsMasterKeyId"):
                return "keeps messages unencrypted"
        case "dynamodb.Table":
            if not _given(resource, "serverSideEncryption.enabled"):
                return "is not encrypted with a key in KMS"
        case "ec2.LaunchTemplate":
            return _volumes(resource)
        case "kms.Key":
            if not _given(resource, "enableKeyRotation"):
                return "is never rotated"
        case "s3.Bucket" | "s3.BucketV2":
            name = resource.get("bucket")
            for settings in plan.of("s3.BucketServerSideEncryptionConfiguration"):
                if resource in plan.behind(settings, "bucket") or (name and settings.get("bucket") == name):
                    return ""
            return "has no default encryption"
    return ""


def _volumes(resource: Resource) -> str:
    mappings = [m for m in resource.items("blockDeviceMappings") if isinstance(m, Mapping)]
    if not mappings and resource.knows("blockDeviceMappings"):
        return "leaves its volumes to the image, which may not encrypt them"
    for mapping in mappings:
        ebs = mapping.get("ebs")
        if isinstance(ebs, Mapping) and str(ebs.get("encrypted", "")).lower() not in ("true", str(UNKNOWN).lower()):
            return f"has an unencrypted volume ({mapping.get('deviceName')})"
    return ""


def _given(resource: Resource, path: str) -> bool:
    """Set to something, or made from another resource; an unknown value that nobody set is what AWS may fill in."""
    value = resource.get(path)
    if value is UNKNOWN:
        return path.split(".")[0] in resource.depends
    return bool(value) and str(value).lower() != "false"


def _lets_cloudwatch(key: Resource) -> bool:
    return any(
        s.allows and any(kind == "Service" and name.startswith("cloudwatch.") for kind, name in s.principals)
        for _, document in documents(key)
        for s in statements(document)
    )


RULES = (
    Rule(
        name="encrypted-at-rest",
        what="Queues, topics, tables, volumes and buckets are encrypted.",
        why="Messages and ledger hold the keys of everybody's objects, a worker's disk parts of their content; what is"
        " encrypted in the bucket must not lie in clear beside it.",
        remedy="Turn encryption on: sqsManagedSseEnabled, kmsMasterKeyId, serverSideEncryption, ebs.encrypted, a"
        " BucketServerSideEncryptionConfiguration; and rotation for keys.",
        all=at_rest,
    ),
    Rule(
        name="alarms-arrive",
        what="The alarms' topic is encrypted with a key that CloudWatch may use.",
        why="CloudWatch drops what it may not encrypt, without a word: a guard that refuses or a dead letter would be"
        " seen by nobody.",
        remedy="Use a key of your own whose policy allows CloudWatch's service principal kms:Decrypt and"
        " kms:GenerateDataKey*.",
        all=alarms_arrive,
    ),
)
