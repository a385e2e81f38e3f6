"""Everything is encrypted at rest, and alarms still arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policy.documents import allowed
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Option, Options, Rule

_AWS_KEY = "alias/aws/sns"


def at_rest(plan: Plan, options: Options) -> Iterator[Finding]:
    """Yield queues, topics, tables, volumes, keys and buckets without encryption or rotation."""
    for resource in plan.resources:
        if resource.kind == "sns.Topic":
            problem = _topic(plan, resource, needed=bool(options["topicKey"]))
        else:
            problem = _problem(plan, resource)
        if problem:
            yield Finding(resource, f"{resource.name} {problem}")


def alarms_arrive(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield topics whose key CloudWatch may not use, and alarms that reach no operator."""
    for alarm in plan.of("cloudwatch.MetricAlarm"):
        if alarm.get("actionsEnabled") is False:
            yield Finding(alarm, f"{alarm.name} does nothing when it begins (actionsEnabled)")
        yield from _elsewhere(plan, alarm)
    for topic in plan.of("sns.Topic"):
        key = topic.get("kmsMasterKeyId")
        if key == _AWS_KEY:
            yield Finding(topic, f"{topic.name} is encrypted with {_AWS_KEY}, which CloudWatch may not use")
        for found in plan.behind(topic, "kmsMasterKeyId", "kms.Key"):
            if found.get("policy") is not UNKNOWN and not _lets_cloudwatch(found):
                yield Finding(topic, f"{topic.name} is encrypted with {found.name}, which CloudWatch may not use")


def _elsewhere(plan: Plan, alarm: Resource) -> Iterator[Finding]:
    """Yield an alarm without an action, or with one that is neither a topic nor a scaling policy of its side."""
    side = [r for r in plan.of("sns.Topic", "autoscaling.Policy") if _same_side(r, alarm)]
    own = {r.get("arn") for r in side}
    for path in ("alarmActions", "okActions", "insufficientDataActions"):
        behind = any(b in side for b in plan.behind(alarm, path, "sns.Topic", "autoscaling.Policy"))
        if alarm.get(path) is UNKNOWN or UNKNOWN in alarm.items(path):
            wrong = [] if behind or path not in alarm.depends else ["what is not of this plan"]
        else:
            wrong = [str(a) for a in alarm.items(path) if a not in own and not (behind and UNKNOWN in own)]
        if wrong:
            yield Finding(alarm, f"{alarm.name} calls {', '.join(wrong)} ({path})")
        elif path == "alarmActions" and not alarm.items(path) and alarm.is_known(path):
            yield Finding(alarm, f"{alarm.name} calls nothing when it begins (alarmActions)")


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn


def _problem(plan: Plan, resource: Resource) -> str:
    match resource.kind:
        case "sqs.Queue":
            if not _given(resource, "sqsManagedSseEnabled") and not _given(resource, "kmsMasterKeyId"):
                return "keeps messages unencrypted"
        case "dynamodb.Table":
            if not _given(resource, "serverSideEncryption.enabled"):
                return "is not encrypted with a key in KMS"
        case "ec2.LaunchTemplate":
            return _volumes(resource)
        case "kms.Key":
            if resource.get("isEnabled") is False:
                return "is disabled, and nothing under it can be read"
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


def _topic(plan: Plan, topic: Resource, *, needed: bool) -> str:
    """Return what is wrong with a topic without a key: SNS's disk encryption is enough where no key is asked for."""
    if _given(topic, "kmsMasterKeyId"):
        return ""
    if needed:
        return "is encrypted by SNS's disk encryption alone (topicKey)"
    if any(_given(queue, "kmsMasterKeyId") and _same_side(queue, topic) for queue in plan.of("sqs.Queue")):
        return "is encrypted by SNS's disk encryption alone, and its side's queues with a key"
    return ""


def _volumes(resource: Resource) -> str:
    mappings = [m for m in resource.items("blockDeviceMappings") if isinstance(m, Mapping)]
    if not mappings and resource.is_known("blockDeviceMappings"):
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
        what="Queues, tables, volumes and buckets are encrypted; topics with a key where the side's queues have one.",
        why="Messages and ledger hold the keys of objects, and an attacker who gets the storage beneath them gets the"
        " keys too. What is encrypted in the bucket must not be in clear text beside it. An alarm names resources"
        " only, and SNS encrypts its disks.",
        remedy="Turn encryption on: sqsManagedSseEnabled, kmsMasterKeyId, serverSideEncryption, ebs.encrypted, a"
        " BucketServerSideEncryptionConfiguration; and rotation for keys. For a topic, set kmsKeyArn or alarmTopicKey.",
        all=at_rest,
        options={
            "topicKey": Option(
                default=False,
                help="Whether each topic needs a KMS key, as Security Hub's control SNS.1 asks.",
                schema={"type": "boolean"},
            )
        },
    ),
    Rule(
        name="alarms-arrive",
        what="Alarms call the topic or the scaling of their side, and CloudWatch may use the topic's key.",
        why="CloudWatch drops a notification that it may not encrypt, without an error: no operator would see a guard"
        " that refuses, or a dead letter.",
        remedy="Leave the alarms' actions to the program. Use a key of your own whose policy allows CloudWatch's"
        " service principal kms:Decrypt and kms:GenerateDataKey*.",
        all=alarms_arrive,
    ),
)
