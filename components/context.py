"""Give every part of a side the same model, names, tags and provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import PairModel, SideModel
from dualsync.components.config.names import OWN_TAGS, Names
from dualsync.components.config.partitions import Partition, universal_suffix
from dualsync.runtime.settings import SideName


@dataclass(frozen=True)
class SideContext:
    """One side of a pair, as its parts see it."""

    pair: PairModel
    """The whole pair."""
    side: SideName
    """Name of this side."""
    provider: aws.Provider
    """The only way into the side's account, for resources and lookups alike."""

    @property
    def local(self) -> SideModel:
        """This side's bucket, account and options."""
        return self.pair.side(self.side)

    @property
    def peer(self) -> SideModel:
        """The other side's bucket, account and options."""
        return self.pair.side(self.side.peer)

    @property
    def names(self) -> Names:
        """Physical names. `names.of("queue")` is also the resource's logical name."""
        return self.pair.names(self.side)

    @property
    def region(self) -> str:
        """Region of everything on this side."""
        return self.local.region

    @property
    def account_id(self) -> str:
        """Account of everything on this side."""
        return self.local.account_id

    @property
    def partition(self) -> Partition:
        """This side's partition."""
        return self.local.partition

    @property
    def kms_key_arn(self) -> str | None:
        """Customer managed key for the side's resources; None for AWS's own keys."""
        return self.local.security.kms_key_arn or None

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN in this side's region and account (for S3 and IAM: `partition.arn`, `iam_arn`)."""
        return self.partition.arn(service, resource, region=self.region, account=self.account_id)

    def iam_arn(self, resource: str) -> str:
        """Return the ARN of an IAM resource in this side's account."""
        return self.partition.arn("iam", resource, account=self.account_id)

    def role_arn(self, part: str) -> str:
        """Return the ARN of the role of one part, known before the role exists."""
        return self.iam_arn(f"role/{self.names.of(part)}")

    def principal(self, service: str) -> str:
        """Return a service's name in this side's policies."""
        return self.partition.principal(service, self.region)

    def via_services(self, *services: str) -> dict[str, Any]:
        """Return the condition that a KMS key is used through these services in the side's region only.

        AWS documents the value of `kms:ViaService` with `amazonaws.com`. Whether China's services use their partition's
        domain there is not documented, so a side in China gets both.
        """
        domains = dict.fromkeys((universal_suffix(), self.partition.dns_suffix))
        names = [f"{service}.{self.region}.{domain}" for service in services for domain in domains]
        return {"StringEquals": {"kms:ViaService": names}}

    def tags(self, part: str) -> Mapping[str, str]:
        """Return the tags of one part, by which costs are allocated. The user's own come with the provider."""
        return dict(zip(OWN_TAGS, (self.names.of(part), self.pair.name, str(self.side), part), strict=True))

    def all_tags(self, part: str) -> Mapping[str, str]:
        """Return the tags of one part and the user's own.

        The provider's default tags do not reach an Auto Scaling group's tags and the instances of a launch template
        (AWS provider's guide on default tags).
        """
        return {**self.pair.tags, **self.tags(part)}

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this side's account. `more` goes to `ResourceOptions` as it is."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **more)

    def invoke_options(self, parent: pulumi.Resource | None = None) -> pulumi.InvokeOptions:
        """Return the options of a lookup in this side's account."""
        return pulumi.InvokeOptions(parent=parent, provider=self.provider)
