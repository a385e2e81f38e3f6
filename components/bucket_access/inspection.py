"""What a preview must know of an adopted bucket: that it is there, whose, where, and what else acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

TOKEN = "dualsync:index:inspectBucket"  # noqa: S105 - a function's name
"""The lookup's name, as the program invokes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFacts:
    """`problem` is empty for a usable bucket. What may not be read is empty too: it is asked for, not insisted on.

    `rules_read` is false where the lifecycle rules could not be read, so that no `expiring_rules` says nothing.
    """

    problem: str = ""
    versioning: str = ""
    ownership: str = ""
    expiring_rules: tuple[str, ...] = ()
    rules_read: bool = False


def inspect(s3: Any, *, bucket: str, account_id: str, region: str, prefix: str = "") -> BucketFacts:
    """Look at the bucket through its own side's credentials. Changes nothing."""
    try:
        head = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError as e:
        return BucketFacts(problem=_problem(e, account_id, region))
    actual = head.get("BucketRegion") or region
    if actual != region:
        return BucketFacts(problem=f"is in {actual}, not in {region}; mend region")
    rules = _rules(s3, bucket, account_id)
    return BucketFacts(
        versioning=_ask(s3.get_bucket_versioning, bucket, account_id).get("Status", ""),
        ownership=_ownership(_ask(s3.get_bucket_ownership_controls, bucket, account_id)),
        expiring_rules=_expiring(rules or (), prefix),
        rules_read=rules is not None,
    )


def to_result(facts: BucketFacts) -> dict[str, Any]:
    """As a provider's function returns it."""
    f = asdict(facts)
    return {
        "problem": f["problem"],
        "versioning": f["versioning"],
        "ownership": f["ownership"],
        "expiringRules": list(f["expiring_rules"]),
        "rulesRead": f["rules_read"],
    }


def from_result(result: dict[str, Any]) -> BucketFacts:
    """The other way round."""
    return BucketFacts(
        problem=result["problem"],
        versioning=result["versioning"],
        ownership=result["ownership"],
        expiring_rules=tuple(result["expiringRules"]),
        rules_read=result["rulesRead"],
    )


def _problem(e: ClientError, account_id: str, region: str) -> str:
    status = e.response["ResponseMetadata"]["HTTPStatusCode"]
    actual = e.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    if status == 404:
        return "does not exist; create it, or mend its name: buckets are adopted, never created"
    if status in (301, 400) and actual and actual != region:
        return f"is in {actual}, not in {region}; mend region"
    if status == 403:
        return (
            f"is not account {account_id}'s, or this deployment may not see it; mend accountId, profile or permissions"
        )
    return f"can't be looked at ({e.response['Error']['Code']}); mend profile, region or endpoint"


def _ask(call: Any, bucket: str, account_id: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = call(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError:
        return {}
    return answer


def _rules(s3: Any, bucket: str, account_id: str) -> list[dict[str, Any]] | None:
    """The bucket's lifecycle rules; None where they can't be read, which is not the same as none."""
    try:
        answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError as e:
        return [] if e.response["Error"]["Code"] == "NoSuchLifecycleConfiguration" else None
    return list(answer.get("Rules", ()))


def _ownership(answer: dict[str, Any]) -> str:
    rules = answer.get("OwnershipControls", {}).get("Rules", ())
    return next((str(r["ObjectOwnership"]) for r in rules), "")


def _expiring(rules: Sequence[dict[str, Any]], prefix: str) -> tuple[str, ...]:
    """Names of the enabled rules that delete current objects of ours; their filters by tag or size are not judged.

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
