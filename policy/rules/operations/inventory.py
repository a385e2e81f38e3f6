"""The plan holds the kinds of resources that a pair is made of, and of some kinds no more than a pair has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from dualsync.runtime.settings import variable
from policy.environment import environments
from policy.ownership import IDENTITY, SUBSCRIPTION
from policy.peers import PROVIDER, is_peer_role, noun, peer_identities
from policy.plan import UNKNOWN, Plan, Resource, as_account
from policy.rule import Finding, Option, Options, Rule

KINDS = frozenset(
    [
        *("autoscaling.Group", "autoscaling.LifecycleHook", "autoscaling.Policy"),
        *("cloudwatch.Dashboard", "cloudwatch.LogGroup", "cloudwatch.LogMetricFilter", "cloudwatch.MetricAlarm"),
        *("cloudwatch.QueryDefinition", "dynamodb.Table"),
        *("ec2.LaunchTemplate", "ec2.SecurityGroup", "ec2.VpcEndpoint", "ecs.Cluster", "ecs.TaskDefinition"),
        *("iam.AccessKey", "iam.InstanceProfile", "iam.OpenIdConnectProvider", "iam.Policy", "iam.Role"),
        *("iam.RolePolicy", "iam.User"),
        *("iam.UserPolicyAttachment", "kms.Alias", "kms.Key"),
        *("s3.Bucket", "s3.BucketLifecycleConfiguration", "s3.BucketObjectv2", "s3.BucketOwnershipControls"),
        *("s3.BucketPolicy", "s3.BucketPublicAccessBlock", "s3.BucketServerSideEncryptionConfiguration"),
        *("s3.BucketVersioning", "scheduler.Schedule"),
        *("secretsmanager.Secret", "secretsmanager.SecretPolicy", "secretsmanager.SecretVersion"),
        *("sns.Topic", "sns.TopicPolicy", "sns.TopicSubscription", "sqs.Queue", "sqs.QueuePolicy"),
        *("pulumi:providers:aws", "pulumi:providers:dualsync", "pulumi:pulumi:Stack"),
    ]
)
"""Kinds that the program registers, with every option."""

ONCE = (
    *("autoscaling.Group", "dynamodb.Table", "ec2.LaunchTemplate", "ec2.SecurityGroup", "ecs.Cluster"),
    *("ecs.TaskDefinition", "iam.InstanceProfile", "scheduler.Schedule", "secretsmanager.Secret"),
)
"""Kinds of which a side has one."""

NAMED_ELSEWHERE = frozenset(
    [
        # own-policies-only
        *("iam.Group", "iam.GroupMembership", "iam.GroupPolicy", "iam.GroupPolicyAttachment", "iam.PolicyAttachment"),
        *("iam.RolePolicyAttachment", "iam.RolePolicyAttachmentsExclusive", "iam.UserGroupMembership"),
        *("iam.UserPolicy", "iam.UserPolicyAttachmentsExclusive"),
        # keys-in-secrets-manager-only
        *("ec2.KeyPair", "iam.ServiceSpecificCredential", "iam.SshKey", "iam.UserLoginProfile"),
        # notifications-kept, no-inbound-rule, https-out-only
        *("s3.BucketNotification", "ec2.SecurityGroupRule"),
        *("vpc.SecurityGroupEgressRule", "vpc.SecurityGroupIngressRule"),
    ]
)
"""Kinds that other rules refuse, with a more specific reason."""


def known_kinds(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield resources of a kind that a pair is not made of."""
    kind = resource.kind
    if kind in KINDS or kind in NAMED_ELSEWHERE or kind.startswith("dualsync:") or kind in options["moreTypes"]:
        return
    if resource.type.startswith("pulumi:providers:") and resource.name.startswith("default"):
        return
    # Components of a program that uses this one group resources, and make none themselves.
    if (
        resource.account is None
        and ":" in kind
        and not kind.startswith("pulumi:")
        and not resource.type.startswith("aws:")
    ):
        return
    yield Finding(resource, f"{resource.name} is a {resource.type}, which a pair is not made of")


def nothing_besides(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield users, keys, roles and subscriptions beyond those of a pair."""
    yield from _users(plan)
    yield from _twice(plan)
    yield from _data_buckets(plan)
    keys: list[Resource] = []
    for key in plan.of("iam.AccessKey"):
        users = [u for u in plan.of("iam.User") if _same_side(u, key)]
        value = key.get("user")
        named = [u for u in users if u.get("name") == value or u in plan.behind(key, "user", "iam.User")]
        if not named:
            yield Finding(key, f"{key.name} is a key of {_shown(value)}, who is not a user of this plan")
        else:
            keys.append(key)
    yield from _several(keys, lambda _: "key")
    for role in plan.of("iam.Role"):
        if not _used(plan, role) and not is_peer_role(plan, role):
            yield Finding(role, f"{role.name} is a role that no profile, task or schedule of this plan uses")
    for provider in plan.of(PROVIDER):
        if not any(provider in plan.behind(r, "assumeRolePolicy", PROVIDER) for r in plan.of("iam.Role")):
            yield Finding(provider, f"{provider.name} is an identity provider that no role of this plan trusts")
    for policy in plan.of("iam.Policy"):
        if not any(
            policy in plan.behind(a, "policyArn") or policy.get("arn") == a.get("policyArn")
            for a in plan.of("iam.UserPolicyAttachment")
        ):
            yield Finding(policy, f"{policy.name} is a policy that the dedicated user does not have")
    for subscription in plan.of("sns.TopicSubscription"):
        problem = _subscription(plan, subscription)
        if problem:
            yield Finding(subscription, f"{subscription.name} {problem}")


def _users(plan: Plan) -> Iterator[Finding]:
    yield from _several(peer_identities(plan), noun)


def _twice(plan: Plan) -> Iterator[Finding]:
    """Yield what a side has once, and the plan has more often: one of them could run or hold something else."""
    for kind in ONCE:
        yield from _several(plan.of(kind), lambda resource: resource.kind)


def _several(resources: Iterable[Resource], name: Callable[[Resource], str]) -> Iterator[Finding]:
    """Yield each resource of which its side has more than one.

    Nothing tells which of them is the pair's: the engine registers resources in any order.
    """
    sides: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        sides[resource.account.urn if resource.account is not None else ""].append(resource)
    for found in sides.values():
        for resource in found if len(found) > 1 else ():
            others = ", ".join(sorted(other.name for other in found if other is not resource))
            yield Finding(resource, f"{resource.name} is not the only {name(resource)} of its side, beside {others}")


def _data_buckets(plan: Plan) -> Iterator[Finding]:
    """Yield subscriptions and identities about a further bucket, or a further prefix of one.

    What they name counts as the pair's own data for `own-resources-only`.
    """
    sides = Counter(account for p in plan.of("pulumi:providers:aws") for account in as_account(p).account_ids)
    settings: dict[str, set[str]] = defaultdict(set)
    for found in environments(plan):
        for account in found.holder.account.account_ids if found.holder.account is not None else ():
            settings[account] |= {found.get(variable("local_bucket"))} - {""}
    owned: dict[str, dict[tuple[str, str], list[Resource]]] = defaultdict(lambda: defaultdict(list))
    for resource in (*plan.of(SUBSCRIPTION), *plan.of(IDENTITY)):
        owner, bucket, prefix = resource.get("owner"), resource.get("bucket"), resource.get("prefix") or ""
        if isinstance(owner, str) and isinstance(bucket, str) and isinstance(prefix, str):
            owned[owner][bucket, prefix].append(resource)
    for owner, data in owned.items():
        most = max(1, sides[owner])
        # Settings that contradict each other are found by `settings-of-own-side`.
        own = settings[owner] if len(settings[owner]) <= most else set()
        places = {f"{bucket}/{prefix}*" for bucket, prefix in data}
        places |= {f"{bucket}/*" for bucket in own - {bucket for bucket, _ in data}}
        if len(places) <= most:
            continue
        for (bucket, prefix), resources in data.items():
            place = f"{bucket}/{prefix}*"
            for resource in resources:
                others = ", ".join(sorted(places - {place}))
                yield Finding(resource, f"{resource.name} makes {place} data of the pair, beside {others}")


def _used(plan: Plan, role: Resource) -> bool:
    places = (
        ("iam.InstanceProfile", "role"),
        ("ecs.TaskDefinition", "executionRoleArn"),
        ("ecs.TaskDefinition", "taskRoleArn"),
        ("scheduler.Schedule", "target.roleArn"),
    )
    names = {v for v in (role.get("arn"), role.get("name")) if isinstance(v, str)}
    return any(
        role in plan.behind(r, path.partition(".")[0]) or r.get(path) in names
        for kind, path in places
        for r in plan.of(kind)
    )


def _subscription(plan: Plan, subscription: Resource) -> str:
    """Return what is wrong with a subscription: alarms go to the operator's mail, a topic's events to the queue."""
    protocol = subscription.get("protocol")
    if protocol in ("email", "email-json"):
        topics = [t for t in plan.of("sns.Topic") if _same_side(t, subscription)]
        topic = subscription.get("topic")
        own = topic in {t.get("arn") for t in topics} or bool(plan.behind(subscription, "topic", "sns.Topic"))
        return "" if own else f"subscribes to {_shown(topic)}, which is not a topic of this plan"
    if protocol == "sqs":
        queues = [q for q in plan.of("sqs.Queue") if _same_side(q, subscription)]
        endpoint = subscription.get("endpoint")
        own = endpoint in {q.get("arn") for q in queues} or bool(plan.behind(subscription, "endpoint", "sqs.Queue"))
        return "" if own else f"sends to {_shown(endpoint)}, which is not a queue of this plan"
    return (
        ""
        if protocol is UNKNOWN
        else f"sends a topic's messages by {protocol} to {_shown(subscription.get('endpoint'))}"
    )


def _same_side(a: Resource, b: Resource) -> bool:
    return a.account is not None and b.account is not None and a.account.urn == b.account.urn


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "(known later)"


RULES = (
    Rule(
        name="known-types",
        what="The plan holds resources of the types that a pair is made of.",
        why="A function, a replication rule or a parameter can carry data and rights out of the"
        " account, in ways and encodings that no rule about its content could list.",
        remedy="Take the resource out. If the program needs it now, add its kind to policy/rules/operations/"
        "inventory.py in the same change; name kinds of your own program in `moreTypes`.",
        each=known_kinds,
        options={
            "moreTypes": Option(
                default=[],
                help="Kinds of resources besides a pair's, for a program that makes more (ssm.Parameter).",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
    Rule(
        name="nothing-besides",
        what="Each side has one dedicated user with one key, or one role for the peer; one fleet, finder, ledger,"
        " secret and data bucket; only roles that its parts use; and no other subscription.",
        why="Another key, role, fleet or subscription is a second way to the data, of which the operators have no"
        " record.",
        remedy="Take the resource out.",
        all=nothing_besides,
    ),
)
