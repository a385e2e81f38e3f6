"""Everything travels encrypted: queues, topics and buckets refuse requests in clear text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from dualsync.components.config.partitions import partition_of, partitions
from policy.documents import Statement, denied
from policy.plan import UNKNOWN, Plan, Resource, as_account
from policy.rule import Finding, Option, Options, Rule

GUARDED = {
    "sqs.Queue": ("sqs.QueuePolicy", "queueUrl", ("url", "id")),
    "sns.Topic": ("sns.TopicPolicy", "arn", ("arn", "id")),
    "s3.Bucket": ("s3.BucketPolicy", "bucket", ("bucket", "id")),
    "s3.BucketV2": ("s3.BucketPolicy", "bucket", ("bucket", "id")),
}
"""Kinds with an address of their own: the kind of their policy, its property that names them, and their names."""

ACTIONS: Mapping[str, frozenset[str]] = {
    "sqs.Queue": frozenset({"sqs:*", "*"}),
    # SNS refuses a policy with sns:*, and Publish is the one call that carries content (SNS guide, "Enforce encryption
    # of data in transit").
    "sns.Topic": frozenset({"sns:publish", "sns:*", "*"}),
    "s3.Bucket": frozenset({"s3:*", "*"}),
    "s3.BucketV2": frozenset({"s3:*", "*"}),
}
"""Actions of which the denial must name one."""


def tls_only(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queues, topics and buckets without a policy that denies every request without TLS."""
    for resource in plan.of(*GUARDED):
        kind, path, own = GUARDED[resource.kind]
        policies = [p for p in plan.of(kind) if _belongs(plan, p, path, resource, own)]
        if any(p.get("policy") is UNKNOWN for p in policies):
            continue
        if not any(_denies_plain(resource, p) for p in (*policies, resource)):
            yield Finding(resource, f"{resource.name} takes requests without TLS")


def https_endpoints(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield providers whose requests go to another machine in clear text, or to one that is not AWS's."""
    if resource.type not in ("pulumi:providers:aws", "pulumi:providers:dualsync"):
        return
    own = resource.get("endpoint")
    for url in (*as_account(resource).endpoints, *([own] if isinstance(own, str) and own else [])):
        parts = urlsplit(url)
        if parts.hostname in ("127.0.0.1", "localhost", "::1") or url in options["otherEndpoints"]:
            continue
        host = parts.hostname or ""
        if parts.scheme != "https" or not host.endswith(tuple(f".{p.dns_suffix}" for p in partitions())):
            yield Finding(resource, f"provider {resource.name} sends requests to {url}")


def _belongs(plan: Plan, policy: Resource, path: str, resource: Resource, own: tuple[str, ...]) -> bool:
    if resource in plan.behind(policy, path):
        return True
    named = policy.get(path)
    return named not in (None, UNKNOWN) and any(resource.get(o) == named for o in own)


def _denies_plain(resource: Resource, policy: Resource) -> bool:
    """Return whether one statement denies everybody all actions, with the absence of TLS as its only condition."""
    return any(
        {*statement.principals} & {("*", "*"), ("AWS", "*")}
        and not statement.negated
        and _plain_is_the_condition(statement)
        and ACTIONS[resource.kind] & {a.lower() for a in statement.actions}
        and _covers(resource, statement)
        for statement in denied(policy)
    )


def _plain_is_the_condition(statement: Statement) -> bool:
    blocks = [b for b in statement.conditions.values() if b]
    values = statement.condition("Bool", "aws:SecureTransport")
    return len(blocks) == 1 and len(blocks[0]) == 1 and [v.lower() for v in values] == ["false"]


def _covers(resource: Resource, statement: Statement) -> bool:
    """Return whether the statement's resources include the whole resource."""
    if "*" in statement.resources:
        return True
    account = resource.account
    partition = partition_of(account.region) if account is not None else None
    arn = resource.get("arn")
    wanted: set[str] = set()
    if resource.kind.startswith("s3."):
        name = resource.get("bucket")
        if not isinstance(name, str):
            return True
        bare = f"arn:{partition.id if partition else 'aws'}:s3:::{name}"
        wanted = {bare, f"{bare}/*"}
    elif isinstance(arn, str):
        wanted = {arn}
    elif partition is not None and account is not None and isinstance(resource.get("name"), str):
        service = resource.kind.partition(".")[0]
        owner = account.account_ids[0] if account.account_ids else ""
        wanted = {partition.arn(service, resource.get("name"), region=account.region, account=owner)}
    return wanted <= set(statement.resources)


RULES = (
    Rule(
        name="tls-only",
        what="Queues, topics and buckets refuse requests without TLS.",
        why="Messages carry object keys, and the artifacts bucket the code that workers run: over plain HTTP both can"
        " be read and changed on the way.",
        remedy="Add a statement to the resource's policy that denies every principal all actions (SNS: sns:Publish) on"
        " the whole resource, with Bool aws:SecureTransport false as its only condition.",
        all=tls_only,
    ),
    Rule(
        name="https-endpoints",
        what="Providers send their requests to AWS, over TLS.",
        why="What a deployment sends includes the dedicated user's secret key on its way into the peer's account.",
        remedy="Remove `endpoint`, or name an https address that is not AWS's in `otherEndpoints`; plain addresses are"
        " for local clouds on this machine.",
        each=https_endpoints,
        options={
            "otherEndpoints": Option(
                default=[],
                help="Addresses besides AWS's own that providers may use.",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
)
