"""Read what a preview checks of an adopted bucket: whether it exists, its owner, its region, its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

TOKEN = "dualsync:index:inspectBucket"  # noqa: S105 - a function's name
"""Name of the lookup, as the program invokes it."""


class Versioning(StrEnum):
    """Versioning of a bucket: the statuses of GetBucketVersioning (S3 API Reference), and two for its absence."""

    ENABLED = "Enabled"
    """What a write or a deletion replaces stays as a version."""
    SUSPENDED = "Suspended"
    """Earlier versions stay. A write or a deletion replaces the null version, which is lost."""
    NONE = "none"
    """The bucket never had versioning: the answer has no status."""
    UNKNOWN = ""
    """The status can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFacts:
    """Facts of a bucket. What the deployment may not read is empty."""

    problem: str = ""
    """Why the bucket can't be used, and the remedy; empty for a usable one."""
    key: str = "bucket"
    """Config key of the side that the problem is about: bucket, region or profile."""
    versioning: Versioning = Versioning.UNKNOWN
    """Versioning of the bucket."""
    ownership: str = ""
    """Object ownership."""
    expiring_rules: tuple[str, ...] = ()
    """Names of the lifecycle rules that delete current objects under the prefix."""
    rules_read: bool = False
    """Whether the lifecycle rules could be read, so that an absence of `expiring_rules` means something."""


def inspect(s3: Any, *, bucket: str, account_id: str, region: str, prefix: str = "") -> BucketFacts:
    """Read the bucket's facts with its own side's credentials. Changes nothing."""
    try:
        head = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError as e:
        return _problem(e, account_id, region)
    actual = head.get("BucketRegion") or region
    if actual != region:
        return BucketFacts(problem=_OTHER_REGION.format(actual=actual), key="region")
    rules = _rules(s3, bucket, account_id)
    return BucketFacts(
        versioning=_versioning(_ask(s3.get_bucket_versioning, bucket, account_id)),
        ownership=_ownership(_ask(s3.get_bucket_ownership_controls, bucket, account_id) or {}),
        expiring_rules=_expiring(rules or (), prefix),
        rules_read=rules is not None,
    )


def to_result(facts: BucketFacts) -> dict[str, Any]:
    """Return the facts as a provider's function returns them."""
    f = asdict(facts)
    return {
        "problem": f["problem"],
        "key": f["key"],
        "versioning": str(f["versioning"]),
        "ownership": f["ownership"],
        "expiringRules": list(f["expiring_rules"]),
        "rulesRead": f["rules_read"],
    }


def from_result(result: dict[str, Any]) -> BucketFacts:
    """Return the facts from a provider's function's result."""
    return BucketFacts(
        problem=result["problem"],
        key=result.get("key", "bucket"),
        versioning=Versioning(result["versioning"]),
        ownership=result["ownership"],
        expiring_rules=tuple(result["expiringRules"]),
        rules_read=result["rulesRead"],
    )


_OTHER_REGION = "is not the bucket's, which is {actual}; correct region or bucket"


def _problem(e: ClientError, account_id: str, region: str) -> BucketFacts:
    status = e.response["ResponseMetadata"]["HTTPStatusCode"]
    actual = e.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    if status == 404:
        return BucketFacts(problem="does not exist; create it, or correct its name: buckets are adopted, never created")
    if status in (301, 400) and actual and actual != region:
        return BucketFacts(problem=_OTHER_REGION.format(actual=actual), key="region")
    code = e.response["Error"]["Code"]
    if status == 403 and code in ("403", "AccessDenied"):
        return BucketFacts(
            problem=f"is not account {account_id}'s, or this deployment may not read it; correct accountId, profile or"
            " permissions"
        )
    key = "profile" if status in (401, 403) else "bucket"
    return BucketFacts(problem=f"can't be read ({code}); correct profile, region or endpoint", key=key)


def _ask(call: Any, bucket: str, account_id: str) -> dict[str, Any] | None:
    """Return the answer, or None if it is refused."""
    try:
        answer: dict[str, Any] = call(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError:
        return None
    return answer


def _versioning(answer: dict[str, Any] | None) -> Versioning:
    """Return what an answer states. A status that AWS does not have is one that can't be read."""
    if answer is None:
        return Versioning.UNKNOWN
    status = answer.get("Status")
    if not status:
        return Versioning.NONE
    return Versioning(status) if status in (Versioning.ENABLED, Versioning.SUSPENDED) else Versioning.UNKNOWN


def _rules(s3: Any, bucket: str, account_id: str) -> list[dict[str, Any]] | None:
    """Return the bucket's lifecycle rules, or None if they can't be read."""
    try:
        answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError as e:
        return [] if e.response["Error"]["Code"] == "NoSuchLifecycleConfiguration" else None
    return list(answer.get("Rules", ()))


def _ownership(answer: dict[str, Any]) -> str:
    rules = answer.get("OwnershipControls", {}).get("Rules", ())
    return next((str(r["ObjectOwnership"]) for r in rules), "")


def _expiring(rules: Sequence[dict[str, Any]], prefix: str) -> tuple[str, ...]:
    """Return the names of enabled rules that delete current objects under the prefix, whatever their tags or sizes.

    Days or Date delete current versions (in a versioned bucket: put a delete marker over them); the expiry of markers
    and of noncurrent versions changes nothing that a listing shows (S3 API Reference, LifecycleExpiration).
    """
    names = []
    for number, rule in enumerate(rules, 1):
        filter = rule.get("Filter", {})
        own = filter.get("Prefix") or filter.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
        expiration = rule.get("Expiration", {})
        if (
            rule.get("Status") == "Enabled"
            and ("Days" in expiration or "Date" in expiration)
            and (own.startswith(prefix) or prefix.startswith(own))
        ):
            names.append(rule.get("ID") or f"number {number}")
    return tuple(names)
