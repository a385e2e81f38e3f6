"""Check both accounts before the first `pulumi up`: what it would need, and what could be lost later. Reads only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.errors import AccessDeniedError, DualSyncError, FatalError
from dualsync.runtime.operations.setup.account import Account, BucketState, Caller, Notification, SubnetRoute
from dualsync.runtime.operations.setup.declared import SAMPLE_ACCOUNTS, Declaration, DeclaredSide
from dualsync.runtime.operations.setup.permissions import creation_actions
from dualsync.runtime.settings import SideName

SKEW_WARNING_SECONDS = 60.0
"""Difference of clocks from which a warning is given."""
SKEW_LIMIT_SECONDS = 300.0
"""Difference at which AWS refuses requests (IAM User Guide, "Signature Version 4": 5 minutes for most services)."""
COPIED_EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
"""Events that the bucket's subscription covers; those of other kinds have no other consumer as a rule."""
SIMULATIONS_AT_ONCE = 4
"""Requests to IAM at a time: its limits are per account."""
_PRIVATE_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/(?P<name>[^@:]+)"
    r"(?::[^@]+)?@(?P<digest>sha256:[0-9a-f]{64})"
)
PartitionOf = Callable[[str], str]


class Verdict(StrEnum):
    """The result of one check."""

    FINE = "ok"
    """Nothing to do."""
    WARNING = "warning"
    """The deployment works, but something may be lost later, or could not be checked."""
    WRONG = "wrong"
    """The deployment would fail, or would not work."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check, with its remedy."""

    side: str
    """cn, global, or `here` for this machine."""
    check: str
    """What was checked, in a word or two."""
    verdict: Verdict
    """The result."""
    what: str
    """What was found."""
    remedy: str = ""
    """What to do; empty if nothing has to be done."""


async def check_setup(
    pair: Declaration, accounts: dict[SideName, Account], partition_of: PartitionOf
) -> list[CheckResult]:
    """Check the config and both accounts. A side that cannot be read hides nothing of the other."""
    found = [_of_fault(fault) for fault in pair.faults]
    for findings in await asyncio.gather(
        *(_side(pair, declared, accounts[side], partition_of) for side, declared in pair.sides.items())
    ):
        found += findings
    return found


def _of_fault(fault: str) -> CheckResult:
    what, _, remedy = fault.partition("; ")
    return CheckResult("here", "config", Verdict.WRONG, what, remedy)


async def _side(
    pair: Declaration, declared: DeclaredSide, account: Account, partition_of: PartitionOf
) -> list[CheckResult]:
    side = str(declared.side)
    found: list[CheckResult] = []
    try:
        partition = partition_of(declared.region)
        if declared.account_id in SAMPLE_ACCOUNTS and not declared.endpoint:
            found.append(
                CheckResult(
                    side,
                    "config",
                    Verdict.WRONG,
                    f"account {declared.account_id} is the example of Pulumi.yaml",
                    "`dualsync init` writes yours",
                )
            )
            return found
        caller = await account.caller()
    except DualSyncError as e:
        what, _, remedy = str(e).partition("; ")
        found.append(CheckResult(side, "identity", Verdict.WRONG, what, remedy or "check the network, and try again"))
        return found
    found += _identity(declared, caller, partition)
    if found[0].verdict is Verdict.WRONG:
        return found
    checks: list[tuple[str, AsyncIterator[CheckResult]]] = [
        ("bucket", _bucket(pair, declared, account)),
        ("permissions", _permissions(pair, declared, account, caller, partition)),
    ]
    if pair.direction.carries(declared.side):
        checks[1:1] = [
            ("network", _network(declared, account)),
            ("instance type", _instance_type(declared, account)),
            ("finder image", _image(declared, account, partition)),
        ]
    else:
        what = f"one-way ({pair.direction}): the destination gets a user, and no workers, finder or queue"
        found.append(CheckResult(side, "direction", Verdict.FINE, what))
    for parts in await asyncio.gather(*(_collect(side, name, check) for name, check in checks)):
        found += parts
    return found


async def _collect(side: str, name: str, check: AsyncIterator[CheckResult]) -> list[CheckResult]:
    """Return a check's findings; what it may not read is a warning."""
    found: list[CheckResult] = []
    try:
        async for finding in check:
            found.append(finding)
    except AccessDeniedError as e:
        remedy = "give your role the permissions of docs/roles (preview), or ask who may read it"
        found.append(CheckResult(side, name, Verdict.WARNING, f"not checked: you may not read it ({e})", remedy))
    except DualSyncError as e:
        found.append(CheckResult(side, name, Verdict.WARNING, f"not checked: {e}", "try again, or check it by hand"))
    return found


def _identity(declared: DeclaredSide, caller: Caller, partition: str) -> list[CheckResult]:
    side = str(declared.side)
    using = f"profile {declared.profile!r}" if declared.profile else "the shell's credential"
    if caller.account != declared.account_id or caller.partition != partition:
        return [
            CheckResult(
                side,
                "identity",
                Verdict.WRONG,
                f"{using} is of account {caller.account} in {caller.partition}, config has {declared.account_id} in"
                f" {partition}",
                f"swap the profiles, correct {side}.accountId or {side}.region, or give --profile-{side} NAME",
            )
        ]
    found = [CheckResult(side, "identity", Verdict.FINE, f"{caller.arn} in {caller.partition}, {declared.region}")]
    skew = abs(caller.skew_seconds)
    if skew > SKEW_WARNING_SECONDS:
        found.append(
            CheckResult(
                side,
                "clock",
                Verdict.WRONG if skew > SKEW_LIMIT_SECONDS else Verdict.WARNING,
                f"this machine's clock differs from AWS's by {skew:.0f} s",
                "synchronise it (chrony, systemd-timesyncd): AWS refuses requests that are 5 minutes off",
            )
        )
    else:
        found.append(CheckResult(side, "clock", Verdict.FINE, f"differs from AWS's by {skew:.0f} s"))
    return found


async def _bucket(pair: Declaration, declared: DeclaredSide, account: Account) -> AsyncIterator[CheckResult]:
    side = str(declared.side)
    state = await account.bucket(declared.bucket, declared.account_id, declared.region)
    if state.problem:
        yield CheckResult(side, "bucket", Verdict.WRONG, f"{declared.bucket} {state.problem}", state.remedy)
        return
    yield CheckResult(
        side, "bucket", Verdict.FINE, f"{declared.bucket} is account {declared.account_id}'s, {declared.region}"
    )
    yield _versioning(pair, declared, state)
    if not pair.direction.carries(declared.side):
        return
    for finding in _notifications(pair, declared, state):
        yield finding


def _versioning(pair: Declaration, declared: DeclaredSide, state: BucketState) -> CheckResult:
    side = str(declared.side)
    if state.versioned:
        return CheckResult(side, "versioning", Verdict.FINE, "on: deleted and overwritten objects can be restored")
    if state.versioned is None:
        remedy = "give your role s3:GetBucketVersioning"
        return CheckResult(side, "versioning", Verdict.WARNING, "not visible to you", remedy)
    conflicts = not declared.keep_loser and not pair.direction.one_way
    # The preview refuses such a bucket (`components.preflight`).
    undecided = conflicts and declared.managed and declared.keep_loser is None
    lost = "deleted objects and the losers of conflicts" if conflicts else "deleted objects"
    if not pair.direction.carries(declared.side):
        lost = "deleted objects, and changes of others that the source's version replaces,"
    what = f"off{', and keepLoser is not given' if undecided else ''}: {lost} of this side can't be restored"
    keep = ", or set keepLoser: true for the losers" if conflicts else ""
    keep += ", or false to accept their loss" if undecided else ""
    on = f"`aws s3api put-bucket-versioning --bucket {declared.bucket} --versioning-configuration Status=Enabled`"
    return CheckResult(side, "versioning", Verdict.WRONG if undecided else Verdict.WARNING, what, f"{on}{keep}")


def _notifications(pair: Declaration, declared: DeclaredSide, state: BucketState) -> list[CheckResult]:
    side = str(declared.side)
    if declared.topic:
        return [CheckResult(side, "events", Verdict.FINE, f"come through {declared.topic}")]
    if state.notifications is None:
        remedy = "give your role s3:GetBucketNotification"
        return [CheckResult(side, "events", Verdict.WARNING, "notifications are not visible to you", remedy)]
    own = f"{pair.pair}-{declared.side}-events"
    found = [
        CheckResult(
            side,
            "events",
            Verdict.WRONG,
            f"notification {other.id!r} already sends {', '.join(other.events)} below {other.prefix!r} to"
            f" {other.destination}, and S3 allows one consumer",
            f"send the events to an SNS topic that serves both, give it as {side}.eventsTopicArn, or narrow a prefix",
        )
        for other in state.notifications
        if other.id != own and _overlaps(other, declared.prefix)
    ]
    return found or [CheckResult(side, "events", Verdict.FINE, "no other consumer of the bucket's events")]


def _overlaps(other: Notification, prefix: str) -> bool:
    """Return whether S3 would refuse this pair's notification beside another one."""
    same = any(_same_event(event, own) for event in other.events for own in COPIED_EVENTS)
    return same and (other.prefix.startswith(prefix) or prefix.startswith(other.prefix))


def _same_event(a: str, b: str) -> bool:
    x, y = a.removesuffix("*"), b.removesuffix("*")
    return (a.endswith("*") and y.startswith(x)) or (b.endswith("*") and x.startswith(y)) or a == b


async def _network(declared: DeclaredSide, account: Account) -> AsyncIterator[CheckResult]:
    side = str(declared.side)
    vpc = await account.vpc(declared.vpc_id)
    if not vpc.id:
        yield CheckResult(
            side,
            "network",
            Verdict.WRONG,
            f"the account has no default VPC in {declared.region}, and vpcId is not given",
            "give a VPC whose subnets have a route to the internet, or `aws ec2 create-default-vpc`",
        )
        return
    routes = {route.subnet_id: route for route in vpc.routes}
    for name in declared.subnet_ids:
        if name not in routes:
            yield CheckResult(
                side, "network", Verdict.WRONG, f"{name} is no subnet of {vpc.id}", "correct subnetIds or vpcId"
            )
        elif not (declared.by_proxy or routes[name].leads_out(declared.public_ip)):
            yield CheckResult(
                side, "network", Verdict.WRONG, f"{name} {_closed_reason(routes[name])}", _opening_remedy(routes[name])
            )
    chosen = [routes[name] for name in declared.subnet_ids if name in routes] or list(routes.values())
    usable = [route for route in chosen if route.leads_out(declared.public_ip)]
    if usable:
        ways = ", ".join(sorted({route.target.split("-")[0] for route in usable}))
        given = any(route.public for route in usable) if declared.public_ip is None else declared.public_ip
        addresses = f"{'with' if given else 'without'} public addresses"
        what = f"{len(usable)} subnets of {vpc.id} lead out ({ways}), {addresses}"
        yield CheckResult(side, "network", Verdict.FINE, what)
    elif declared.by_proxy and chosen:
        yield CheckResult(side, "network", Verdict.FINE, f"{len(chosen)} subnets of {vpc.id}, through httpsProxy")
    elif not declared.subnet_ids:
        yield CheckResult(
            side,
            "network",
            Verdict.WRONG,
            f"no subnet of {vpc.id} has a route to the internet, so workers could reach neither AWS nor the peer",
            "add an internet or NAT gateway and a route to it, or give another vpcId",
        )


def _closed_reason(route: SubnetRoute) -> str:
    if route.target:
        return f"leads to the internet gateway {route.target}, which needs public addresses, and publicIp is false"
    return f"has no route to the internet ({route.route_table_id or 'no route table'})"


def _opening_remedy(route: SubnetRoute) -> str:
    if route.target:
        return "set publicIp: true, or give a subnet that leads to a NAT gateway"
    return "add a route to an internet or NAT gateway, or give another subnet"


async def _instance_type(declared: DeclaredSide, account: Account) -> AsyncIterator[CheckResult]:
    side, name = str(declared.side), declared.instance_type
    offered = await account.architectures(name)
    if not offered:
        remedy = f"use one of `aws ec2 describe-instance-type-offerings --region {declared.region}`"
        yield CheckResult(side, "instance type", Verdict.WRONG, f"{name} is not offered in {declared.region}", remedy)
    elif declared.architecture not in offered:
        what = f"{name} is {', '.join(offered)}, and architecture is {declared.architecture}"
        yield CheckResult(side, "instance type", Verdict.WRONG, what, "change either, so that they match")
    else:
        yield CheckResult(side, "instance type", Verdict.FINE, f"{name} ({declared.architecture})")


async def _image(declared: DeclaredSide, account: Account, partition: str) -> AsyncIterator[CheckResult]:
    side, image = str(declared.side), declared.image
    if not image:
        if partition == "aws-cn":
            yield CheckResult(
                side,
                "finder image",
                Verdict.WRONG,
                "finderImage is not given, and China regions have no public registry to take the image from",
                "copy the image into the account's registry (docs/getting-started.md has the commands) and give it by"
                " digest",
            )
        else:
            yield CheckResult(side, "finder image", Verdict.FINE, "the stock image")
        return
    found = _PRIVATE_IMAGE.fullmatch(image)
    if found is None:
        remedy = "use REPOSITORY@sha256:… by digest" if "@sha256:" not in image else "check that the region reaches it"
        verdict = Verdict.WRONG if "@sha256:" not in image else Verdict.WARNING
        yield CheckResult(side, "finder image", verdict, f"{image} is not in a registry that can be checked", remedy)
        return
    if await account.has_image(found["account"], found["name"], found["digest"]):
        yield CheckResult(side, "finder image", Verdict.FINE, f"is in registry {found['account']}, {found['name']}")
    else:
        yield CheckResult(
            side,
            "finder image",
            Verdict.WRONG,
            f"registry {found['account']} has no {found['name']}@{found['digest'][:19]}…",
            "copy the image there (docs/getting-started.md), or correct the digest",
        )


async def _permissions(
    pair: Declaration, declared: DeclaredSide, account: Account, caller: Caller, partition: str
) -> AsyncIterator[CheckResult]:
    side = str(declared.side)
    principal = await _principal(caller, account)
    if not principal:
        yield CheckResult(
            side,
            "permissions",
            Verdict.WARNING,
            f"not checked: {caller.arn} is neither a user nor a role, which is all that IAM simulates",
            "deploy as a role (docs/roles has its documents)",
        )
        return
    slots = asyncio.Semaphore(SIMULATIONS_AT_ONCE)
    calls = list(creation_actions(declared, pair, partition))

    async def ask(resource: str, actions: list[str]) -> tuple[list[str], list[str]]:
        async with slots:
            answers = await account.simulate(principal, actions, resource)
        refused = [a.action for a in answers if not a.allowed and not a.missing]
        return refused, [a.action for a in answers if not a.allowed and a.missing]

    answers = await asyncio.gather(*(ask(resource, actions) for resource, actions in calls))
    denied = [action for refused, _ in answers for action in refused]
    depends = [action for _, unsure in answers for action in unsure]
    count = sum(len(actions) for _, actions in calls)
    if denied:
        yield CheckResult(
            side,
            "permissions",
            Verdict.WRONG,
            f"{principal} may not call {', '.join(sorted(set(denied)))}",
            f"attach docs/roles/deploy-{side}-*.json, with your account, bucket and pair",
        )
    if depends:
        yield CheckResult(
            side,
            "permissions",
            Verdict.WARNING,
            f"{', '.join(sorted(set(depends)))}: allowed under conditions that a simulation can't check",
            "none, if the role has the documents of docs/roles",
        )
    if not denied:
        yield CheckResult(
            side, "permissions", Verdict.FINE, f"{count - len(depends)} creating calls are allowed (simulated)"
        )


async def _principal(caller: Caller, account: Account) -> str:
    """Return the user or role behind a caller's ARN; empty for the root user and for federated ones."""
    kind, _, rest = caller.arn.rpartition(":")[2].partition("/")
    if kind == "user":
        return caller.arn
    if kind != "assumed-role":
        return ""
    name = rest.partition("/")[0]
    try:
        return await account.role_arn(name)
    except FatalError:
        raise
    except DualSyncError:
        # Without the right to read the role, its path is not known: right for all roles without one.
        return f"arn:{caller.partition}:iam::{caller.account}:role/{name}"
