"""Data buckets exist before the plan: nothing in it creates, configures, owns or deletes one."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.runtime.settings import variable
from policy.environment import environments
from policy.ownership import SUBSCRIPTION
from policy.plan import Plan
from policy.rule import Finding, Options, Rule


def data_buckets(plan: Plan) -> set[str]:
    """Return the names of the synchronised buckets, as far as they are known in the plan."""
    names = {s.get("bucket") for s in plan.of(SUBSCRIPTION)}
    for environment in environments(plan):
        for field in ("local_bucket", "remote_bucket"):
            names.add((environment.variables or {}).get(variable(field)))
    return {n for n in names if isinstance(n, str) and n}


def adopted(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield S3 resources about a data bucket."""
    names = data_buckets(plan)
    for resource in plan.resources:
        if not resource.kind.startswith(("s3.", "s3control.")) or resource.kind == "s3.BucketNotification":
            continue
        for path in ("bucket", "bucketName", "id"):
            if resource.get(path) in names:
                yield Finding(resource, f"{resource.name} ({resource.type}) manages data bucket {resource.get(path)}")
                break


RULES = (
    Rule(
        name="data-buckets-adopted",
        what="No data bucket is created, configured, owned or deleted.",
        why="The buckets and their objects exist before this program and stay after it. A stack's destroy deletes what"
        " the stack owns, and a deletion would travel to the other side.",
        remedy="Take the resource out; `pulumi state delete` it if it is already owned. The bucket's settings are"
        " its owner's.",
        all=adopted,
    ),
)
