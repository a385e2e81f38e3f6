"""Nothing is public, nothing lets anybody in, and metadata is given to the machine itself only."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import allowed
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def no_public(plan: Plan, _: Options) -> Iterator[Finding]:
    """No policy for everybody, no public ACL, and public access blocked on every bucket."""
    for resource in plan.resources:
        for statement in allowed(resource):
            if any(name == "*" for _, name in statement.principals) and not statement.conditions:
                yield Finding(resource, f"{resource.name}: statement {statement.sid} allows everybody")
        acl = resource.get("acl")
        if resource.kind.startswith("s3.") and isinstance(acl, str) and acl.startswith(("public-", "authenticated-")):
            yield Finding(resource, f"{resource.name} has the ACL {acl}")
    for bucket in plan.of("s3.Bucket", "s3.BucketV2"):
        name = bucket.get("bucket")
        blocks = [
            b
            for b in plan.of("s3.BucketPublicAccessBlock")
            if bucket in plan.behind(b, "bucket") or (name and b.get("bucket") == name)
        ]
        if not blocks:
            yield Finding(bucket, f"{bucket.name} has no public access block")
        for block in blocks:
            open_ = [b for b in BLOCKS if block.get(b) is not UNKNOWN and not block.get(b)]
            if open_:
                yield Finding(block, f"{block.name} leaves {', '.join(open_)} off")


def no_inbound(resource: Resource, _: Options) -> Iterator[Finding]:
    """No rule that lets a connection in."""
    match resource.kind:
        case "ec2.SecurityGroup" | "ec2.DefaultSecurityGroup" if resource.items("ingress"):
            yield Finding(resource, f"{resource.name} has inbound rules")
        case "vpc.SecurityGroupIngressRule":
            yield Finding(resource, f"{resource.name} is an inbound rule")
        case "ec2.SecurityGroupRule" if resource.get("type") == "ingress":
            yield Finding(resource, f"{resource.name} is an inbound rule")


def imdsv2(resource: Resource, _: Options) -> Iterator[Finding]:
    """Instance metadata only with a token, one hop away."""
    if resource.kind not in ("ec2.LaunchTemplate", "ec2.Instance"):
        return
    if resource.get("metadataOptions.httpTokens") not in ("required", UNKNOWN):
        yield Finding(resource, f"{resource.name} answers metadata requests without a token (IMDSv1)")
    elif resource.get("metadataOptions.httpPutResponseHopLimit") not in (1, "1", None, UNKNOWN):
        yield Finding(resource, f"{resource.name} answers metadata requests from more than one hop away")


RULES = (
    Rule(
        name="nothing-public",
        what="No bucket, queue, topic or key is open to everybody.",
        why="Whoever can send to the queue can have any object copied or deleted on the other side; whoever can write"
        " the artifacts decides what the workers run.",
        remedy="Name the principal and bind it with aws:SourceArn or aws:SourceAccount; block public access to"
        " buckets.",
        all=no_public,
    ),
    Rule(
        name="no-inbound-rule",
        what="No security group lets a connection in.",
        why="Worker and finder only call out; machines with the peer's key in memory need no open port.",
        remedy="Remove the rule. To look at a machine, use Session Manager, which needs none.",
        each=no_inbound,
    ),
    Rule(
        name="imdsv2",
        what="Instances give their metadata to holders of a token only, one hop away.",
        why="The role's credentials are in the metadata, and through the role the peer's key: a request that a worker"
        " is tricked into making must not fetch them.",
        remedy="Set metadataOptions.httpTokens to required and httpPutResponseHopLimit to 1.",
        each=imdsv2,
    ),
)
