"""The ARNs that belong to one account's part of a plan: its own resources, its data bucket, and what they use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dualsync.components.config.names import PAIR_TAG
from dualsync.components.config.partitions import partition_of
from dualsync.runtime.settings import variable
from policy.environment import Environment, containers, environments
from policy.plan import Account, Plan, Resource

SUBSCRIPTION = "dualsync:index:BucketSubscription"
IDENTITY = "dualsync:index:Identity"

_NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "autoscaling.Group": ("name", ("autoscaling:autoScalingGroup:*:autoScalingGroupName/{}",)),
    "cloudwatch.LogGroup": ("name", ("logs:log-group:{}",)),
    "dynamodb.Table": ("name", ("dynamodb:table/{}",)),
    "ecs.Cluster": ("name", ("ecs:cluster/{}", "ecs:task/{}")),
    "ecs.TaskDefinition": ("family", ("ecs:task-definition/{}",)),
    "secretsmanager.Secret": ("name", ("secretsmanager:secret:{}-??????",)),
    "sns.Topic": ("name", ("sns:{}",)),
    "sqs.Queue": ("name", ("sqs:{}",)),
}
"""Property with a kind's physical name, and its ARNs as `service:resource` (Service Authorization Reference)."""

_GLOBAL: dict[str, tuple[str, str]] = {
    "iam.Policy": ("name", "policy/{}"),
    "iam.Role": ("name", "role/{}"),
    "iam.User": ("name", "user/{}"),
}
"""The same for IAM, whose ARNs have no region."""

REGISTRY = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<suffix>[a-z0-9.]+)/(?P<name>[^:@]+)(?P<version>.*)"
)
"""An image in a private registry (ECR User Guide, private registries)."""


@dataclass(frozen=True, slots=True)
class DataBucket:
    """A synchronised bucket as a plan names it."""

    name: str
    """Name of the bucket."""
    prefix: str
    """Keys outside this prefix are none of the pair's."""
    list_file: str = ""
    """Whole key of the file with the prefixes, if any."""


class Owned:
    """What one account of a plan holds, as ARNs."""

    def __init__(self, plan: Plan, account: Account | None) -> None:
        """Collect the ARNs of the account's resources from `plan`."""
        ids = account.account_ids if account is not None else ()
        self.account_id = ids[0] if len(ids) == 1 else ""
        self.region = account.region if account is not None else ""
        self.pair = account.default_tags.get(PAIR_TAG, "") if account is not None else ""
        partition = partition_of(self.region)
        self.partition = partition.id if partition else ""
        self.dns_suffix = partition.dns_suffix if partition else ""
        ours = [r for r in plan.resources if account is not None and r.account and r.account.urn == account.urn]
        environment = [e for e in environments(plan) if e.holder in ours]
        self.settings_known = all(e.variables is not None for e in environment)
        self.data_buckets = tuple(self._buckets(plan, environment))
        self.bases = frozenset(self._bases(ours, environment))

    def arn(self, service: str, resource: str, *, anywhere: bool = False) -> str:
        """Return an ARN in this account, without a region if `anywhere`."""
        return f"arn:{self.partition}:{service}:{'' if anywhere else self.region}:{self.account_id}:{resource}"

    def covers(self, arn: str) -> bool:
        """Return whether an ARN or pattern stays within what the account's part of the plan holds."""
        if any(arn == base or arn.startswith((f"{base}/", f"{base}:")) for base in self.bases):
            return True
        if not self.settings_known and self._may_be_named_by_settings(arn):
            return True
        service, _, rest = arn.removeprefix(f"arn:{self.partition}:").partition(":::")
        if service != "s3":
            return False
        name, _, key = rest.partition("/")
        if not self.data_buckets and not self.settings_known:
            return True
        return any(name == b.name and (not key or _within(key, b)) for b in self.data_buckets)

    def _may_be_named_by_settings(self, arn: str) -> bool:
        """Return whether an ARN may be one that the settings name; the deployment, with known settings, checks it.

        An interrupted deployment may leave the roles, whose policies are then known, without worker and finder.
        """
        if arn.startswith(self.arn("ecr", "repository/")):
            return "*" not in arn and "?" not in arn
        name = arn.removeprefix(self.arn("secretsmanager", "secret:")).removesuffix("-??????")
        return arn == self.arn("secretsmanager", f"secret:{name}-??????") and self.is_named_for_pair(name)

    def _buckets(self, plan: Plan, environment: Iterable[Environment]) -> Iterator[DataBucket]:
        files = {f for e in environment if (f := e.get(variable("prefix_list_file")))}
        file = files.pop() if len(files) == 1 else ""
        for subscription in plan.of(SUBSCRIPTION):
            name, prefix = subscription.get("bucket"), subscription.get("prefix") or ""
            if subscription.get("owner") == self.account_id and isinstance(name, str) and isinstance(prefix, str):
                yield DataBucket(name, prefix, file)
        if not any(s.get("owner") == self.account_id for s in plan.of(SUBSCRIPTION)):
            for found in environment:
                if name := found.get(variable("local_bucket")):
                    yield DataBucket(name, found.get(variable("local_prefix")), file)
        # A one-way pair's destination has neither subscription nor settings.
        for identity in plan.of(IDENTITY):
            name, prefix = identity.get("bucket"), identity.get("prefix") or ""
            if identity.get("owner") == self.account_id and isinstance(name, str) and isinstance(prefix, str):
                yield DataBucket(name, prefix)

    def _bases(self, ours: Iterable[Resource], environment: Iterable[Environment]) -> Iterator[str]:
        for resource in ours:
            arn = resource.get("arn")
            if isinstance(arn, str) and not resource.kind.startswith("s3."):
                yield arn
            yield from self._named(resource)
        for resource in ours:
            key = resource.get("kmsMasterKeyId") or resource.get("serverSideEncryption.kmsKeyArn")
            if isinstance(key, str) and key.startswith(self.arn("kms", "key/")):
                yield key
        for found in environment:
            secret = found.get(variable("peer_secret"))
            if self.is_named_for_pair(secret):
                yield self.arn("secretsmanager", f"secret:{secret}-??????")

    def is_named_for_pair(self, name: str) -> bool:
        """Return whether a name is one that the program gives: it begins with the pair's, or is the guide's secret."""
        return bool(self.pair and name.startswith(f"{self.pair}-")) or bool(
            re.fullmatch(r"dth-credentials-[a-z0-9-]+", name)
        )

    def _named(self, resource: Resource) -> Iterator[str]:
        kind = resource.kind
        if kind in _NAMED:
            path, forms = _NAMED[kind]
            name = resource.get(path)
            if isinstance(name, str):
                yield from (self.arn(*form.format(name).split(":", 1)) for form in forms)
        elif kind in _GLOBAL:
            path, form = _GLOBAL[kind]
            name = resource.get(path)
            if isinstance(name, str):
                yield self.arn("iam", form.format(name), anywhere=True)
        elif kind in ("s3.Bucket", "s3.BucketV2"):
            name = resource.get("bucket")
            if isinstance(name, str):
                yield f"arn:{self.partition}:s3:::{name}"
        elif kind == "scheduler.Schedule":
            cluster = resource.get("target.arn")
            if isinstance(cluster, str) and cluster.startswith(self.arn("ecs", "cluster/")):
                yield cluster
                yield cluster.replace(":cluster/", ":task/")
        if kind == "ecs.TaskDefinition":
            for container in containers(resource):
                image = REGISTRY.fullmatch(str(container.get("image")))
                if image and image["account"] == self.account_id and image["suffix"] == self.dns_suffix:
                    yield f"arn:{self.partition}:ecr:{image['region']}:{self.account_id}:repository/{image['name']}"


def _within(key: str, bucket: DataBucket) -> bool:
    """Return whether a pattern of keys stays under the bucket's prefix, or is that of the file with the prefixes."""
    if bucket.list_file and _pattern_of(bucket.list_file).fullmatch(key):
        return True
    return _pattern_of(bucket.prefix).match(key) is not None


_SYNTAX = {"*": r"\$\{\*\}", "?": r"\$\{\?\}", "$": r"(?:\$\{\$\}|\$(?!\{))"}
"""How a policy may write the characters that IAM would read as a wildcard or as the begin of a variable."""


def _pattern_of(text: str) -> re.Pattern[str]:
    """Return the regular expression of the ways in which a policy may write `text`.

    IAM takes no characters above U+00FF in a document, so question marks may stand for those of the text.
    """
    parts = re.findall(r"[\u0000-\u00ff]|[^\u0000-\u00ff]+", text)
    return re.compile("".join(_SYNTAX.get(p) or (re.escape(p) if p <= "\xff" else rf"(?:\?+|{p})") for p in parts))
