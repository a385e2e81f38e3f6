"""Every resource goes through its side's provider, in that provider's region and account."""

from __future__ import annotations

from collections.abc import Iterator

from policy.plan import UNKNOWN, Resource, as_account
from policy.rule import Finding, Options, Rule


def same_region(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield resources with another region than their provider's."""
    own = resource.account.region if resource.account is not None else ""
    region = resource.get("region")
    if resource.type.startswith("aws:") and own and region not in (None, "", UNKNOWN, own):
        yield Finding(resource, f"{resource.name} is put in {region}, and its side is in {own}")


def explicit(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield resources without an explicit provider, and providers that are not bound to one account."""
    if resource.type.startswith("aws:") and (resource.account is None or resource.account.default):
        yield Finding(resource, f"{resource.name} goes to whatever account the shell has (default provider)")
    ours = resource.type == "pulumi:providers:aws" and not resource.name.startswith("default")
    if ours and resource.is_known("allowedAccountIds") and len(as_account(resource).account_ids) != 1:
        yield Finding(resource, f"provider {resource.name} is not tied to one account (allowedAccountIds)")


RULES = (
    Rule(
        name="region-of-the-provider",
        what="No resource overrides its provider's region.",
        why="A side is one region: the worker does not find a queue or a ledger elsewhere, and S3 refuses an event"
        " notification across regions.",
        remedy="Remove `region` from the resource; correct the side's region in the config if that is wrong.",
        each=same_region,
    ),
    Rule(
        name="provider-tied-to-account",
        what="Every resource goes through an explicit provider that refuses all accounts but one.",
        why="With two accounts in one program, swapped profiles would write each side's half into the other.",
        remedy="Give the resource its side's provider, and the provider allowedAccountIds with the one account.",
        each=explicit,
    ),
)
