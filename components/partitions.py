"""Regions, their partition, and what a partition changes: ARNs, host names, service principals."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass

import botocore.session


@dataclass(frozen=True, slots=True)
class Partition:
    """A separate AWS: own accounts, own IAM, own host names. `dns_suffix` is the services' domain."""

    id: str
    dns_suffix: str
    pattern: str
    regions: tuple[str, ...]

    def principal(self, service: str, region: str = "") -> str:
        """The name by which policies know a service: `s3` → `s3.amazonaws.com`, in China too.

        Few services go by the partition's own domain, fewer by region (AWS CDK's region-info, default.ts; and the
        lookup of the Terraform provider's aws_service_principal, where those agree). `region` is for those alone.
        """
        domain = self.dns_suffix if service in _OWN_DOMAIN.get(self.id, ()) else _universal()
        if service in _REGIONAL:
            return f"{service}.{region}.{domain}"
        return f"{service}.{domain}"

    def arn(self, service: str, resource: str, *, region: str = "", account: str = "") -> str:
        """`arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return f"arn:{self.id}:{service}:{region}:{account}:{resource}"

    @property
    def console(self) -> str:
        """Host of the web console."""
        return "console.amazonaws.cn" if self.id == "aws-cn" else "console.aws.amazon.com"


_OWN_DOMAIN = {"aws-cn": frozenset({"ec2", "logs"})}
_REGIONAL = frozenset({"logs"})


def _universal() -> str:
    return next(p.dns_suffix for p in partitions() if p.id == "aws")


@functools.cache
def partitions() -> tuple[Partition, ...]:
    """All that the installed botocore knows (its `partitions.json`), so that a new region needs no release of ours."""
    table = botocore.session.Session().get_component("data_loader").load_data("partitions")
    return tuple(
        Partition(
            p["id"],
            p["outputs"]["dnsSuffix"],
            p["regionRegex"],
            tuple(r for r in p["regions"] if re.fullmatch(p["regionRegex"], r)),
        )
        for p in table["partitions"]
    )


def partition_of(region: str) -> Partition | None:
    """The partition of a known region, else None."""
    return next((p for p in partitions() if region in p.regions), None)


def nearest(region: str) -> str:
    """A few regions that a person may have meant, as text."""
    known = [r for p in partitions() for r in p.regions]
    return ", ".join(difflib.get_close_matches(region, known, 3, 0.5) or ["cn-north-1", "us-west-2"])
