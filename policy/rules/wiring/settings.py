"""The settings of worker and finder keep the checks on, and name the plan's own parts."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.components.config import egress
from dualsync.components.config.partitions import partition_of
from dualsync.runtime.settings import variable
from policy.environment import Environment, environments
from policy.ownership import Owned
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Option, Options, Rule

PRIVATE_ACLS = ("", "private", "bucket-owner-full-control", "bucket-owner-read")
"""Canned ACLs that open an object only to its owner and the bucket's (S3 User Guide, "Canned ACL")."""

ENDPOINTS = ("local_endpoint", "remote_endpoint", "remote_sts_endpoint")
"""Settings with an address instead of AWS's own."""


def owners_checked(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield processes that do not check who owns the buckets, or check for another account than their own."""
    for environment in _known(resource):
        own = resource.account.account_ids if resource.account is not None else ()
        for name in ("local_account", "remote_account"):
            value = environment.get(variable(name))
            if not (len(value) == 12 and value.isdigit()):
                yield Finding(
                    resource,
                    f"{environment.label}: {variable(name)} is not an account: the owner of the bucket is not checked",
                )
        local = environment.get(variable("local_account"))
        if local and own and local not in own:
            yield Finding(
                resource, f"{environment.label}: {variable('local_account')} is {local}, and the account is {own[0]}"
            )


def endpoints_kept(resource: Resource, options: Options) -> Iterator[Finding]:
    """Yield processes that are sent to an address which is neither AWS's nor their provider's own."""
    for environment in _known(resource):
        local_cloud = resource.account.endpoints if resource.account is not None else ()
        allowed = {"", *local_cloud, *options["otherEndpoints"], *_ordinary(environment)}
        names = {variable(n) for n in ENDPOINTS} | {
            n for n in environment.variables or {} if n.startswith("AWS_ENDPOINT_URL")
        }
        for name in sorted(names):
            value = environment.get(name)
            if value not in allowed:
                yield Finding(resource, f"{environment.label}: {name} sends its requests to {value}")


def _ordinary(environment: Environment) -> Iterator[str]:
    """Yield AWS's own endpoints, which the program names where a service has no FIPS or dual-stack one."""
    for name in ("local_region", "remote_region"):
        region = environment.get(variable(name))
        if partition_of(region) is not None:
            yield from (egress.ordinary(service, region) for service in egress.SERVICES)


def replicas_private(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield processes whose replicas would be readable by others than the buckets' owners."""
    for environment in _known(resource):
        acl = environment.get(variable("remote_acl"))
        if acl not in PRIVATE_ACLS:
            yield Finding(resource, f"{environment.label} writes every replica with the ACL {acl}")


def own_parts(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield processes whose queue, ledger, secret or bucket is not their own side's in the plan."""
    for environment in environments(plan):
        if environment.variables is None:
            continue
        for name, detail in _foreign(plan, environment):
            yield Finding(environment.holder, f"{environment.label}: {name} {detail}")


def _foreign(plan: Plan, environment: Environment) -> Iterator[tuple[str, str]]:
    holder = environment.holder
    side = [r for r in plan.resources if r.account and holder.account and r.account.urn == holder.account.urn]
    for setting, kind, path in (
        ("queue_url", "sqs.Queue", "url"),
        ("dead_letter_queue_url", "sqs.Queue", "url"),
        ("ledger_table", "dynamodb.Table", "name"),
    ):
        own = [r.get(path) for r in side if r.kind == kind]
        value = environment.get(variable(setting))
        if UNKNOWN not in own and value not in own:
            yield variable(setting), f"is {value or 'empty'}, which is not of this plan"
    peers = {i for r in plan.resources if r.account and r not in side for i in r.account.account_ids}
    peer = environment.get(variable("remote_account"))
    if peers and peer not in peers:
        yield variable("remote_account"), f"is {peer or 'empty'}, and this plan's other side is {', '.join(peers)}"
    keys = [r.get("arn") for r in side if r.kind == "kms.Key"]
    for setting in ("token_key", "message_key"):
        value = environment.get(variable(setting))
        if value and UNKNOWN not in keys and value not in keys:
            yield variable(setting), f"is {value}, which is not a key of this plan"
    owned = Owned(plan, holder.account)
    secret = environment.get(variable("peer_secret"))
    made = {r.get("name") for r in side if r.kind == "secretsmanager.Secret"}
    if secret not in made and not owned.is_named_for_pair(secret.rpartition(":secret:")[2]):
        yield variable("peer_secret"), f"is {secret or 'empty'}, which is not a secret of this pair"
    bucket = environment.get(variable("local_bucket"))
    if owned.data_buckets and bucket not in {b.name for b in owned.data_buckets}:
        yield variable("local_bucket"), f"is {bucket or 'empty'}, and the events are those of another bucket"


def _known(resource: Resource) -> Iterator[Environment]:
    yield from (e for e in environments(Plan((resource,))) if e.variables is not None)


RULES = (
    Rule(
        name="owners-checked",
        what="Worker and finder check that each bucket belongs to its account.",
        why="Names of buckets are global. A bucket that was deleted and made again in another account would receive"
        " everything.",
        remedy="Leave accountId of both sides in the config; the program sets both variables from it.",
        each=owners_checked,
    ),
    Rule(
        name="endpoints-kept",
        what="Worker and finder send their requests to AWS, or to the address of their side's own provider.",
        why="Objects, and signatures with the peer's key, go to the address that these settings name.",
        remedy="Remove the address. Name one that you need in `otherEndpoints`.",
        each=endpoints_kept,
        options={
            "otherEndpoints": Option(
                default=[],
                help="Addresses besides AWS's own that worker and finder may use.",
                schema={"type": "array", "items": {"type": "string"}},
            )
        },
    ),
    Rule(
        name="replicas-private",
        what="No replica is written with an ACL that opens it to others.",
        why="The ACL is set on every object that is copied: public-read would publish the bucket.",
        remedy="Set `acl` to bucket-owner-full-control, bucket-owner-read, private, or nothing.",
        each=replicas_private,
    ),
    Rule(
        name="settings-of-own-side",
        what="Worker and finder use the queue, the ledger, the secret and the bucket of their own side.",
        why="With another queue they take another pair's events; with another ledger they lose the proof of what both"
        " sides held.",
        remedy="Make the settings from the parts of the side, as components/workers/worker_settings.py does.",
        all=own_parts,
    ),
)
