"""Check at preview what only AWS can answer, with each side's own provider, before the first resource."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from dualsync.components.bucket_access import inspection
from dualsync.components.bucket_access.inspection import BucketFacts, Versioning
from dualsync.components.config import egress
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.images import image_of
from dualsync.components.config.model import PairModel, PeerIdentity
from dualsync.components.config.prefixes import is_exact_in_policies
from dualsync.components.context import SideContext
from dualsync.components.handover import secret_policy
from dualsync.components.identity import user_policy
from dualsync.components.providers import SyncProvider
from dualsync.components.queue import queue_policy
from dualsync.components.workers import userdata
from dualsync.components.workers.fleet import ROOT_DEVICE, siblings
from dualsync.components.workers.worker_settings import settings_of
from dualsync.runtime.settings import OnLifecycleExpiry, SideName

USER_POLICY, ROLE_POLICY = 6144, 10_240
"""Characters of a managed policy, and of all inline policies of a role (IAM User Guide, "IAM and AWS STS quotas")."""

QUEUE_POLICY = 8192
"""Bytes of a queue's policy (SQS Developer Guide, "Amazon SQS policy quotas")."""

SECRET_POLICY = 20_480
"""Characters of a secret's policy (Secrets Manager API Reference, PutResourcePolicy)."""


def check_buckets(
    pair: PairModel, contexts: Mapping[SideName, SideContext], providers: Mapping[SideName, SyncProvider]
) -> dict[SideName, BucketFacts]:
    """Return what the deployment can read of each bucket.

    Raises `ConfigError` for a bucket that can't be used. A problem of a bucket whose side another stack manages is a
    warning: with the peer's bucket lost, this side must still be updated and taken down.
    """
    found: dict[SideName, BucketFacts] = {}
    for side, context in contexts.items():
        facts = _inspect(context, providers[side])
        if facts.problem:
            problem, _, remedy = facts.problem.partition("; ")
            local = context.local
            value = {"bucket": local.bucket, "region": local.region}.get(facts.key, local.access.profile)
            if side not in pair.manages and facts.key == "profile":
                remedy += "; if that account is lost, see `python -m dualsync.components.repair lost-peer --help`"
            error = ConfigError(f"{side}.{facts.key}", value, problem, remedy)
            if side in pair.manages or facts.key == "profile":
                raise error
            pulumi.log.warn(f"{error} (side {side} is managed by another stack, so this deployment continues)")
            continue
        _check_bucket(context, facts)
        found[side] = facts
    return found


def _inspect(context: SideContext, sync: SyncProvider) -> BucketFacts:
    local = context.local
    result = pulumi.runtime.invoke(
        inspection.TOKEN,
        {"bucket": local.bucket, "accountId": local.account_id, "region": local.region, "prefix": local.prefix},
        pulumi.InvokeOptions(provider=sync),
    ).value
    return inspection.from_result(result)


def _check_bucket(context: SideContext, facts: BucketFacts) -> None:
    local, key = context.local, f"{context.side}.bucket"
    receives = context.pair.receives(context.side)
    acl = context.peer.replicas.acl if receives else ""
    if facts.ownership == "BucketOwnerEnforced" and acl not in ("", "bucket-owner-full-control"):
        raise ConfigError(
            context.peer.key("acl"),
            acl,
            f"is refused by bucket {local.bucket}, where the owner owns every object",
            "use bucket-owner-full-control or nothing",
        )
    if not is_exact_in_policies(local.prefix):
        pulumi.log.warn(
            f"{context.side}.prefix={local.prefix!r}: IAM policies take no characters above U+00FF, so the policies of"
            " worker, finder and the peer's user name each of them as `?` and also reach keys that differ only there;"
            " to bound them exactly, use a prefix of Latin-1 characters or a bucket of its own"
        )
    if facts.versioning is not Versioning.ENABLED and receives and not context.pair.keep_loser:
        _check_losers(context, facts.versioning)
        unversioned = "the bucket keeps no versions (as far as this deployment may read)"
        pulumi.log.warn(f"{key}={local.bucket!r}: {unversioned}, {_loss(context)}")
    for rule in facts.expiring_rules:
        if not context.pair.carries(context.side):
            meaning = "deletes objects of the destination: they are not copied again until they change at the source"
        elif _ignored(context.pair):
            meaning = "deletes objects here only: they stay on the other side (onLifecycleExpiry=ignore)"
        else:
            meaning = "deletes the objects on the other side too (onLifecycleExpiry=propagate)"
        pulumi.log.warn(f"{key}={local.bucket!r}: lifecycle rule {rule!r} {meaning}")
    if facts.expiring_rules and local.lifecycle_expires is False:
        pulumi.log.warn(
            f"{context.side}.lifecycleExpires=false, but bucket {local.bucket} has such rules: when an expiry's event"
            " is lost, the finder takes it for a deletion; remove the key, or the rules"
        )


def _check_losers(context: SideContext, versioning: Versioning) -> None:
    """Raise `ConfigError` if nothing keeps a conflict's loser in this bucket, and config does not state that as wanted.

    A bucket of the other stack's side is not refused, so that this side can always be updated. Nor is a bucket whose
    versioning can't be read.
    """
    pair, bucket = context.pair, context.local.bucket
    if pair.direction.one_way or pair.keep_loser is not None or context.side not in pair.manages:
        return
    if versioning is Versioning.UNKNOWN:
        return
    alike = "" if len(pair.manages) > 1 else ", in both stacks,"
    raise ConfigError(
        "keepLoser",
        None,
        f"not given, and bucket {bucket} of side {context.side} keeps no versions (versioning: {versioning}), so the"
        " loser of a conflict there is lost",
        f"set keepLoser to true{alike} to keep losers under a conflict name, switch on the bucket's versioning, or set"
        " keepLoser to false to accept the loss",
    )


def _loss(context: SideContext) -> str:
    """Return what a bucket without versions loses, and what to do."""
    if context.pair.direction.one_way:
        return (
            "so what others change at the destination is lost when the source's version replaces it; switch on"
            " versioning"
        )
    decided = "keepLoser=false" if context.pair.keep_loser is False else "keepLoser is not given"
    return (
        f"and {decided}: the loser of a conflict on this side is lost; set keepLoser to true, or switch on versioning"
    )


def expiring(pair: PairModel, facts: Mapping[SideName, BucketFacts]) -> dict[SideName, bool]:
    """Return for each bucket whether a lifecycle rule may have removed an absent object: by config, else by its rules.

    The answer is yes where neither is known (a peer's bucket without a provider for its account, rules that may not be
    read). A deletion whose event was lost is then not synchronised, which is less harmful than an expiry that empties
    the other side.
    """
    found: dict[SideName, bool] = {}
    for side in SideName:
        given, known = pair.side(side).lifecycle_expires, facts.get(side)
        unknown = given is None and (known is None or not known.rules_read)
        if unknown and (_ignored(pair) or not pair.carries(side)):
            effect = "takes no absence there for a deletion" if pair.carries(side) else "repairs no deletion there"
            pulumi.log.info(
                f"{side}.lifecycleExpires: not given, and the lifecycle rules of bucket {pair.side(side).bucket} can't"
                f" be read from here, so the finder {effect}; give false if no rule expires objects there"
            )
        found[side] = (known is None or not known.rules_read or bool(known.expiring_rules)) if given is None else given
    return found


def _ignored(pair: PairModel) -> bool:
    return pair.on_lifecycle_expiry is OnLifecycleExpiry.IGNORE


def check_side(context: SideContext) -> None:
    """Check the options of a managed side. Raises `ConfigError`."""
    image_of(context.local)
    _check_instance_type(context)
    if context.local.fleet.image_id:
        _check_machine_image(context)


def _check_instance_type(context: SideContext) -> None:
    """Compare architecture and instance type: EC2 refuses each launch of another one, and the group only retries."""
    fleet, key = context.local.fleet, context.local.key
    found = _instance_type(context, fleet.instance_type)
    if found is None:
        problem = f"is not offered in {context.region}"
        remedy = "use one of `aws ec2 describe-instance-type-offerings`"
        raise ConfigError(key("instanceType"), fleet.instance_type, problem, remedy)
    if fleet.architecture not in found.supported_architectures:
        offered = ", ".join(found.supported_architectures)
        raise ConfigError(
            key("architecture"),
            str(fleet.architecture),
            f"is not that of instanceType={fleet.instance_type!r} ({offered})",
            "change either, so that they match",
        )
    for kind in siblings(fleet.instance_type) if fleet.spot_percent else ():
        pool = found if kind == fleet.instance_type else _instance_type(context, kind)
        if pool is None or "spot" not in pool.supported_usages_classes:
            problem = f"takes spot instances of {kind}, which {context.region} does not offer"
            raise ConfigError(key("spotPercent"), fleet.spot_percent, problem, "use another instanceType, or 0")


def _instance_type(context: SideContext, name: str) -> aws.ec2.GetInstanceTypeResult | None:
    """Return an instance type of the region; None where it is not offered."""
    try:
        return aws.ec2.get_instance_type(instance_type=name, opts=context.invoke_options())
    except Exception as e:
        # The provider has no type for it: "InvalidInstanceType: The following supplied instance types do not exist".
        if "InvalidInstanceType" in str(e) or "couldn't find resource" in str(e):
            return None
        raise


def _check_machine_image(context: SideContext) -> None:
    """Compare a given machine image with the launch template, which names the root volume and its size.

    EC2 refuses each launch of an image of another architecture, or with a root volume smaller than the image's (EC2 API
    Reference, EbsBlockDevice), and the group only retries. The root volume of another name would not be encrypted.
    """
    fleet, key = context.local.fleet, context.local.key
    wanted = aws.ec2.GetAmiFilterArgs(name="image-id", values=[fleet.image_id])
    try:
        found = aws.ec2.get_ami(filters=[wanted], include_deprecated=True, opts=context.invoke_options())
    except Exception as e:
        # The provider has no type for it: "Your query returned no results."
        if "returned no results" in str(e):
            problem = f"does not exist in {context.region}, or account {context.account_id} may not use it"
            remedy = "use an image of that region that the account owns or that is shared with it"
            raise ConfigError(key("machineImage"), fleet.image_id, problem, remedy) from None
        raise
    if found.architecture != fleet.architecture:
        problem = f"is an image for {found.architecture}, and {key('architecture')} is {fleet.architecture}"
        raise ConfigError(key("machineImage"), fleet.image_id, problem, "change either, so that they match")
    if found.root_device_name != ROOT_DEVICE:
        problem = f"has the root volume {found.root_device_name}, and {ROOT_DEVICE} is what workers encrypt and size"
        remedy = "use an image with that root volume, as Amazon Linux 2023 has it"
        raise ConfigError(key("machineImage"), fleet.image_id, problem, remedy)
    roots = [mapping.ebs for mapping in found.block_device_mappings if mapping.device_name == ROOT_DEVICE]
    smallest = max((int(ebs.get("volume_size") or 0) for ebs in roots), default=0)
    if fleet.volume_gib < smallest:
        problem = f"is smaller than the root volume of machineImage={fleet.image_id!r}, {smallest} GiB"
        raise ConfigError(key("volumeSize"), fleet.volume_gib, problem, f"use {smallest} or more")


def check_documents(context: SideContext) -> None:
    """Raise `ConfigError` for a list that makes a document longer than AWS takes, as `up` would then end in the middle.

    All parts of the documents are known before the first resource, or their length is.
    """
    local = context.local
    if context.pair.receives(context.side):
        if context.pair.peer_identity is PeerIdentity.ROLE:
            policy, limit, whose = user_policy(context, sessions=True), ROLE_POLICY, "role"
        else:
            policy, limit, whose = user_policy(context), USER_POLICY, "user"
        # IAM does not count white space.
        size = len("".join(_text(policy).split()))
        _limit(local.key("peerAddresses"), local.peer_addresses, size, limit, f"the policy of the peer's {whose}")
    if context.pair.carries(context.side):
        operators = local.security.operator_roles
        _limit(
            local.key("operatorRoles"), operators, len(_text(queue_policy(context))), QUEUE_POLICY, "a queue's policy"
        )
        size = len(userdata.script(_longest_boot(context)).encode())
        key, entries = f"{context.side}.formerUserIds", local.former_user_ids
        if len("".join(local.network.no_proxy)) > len("".join(entries)):
            key, entries = local.key("noProxy"), local.network.no_proxy
        _limit(key, entries, size, userdata.LIMIT, "the workers' boot script")


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _limit(key: str, entries: Sequence[str], size: int, limit: int, what: str) -> None:
    if size > limit:
        problem = f"makes {what} {size} characters long, and AWS takes {limit}"
        raise ConfigError(key, f"({len(entries)} entries)", problem, "give fewer entries, or shorten the prefixes")


def _longest_boot(context: SideContext) -> userdata.Boot:
    """Return a side's boot values with texts as long as those that are known at deployment only."""
    names, queues = context.names, context.arn("sqs", context.names.of("dead-letters"))
    known = settings_of(
        context.pair,
        context.side,
        queue_url=queues,
        dead_letter_queue_url=queues,
        ledger_table=names.of("ledger"),
        user_id="AIDA" + "X" * 17,
        keys=(queues, queues) if context.pair.peer_identity is PeerIdentity.ROLE else None,
    )
    return userdata.Boot(
        region=context.region,
        bundle_bucket=names.artifacts_bucket,
        bundle_key="x" * 64,
        bundle_version="x" * 32,
        bundle_sha256="x" * 64,
        log_group=names.of("worker-log"),
        group=names.of("workers"),
        hook=names.of("drain"),
        metrics_namespace=names.metrics,
        environment={
            "AWS_REGION": context.region,
            "AWS_DEFAULT_REGION": context.region,
            **known.to_environment(),
            **egress.variables(context.local),
        },
    )


def check_deployer(holder: SideContext) -> None:
    """Raise `ConfigError` if the secret's policy would deny its value to this very deployment, or is too long."""
    deployers = holder.local.security.deployers
    if not deployers:
        return
    _limit(
        holder.local.key("deployers"), deployers, len(_text(secret_policy(holder))), SECRET_POLICY, "a secret's policy"
    )
    caller = aws.get_caller_identity(opts=holder.invoke_options()).arn
    named = [pattern for pattern in deployers if _is_of(caller, pattern)]
    role = _role_of(holder, caller) if named else ""
    if not named or (role and not any(fnmatch.fnmatchcase(role, pattern) for pattern in named)):
        raise ConfigError(
            holder.local.key("deployers"),
            list(deployers),
            f"does not name {role or caller}, which deploys into account {holder.account_id}",
            "add its role, with its path, or its user, or the secret could not be read and updated",
        )


def _role_of(holder: SideContext, caller: str) -> str:
    """Return the ARN of the role of a session, with its path; nothing for a user, or if the role may not be read.

    Roles of IAM Identity Center have a path, and `aws:PrincipalArn` holds it (IAM User Guide, "AWS global condition
    context keys").
    """
    if ":assumed-role/" not in caller:
        return ""
    try:
        found = aws.iam.get_session_context(arn=caller, opts=holder.invoke_options()).issuer_arn
    except Exception:
        # A deployment's role needs no right to read itself. The provider has no type for the refusal.
        return ""
    return str(found)


def _is_of(caller: str, pattern: str) -> bool:
    """Return whether a caller is of a role or user. A session's ARN has the role's name and not its path."""
    kind, _, name = caller.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        return ":role/" in pattern and fnmatch.fnmatchcase(name.partition("/")[0], pattern.rpartition("/")[2])
    return fnmatch.fnmatchcase(caller, pattern)
