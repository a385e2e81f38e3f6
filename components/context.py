"""What every part of a side is given: the model, names, tags, provider; so that no part works them out for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.config.model import PairModel, SideModel
from dualsync.components.config.names import OWN_TAGS, Names
from dualsync.components.config.partitions import Partition
from dualsync.runtime.settings import SideName


@dataclass(frozen=True)
class SideContext:
    """One managed side of a pair. `provider` is the only way into the side's account: resources and invokes alike."""

    pair: PairModel
    side: SideName
    provider: aws.Provider

    @property
    def local(self) -> SideModel:
        """This side's bucket, account and options (`local.fleet`, `local.finder`, `local.network`, `local.watch`)."""
        return self.pair.side(self.side)

    @property
    def peer(self) -> SideModel:
        """The other side's."""
        return self.pair.side(self.side.peer)

    @property
    def names(self) -> Names:
        """Physical names; `names.of("queue")` also serves as the resource's logical name."""
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

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this side's region and account. (S3's and IAM's: `partition.arn`.)"""
        return self.partition.arn(service, resource, region=self.region, account=self.account_id)

    def principal(self, service: str) -> str:
        """A service's name in this side's policies."""
        return self.partition.principal(service, self.region)

    def tags(self, part: str) -> Mapping[str, str]:
        """Tags of one part; costs can be told apart by them. The user's own come with the provider."""
        return dict(zip(OWN_TAGS, (self.names.of(part), self.pair.name, str(self.side), part), strict=True))

    def all_tags(self, part: str) -> Mapping[str, str]:
        """With the user's own, for what the provider's default tags do not reach: a group's, and what a launch template
        says of the machines to come (AWS provider's guide on default tags)."""
        return {**self.pair.tags, **self.tags(part)}

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Options of a resource in this side's account. `more` goes to `ResourceOptions` as it is."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **more)

    def invoke_options(self, parent: pulumi.Resource | None = None) -> pulumi.InvokeOptions:
        """Options of a lookup in this side's account."""
        return pulumi.InvokeOptions(parent=parent, provider=self.provider)
