"""Everything is encrypted at rest, and alarms still arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policy.documents import allowed
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

_AWS_KEY = "alias/aws/sns"


def at_rest(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queues, topics, tables, volumes, keys and buckets without encryption or rotation."""
    for resource in plan.resources:
        problem = _problem(plan, resource)
        if problem:
            yield Finding(resource, f"{resource.name} {problem}")


def alarms_arrive(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield topics whose key CloudWatch may not use."""
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
            # KMS rotates keys for encryption only (KMS Developer Guide, "Rotate AWS KMS keys").
            signs = resource.get("keyUsage") in ("SIGN_VERIFY", "GENERATE_VERIFY_MAC")
            if not signs and not _given(resource, "enableKeyRotation"):
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
    """Return whether a value is set, or made from another resource.

    The engine also shows a value as unknown if it is not set and AWS may fill it in.
    """
    value = resource.get(path)
    if value is UNKNOWN:
        return path.split(".")[0] in resource.depends
    return bool(value) and str(value).lower() != "false"


def _lets_cloudwatch(key: Resource) -> bool:
    return any(
        any(kind == "Service" and name.startswith("cloudwatch.") for kind, name in s.principals) for s in allowed(key)
    )


RULES = (
    Rule(
        name="encrypted-at-rest",
        what="Queues, topics, tables, volumes and buckets are encrypted.",
        why="Messages and ledger hold the keys of objects, and an attacker who gets the storage beneath them gets the"
        " keys too. What is encrypted in the bucket must not be in clear text beside it.",
        remedy="Turn encryption on: sqsManagedSseEnabled, kmsMasterKeyId, serverSideEncryption, ebs.encrypted, a"
        " BucketServerSideEncryptionConfiguration; and rotation for keys.",
        all=at_rest,
    ),
    Rule(
        name="alarms-arrive",
        what="The alarms' topic is encrypted with a key that CloudWatch may use.",
        why="CloudWatch drops a notification that it may not encrypt, without an error: no operator would see a guard"
        " that refuses, or a dead letter.",
        remedy="Use a key of your own whose policy allows CloudWatch's service principal kms:Decrypt and"
        " kms:GenerateDataKey*.",
        all=alarms_arrive,
    ),
)
