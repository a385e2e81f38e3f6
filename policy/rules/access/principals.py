"""Policies of resources name their principals: the own account, or a service that acts for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dualsync.components.monitoring.observability import DEPLOYER_TAG, KEY_MANAGEMENT
from policy.documents import Statement, allowed, is_identity
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule
from policy.rules.access.privilege import bound_to_account

_KEY_USE = frozenset(
    f"kms:{name}" for name in ("Decrypt", "Decrypt*", "DescribeKey", "Describe*", "Encrypt", "Encrypt*")
) | {"kms:GenerateDataKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"}

SERVICES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "sqs.QueuePolicy": {"s3": frozenset({"sqs:SendMessage"}), "sns": frozenset({"sqs:SendMessage"})},
    "sqs.Queue": {"s3": frozenset({"sqs:SendMessage"}), "sns": frozenset({"sqs:SendMessage"})},
    "sns.TopicPolicy": {"cloudwatch": frozenset({"sns:Publish"})},
    "sns.Topic": {"cloudwatch": frozenset({"sns:Publish"})},
    "kms.Key": dict.fromkeys(("cloudwatch", "logs", "s3", "sns", "sqs"), _KEY_USE),
    "kms.KeyPolicy": dict.fromkeys(("cloudwatch", "logs", "s3", "sns", "sqs"), _KEY_USE),
}
"""Services that may use a kind of resource, and their actions. Other kinds serve no service."""

BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def no_public(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield policies for everybody, public ACLs, and buckets whose public access is not blocked."""
    for resource in plan.resources:
        for statement in allowed(resource):
            if any(name == "*" for _, name in statement.principals) and not _own_principals(statement, resource):
                yield Finding(resource, f"{resource.name}: statement {statement.sid} allows everybody")
        acl = resource.get("acl")
        if resource.kind.startswith("s3.") and isinstance(acl, str) and acl not in ("private", ""):
            yield Finding(resource, f"{resource.name} has the ACL {acl}")
    for bucket in plan.of("s3.Bucket", "s3.BucketV2"):
        blocks = [b for b in plan.of("s3.BucketPublicAccessBlock") if _is_about(plan, b, bucket)]
        if not blocks:
            yield Finding(bucket, f"{bucket.name} has no public access block")
        if not any(_disables_acls(c) for c in plan.of("s3.BucketOwnershipControls") if _is_about(plan, c, bucket)):
            yield Finding(bucket, f"{bucket.name} lets ACLs open it to other accounts (BucketOwnerEnforced)")
        for block in blocks:
            open_ = [b for b in BLOCKS if block.get(b) is not UNKNOWN and not block.get(b)]
            if open_:
                yield Finding(block, f"{block.name} leaves {', '.join(open_)} off")


def _is_about(plan: Plan, settings: Resource, bucket: Resource) -> bool:
    """Return whether settings are those of a bucket."""
    name = bucket.get("bucket")
    return bucket in plan.behind(settings, "bucket") or bool(name and settings.get("bucket") == name)


def _disables_acls(controls: Resource) -> bool:
    return controls.get("rule.objectOwnership") in ("BucketOwnerEnforced", UNKNOWN)


def named_principals(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield principals of a resource's policy that are neither of the own account nor a service acting for it."""
    if is_identity(resource):
        return
    for statement in allowed(resource):
        where = f"{resource.name}: statement {statement.sid}"
        for kind, name in statement.principals:
            problem = _for_all(resource, statement) if name == "*" else _problem(resource, statement, kind, name)
            if problem:
                yield Finding(resource, f"{where} {problem}")


def _for_all(resource: Resource, statement: Statement) -> str:
    """Return what is wrong with rights on a key for every principal: its management by tagged deployers alone is fine.

    Whether they are of the own account is checked by the rule `nothing-public`.
    """
    if resource.kind not in ("kms.Key", "kms.KeyPolicy"):
        return ""
    wrong = [action for action in statement.actions if action not in KEY_MANAGEMENT]
    if wrong:
        return f"allows every principal to call {', '.join(wrong)}"
    return "" if statement.bound(f"aws:PrincipalTag/{DEPLOYER_TAG}") else "lets every principal manage the key"


def _problem(resource: Resource, statement: Statement, kind: str, name: str) -> str:
    ids = resource.account.account_ids if resource.account is not None else ()
    if kind == "AWS":
        parts = name.split(":")
        account = parts[4] if len(parts) == 6 else name
        return "" if account in ids else f"allows {name}, which is not of the own account"
    if kind != "Service":
        return f"allows {kind} {name}"
    service = name.partition(".")[0]
    may = SERVICES.get(resource.kind, {}).get(service)
    if may is None or not name.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return f"allows the service {name}, which has no business with it"
    wrong = [a for a in statement.actions if a not in may]
    if wrong:
        return f"allows {name} to call {', '.join(wrong)}"
    if not bound_to_account(statement, resource) and not _own_logs(statement, ids):
        return f"allows {name} on any account's behalf"
    return ""


def _own_principals(statement: Statement, resource: Resource) -> bool:
    """Return whether conditions narrow `*` to principals of the own account.

    SNS gives each new topic a policy with `aws:SourceOwner`, its own key for the caller's account.
    """
    ids = resource.account.account_ids if resource.account is not None else ()
    values = statement.bound("aws:PrincipalAccount") or statement.bound("kms:CallerAccount")
    if resource.kind == "sns.Topic":
        values = values or statement.bound("aws:SourceOwner")
    return bool(values) and set(values) <= set(ids)


def _own_logs(statement: Statement, ids: tuple[str, ...]) -> bool:
    """Return whether a key is for log groups of the own account (CloudWatch Logs guide: the encryption context)."""
    arns = statement.bound("kms:EncryptionContext:aws:logs:arn", patterns=True)
    return bool(arns) and all(len(p := a.split(":")) > 5 and p[2] == "logs" and p[4] in ids for a in arns)


RULES = (
    Rule(
        name="nothing-public",
        what="No bucket, queue, topic or key is open to everybody.",
        why="A sender to the queue can have any object checked, at the pair's cost. A writer of the artifacts decides"
        " what the workers run.",
        remedy="Name the principal. Block public access to buckets, and leave their ACLs private.",
        all=no_public,
    ),
    Rule(
        name="principals-named",
        what="Policies of resources allow the own account, or the services of this plan on behalf of the own account.",
        why="A second account in a queue's, a bucket's, a secret's or a key's policy has the pair's data without any"
        " right in this account. A service without a condition acts for any account.",
        remedy="Remove the principal. Give a service StringEquals on aws:SourceAccount with the own account, and only"
        " the actions that it calls.",
        each=named_principals,
    ),
)
