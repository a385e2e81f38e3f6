"""Everything travels encrypted: whoever talks to a queue, a topic or a bucket of ours in clear is refused."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from policy.documents import documents, statements
from policy.plan import UNKNOWN, Plan, Resource, as_account
from policy.rule import Finding, Options, Rule

GUARDED = {
    "sqs.Queue": ("sqs.QueuePolicy", "queueUrl", ("url", "id")),
    "sns.Topic": ("sns.TopicPolicy", "arn", ("arn", "id")),
    "s3.Bucket": ("s3.BucketPolicy", "bucket", ("bucket", "id")),
    "s3.BucketV2": ("s3.BucketPolicy", "bucket", ("bucket", "id")),
}
"""Kinds that anybody can talk to; the resource with their policy, its property that names them, and theirs."""


def tls_only(plan: Plan, _: Options) -> Iterator[Finding]:
    """Each has a policy that denies what comes without TLS."""
    for resource in plan.of(*GUARDED):
        kind, path, own = GUARDED[resource.kind]
        policies = [p for p in plan.of(kind) if _belongs(plan, p, path, resource, own)]
        if any(p.get("policy") is UNKNOWN for p in policies):
            continue
        if not any(_denies_plain(p) for p in (*policies, resource)):
            yield Finding(resource, f"{resource.name} takes requests without TLS")


def https_endpoints(resource: Resource, _: Options) -> Iterator[Finding]:
    """A provider is sent elsewhere only over TLS, or to this machine (a stand-in cloud)."""
    if resource.type != "pulumi:providers:aws":
        return
    for url in as_account(resource).endpoints:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            yield Finding(resource, f"provider {resource.name} talks to {url}")


def _belongs(plan: Plan, policy: Resource, path: str, resource: Resource, own: tuple[str, ...]) -> bool:
    if resource in plan.behind(policy, path):
        return True
    named = policy.get(path)
    return named not in (None, UNKNOWN) and any(resource.get(o) == named for o in own)


def _denies_plain(resource: Resource) -> bool:
    return any(
        not statement.allows
        and ("*", "*") in statement.principals
        and "false" in (v.lower() for v in statement.condition("Bool", "aws:SecureTransport"))
        for _, document in documents(resource)
        for statement in statements(document)
    )


RULES = (
    Rule(
        name="tls-only",
        what="Queues, topics and buckets refuse requests without TLS.",
        why="Messages carry object keys, and the artifacts bucket the code that workers run: over plain HTTP both can"
        " be read and changed on the way.",
        remedy="Add a statement to the resource's policy that denies every principal while aws:SecureTransport is"
        " false.",
        all=tls_only,
    ),
    Rule(
        name="https-endpoints",
        what="Providers talk to AWS over TLS.",
        why="What a deployment sends includes the dedicated user's secret key on its way into the peer's account.",
        remedy="Remove `endpoint`, or give an https address; plain addresses are for stand-ins on this machine.",
        each=https_endpoints,
    ),
)
