"""Derive from a region its partition, and from the partition ARNs, host names and service principals."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass

import botocore.session


@dataclass(frozen=True, slots=True)
class Partition:
    """A separate AWS with its own accounts, IAM and host names."""

    id: str
    """Name of the partition: aws, aws-cn."""
    dns_suffix: str
    """Domain of the services."""
    pattern: str
    """Regular expression of its regions' names."""
    regions: tuple[str, ...]
    """Names of its regions."""

    def principal(self, service: str, region: str = "") -> str:
        """Return a service's name in policies: `s3.amazonaws.com` for `s3`, in China too.

        Few services use the partition's own domain, fewer the region (AWS CDK's region-info, default.ts; and the
        AWS provider's getServicePrincipal, which agree). `region` is only for those.
        """
        domain = self.dns_suffix if service in _OWN_DOMAIN.get(self.id, ()) else universal_suffix()
        if service in _REGIONAL:
            return f"{service}.{region}.{domain}"
        return f"{service}.{domain}"

    def trusted(self, service: str) -> tuple[str, ...]:
        """Return a service's names in a role's trust policy; EC2 in China has two.

        AWS's own guide for China had EC2 as `.com.cn`, and EKS there still requires it; CDK and the AWS provider now
        have `.com`, which IAM there accepts as well. A trust policy with both is right whichever of them EC2 uses.
        """
        domains = [universal_suffix()]
        if service in _TWO_NAMES.get(self.id, ()):
            domains.append(self.dns_suffix)
        return tuple(f"{service}.{domain}" for domain in domains)

    def arn(self, service: str, resource: str, *, region: str = "", account: str = "") -> str:
        """Return `arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return f"arn:{self.id}:{service}:{region}:{account}:{resource}"

    @property
    def console(self) -> str:
        """Host of the web console."""
        return "console.amazonaws.cn" if self.id == "aws-cn" else "console.aws.amazon.com"


_OWN_DOMAIN = {"aws-cn": frozenset({"logs"})}
_TWO_NAMES = {"aws-cn": frozenset({"ec2"})}
_REGIONAL = frozenset({"logs"})


def universal_suffix() -> str:
    """Return the DNS suffix of the partition `aws`, which some names in every partition end in."""
    return next(p.dns_suffix for p in partitions() if p.id == "aws")


@functools.cache
def partitions() -> tuple[Partition, ...]:
    """Return the partitions of the installed botocore (`partitions.json`), so that a new region needs no release."""
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
    """Return the partition of a known region, else None."""
    return next((p for p in partitions() if region in p.regions), None)


def nearest(region: str) -> str:
    """Return a few known regions with similar names, as text."""
    known = [r for p in partitions() for r in p.regions]
    return ", ".join(difflib.get_close_matches(region, known, 3, 0.5) or ["cn-north-1", "us-west-2"])
