"""Create the only ways into an account: one explicit AWS provider per side, and one provider of this package."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from dualsync.components.bucket_access.endpoints import SERVICES
from dualsync.components.config.model import PairModel
from dualsync.components.config.names import PAIR_TAG
from dualsync.components.plugin.schema import DOWNLOAD_URL
from dualsync.runtime.settings import SideName


class SyncProvider(pulumi.ProviderResource):
    """An instance of the provider in `plugin.py`, for one account."""

    def __init__(self, name: str, props: pulumi.Inputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync", name, props, opts)


@dataclass(frozen=True)
class SideProviders:
    """Both providers of one side's account."""

    aws: aws.Provider
    """Provider of AWS's resources."""
    sync: SyncProvider
    """Provider of the subscription."""


def side_providers(pair: PairModel, side: SideName, parent: pulumi.Resource | None = None) -> SideProviders:
    """Return providers with the side's profile or role. They refuse credentials of another account before any write."""
    model = pair.side(side)
    access = model.access
    options = pulumi.ResourceOptions(parent=parent)
    role = aws.ProviderAssumeRoleArgs(
        role_arn=access.role_arn or None, external_id=access.external_id or None, session_name="dualsync"
    )
    stand_in = bool(access.endpoint)
    provider = aws.Provider(
        f"{pair.name}-{side}",
        region=model.region,
        profile=access.profile or None,
        assume_roles=[role] if access.role_arn else None,
        allowed_account_ids=[model.account_id],
        default_tags=aws.ProviderDefaultTagsArgs(tags={**pair.tags, PAIR_TAG: pair.name, "dualsync:side": str(side)}),
        endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(SERVICES, access.endpoint))] if stand_in else None,
        s3_use_path_style=True if stand_in else None,
        skip_metadata_api_check=True if stand_in else None,
        opts=options,
    )
    sync = SyncProvider(
        f"{pair.name}-{side}-sync",
        {
            "region": model.region,
            "accountId": model.account_id,
            "profile": access.profile or None,
            "roleArn": access.role_arn or None,
            "externalId": access.external_id or None,
            "endpoint": access.endpoint or None,
            "parts": ",".join(live_parts(pair, side)) or None,
            "buckets": ledger_buckets(pair, side) or None,
        },
        pulumi.ResourceOptions(parent=parent, plugin_download_url=DOWNLOAD_URL),
    )
    return SideProviders(provider, sync)


def live_parts(pair: PairModel, side: SideName) -> tuple[str, ...]:
    """Return parts of a managed side that together exist only if some state deploys it; none of the peer's side.

    Their names can't be changed by config, apart from the user's, and every deployment role may read them.
    """
    if side not in pair.manages:
        return ()
    names = pair.names(side)
    if pair.carries(side):
        return f"table/{names.of('ledger')}", f"role/{names.worker_role}"
    # A one-way pair's destination has a dedicated user, since `peerIdentity: role` is for both directions only.
    return f"user/{names.user}", f"policy/{names.policy}"


def ledger_buckets(pair: PairModel, side: SideName) -> str:
    """Return what the ledger of a managed side describes, as the worker's guard compares it; nothing without one."""
    if side not in pair.manages or not pair.carries(side):
        return ""
    return " and ".join(
        f"s3://{place.bucket}/{place.prefix} ({place.region}, {place.account_id})"
        for place in (pair.side(side), pair.side(side.peer))
    )
