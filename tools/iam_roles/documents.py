"""IAM documents out of recorded calls: one for each role and account, as narrow as IAM lets them be."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dualsync.components.config.model import PairModel
from dualsync.components.config.prefixes import policy_patterns
from dualsync.runtime.settings import SideName
from tools.iam_roles.actions import CHANGING, LOOKING, actions, knows
from tools.iam_roles.recording import Call, Phase, Recorder
from tools.iam_roles.scopes import Scopes

LIMIT = 6144
"""Characters of a managed policy, white space not counted (IAM quotas)."""

PREVIEW = {"s3": ("GetBucketNotification",)}
"""What the subscription's provider looks at in a preview: who else hears of the data bucket."""

TAGGED = frozenset(
    [
        *("ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup"),
        *("ec2:DeleteVpcEndpoints", "ec2:ModifyLaunchTemplate", "ec2:RevokeSecurityGroupEgress"),
        "ec2:RevokeSecurityGroupIngress",
    ]
)
"""Actions of EC2 on one thing that is ours, which its tag says: EC2's ids carry no name. (Keys' ids neither: KMS.)"""

SMOKE = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
"""What `dualsync smoke` does under its own prefix; a test watches it at that."""

SMOKE_PREFIX = "dualsync-smoke/"

Document = dict[str, Any]
Statement = dict[str, Any]


def roles(recorder: Recorder, pair: PairModel, side: SideName) -> Mapping[str, Sequence[Document]]:
    """The side's documents by role: deploy, drift, preview, smoke. A role takes several, as one may be only so long."""
    scopes = Scopes(pair, side)
    calls = {phase: [c for c in found if c.side == side] for phase, found in recorder.calls.items()}
    preview = calls[Phase.PREVIEW]
    look = [*preview, *calls[Phase.REFRESH]]
    return {
        "deploy": packed([*_grants(scopes, [*look, *calls[Phase.CHANGE]], LOOKING, CHANGING), *_passing(scopes)]),
        "drift": packed(_grants(scopes, look, LOOKING)),
        "preview": packed(_grants(scopes, preview)),
        "smoke": packed(_smoke(scopes)),
    }


def packed(statements: Iterable[Statement]) -> list[Document]:
    """As few documents as hold these statements, each within IAM's limit."""
    found: list[Document] = []
    for statement in statements:
        if found and size(_document([*found[-1]["Statement"], statement])) <= LIMIT:
            found[-1] = _document([*found[-1]["Statement"], statement])
        else:
            found.append(_document([statement]))
    return found


def _document(statements: Sequence[Statement]) -> Document:
    """A policy of these statements, whose names are told apart by number where they are alike."""
    names = [s["Sid"].rstrip("0123456789") for s in statements]
    numbered = [f"{n}{names[:i].count(n) + 1}" if names.count(n) > 1 else n for i, n in enumerate(names)]
    return {"Version": "2012-10-17", "Statement": [{**s, "Sid": n} for s, n in zip(statements, numbered, strict=True)]}


def size(policy: Document) -> int:
    """Characters as IAM counts them."""
    return len(json.dumps(policy, separators=(",", ":")))


def _grants(scopes: Scopes, calls: Iterable[Call], *more: Mapping[str, tuple[str, ...]]) -> list[Statement]:
    """A statement for each set of resources."""
    ours: set[str] = set()
    data: set[str] = set()
    for call in calls:
        (data if call.bucket else ours).update(actions(call.service, [call.operation]))
    for table in more:
        for service, operations in table.items():
            ours |= actions(service, operations)
    for service, names in PREVIEW.items():
        data |= {f"{service}:{name}" for name in names}
    by_resources: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for action in sorted(ours):
        if action != "iam:PassRole" and not action.startswith(("kms:", "ec2:")):
            by_resources[_resources(scopes, action)].add(action)
    statements = [_allow(_sid(names), names, resources) for resources, names in sorted(by_resources.items())]
    statements += _ec2(scopes, {a for a in ours if a.startswith("ec2:")})
    statements += _kms(scopes, {a for a in ours if a.startswith("kms:")})
    return [*statements, _allow("DataBucket", data, (scopes.data_bucket,))]


def _resources(scopes: Scopes, action: str) -> tuple[str, ...]:
    """The pair's own, of the kinds that the action knows; `*` if it knows none. Raises `LookupError`."""
    service = action.partition(":")[0]
    kinds = knows(action)
    if not kinds:
        return ("*",)
    table = scopes.table()
    found = tuple(sorted(table[service, kind] for kind in kinds if (service, kind) in table))
    if not found:
        raise LookupError(f"{action} knows {', '.join(kinds)}: add one of them to sandbox/deployrole/scopes.py")
    return found


def _ec2(scopes: Scopes, names: set[str]) -> list[Statement]:
    everything = (scopes.arn("ec2", "*"), _image(scopes))
    blind = {a for a in names if not knows(a)}
    statements = [_allow("MachinesLook", blind, ("*",))] if blind else []
    own = names & TAGGED
    if own:
        tag = {"StringEquals": {"aws:ResourceTag/dualsync:pair": scopes.pair.name}}
        statements.append(_allow("MachinesOwn", own, (scopes.arn("ec2", "*"),), tag))
    making = names - blind - TAGGED
    if making:
        statements.append(_allow("MachinesMake", making, everything))
    return statements


def _image(scopes: Scopes) -> str:
    """Images are often somebody else's, and their ARNs name no account."""
    model = scopes.pair.side(scopes.side)
    return model.partition.arn("ec2", "image/*", region=model.region)


def _kms(scopes: Scopes, names: set[str]) -> list[Statement]:
    table, pair = scopes.table(), scopes.pair.name
    statements = []
    blind = {a for a in names if not knows(a)}
    making = {"kms:CreateKey", "kms:TagResource"} & names
    if blind - making:
        statements.append(_allow("KeysLook", blind - making, ("*",)))
    if making:
        request = {"StringEquals": {"aws:RequestTag/dualsync:pair": pair}}
        statements.append(_allow("KeyMake", making, ("*",), request))
    aliases = {a for a in names if "alias" in knows(a)}
    if aliases:
        statements.append(_allow("KeyAlias", aliases, (table["kms", "alias"],)))
    own = names - blind - {"kms:CreateKey"}
    if own:
        tag = {"StringEquals": {"aws:ResourceTag/dualsync:pair": pair}}
        statements.append(_allow("KeyOwn", own, (table["kms", "key"],), tag))
    return statements


def _passing(scopes: Scopes) -> list[Statement]:
    """The roles that the program makes, to the services that it makes them for; and roles that services make."""
    model = scopes.pair.side(scopes.side)
    partition = model.partition
    to = {name for s in ("ec2", "ecs-tasks", "scheduler") for name in partition.trusted(s)}
    linked = {name for s in ("autoscaling", "ecs", "spot") for name in partition.trusted(s)}
    return [
        _allow(
            "PassRoles",
            {"iam:PassRole"},
            (scopes.table()["iam", "role"],),
            {"StringEquals": {"iam:PassedToService": sorted(to)}},
        ),
        _allow(
            "ServiceRoles",
            {"iam:CreateServiceLinkedRole"},
            (scopes.arn("iam", "role/aws-service-role/*", anywhere=True),),
            {"StringEquals": {"iam:AWSServiceName": sorted(linked)}},
        ),
    ]


def _smoke(scopes: Scopes) -> list[Statement]:
    model = scopes.pair.side(scopes.side)
    patterns = policy_patterns(model.prefix + SMOKE_PREFIX)
    objects = tuple(model.partition.arn("s3", f"{model.bucket}/{pattern}*") for pattern in patterns)
    return [
        _allow("Objects", set(SMOKE), objects),
        _allow("Bucket", {"s3:ListBucket"}, (scopes.data_bucket,)),
    ]


def _sid(names: Iterable[str]) -> str:
    services = sorted({a.partition(":")[0] for a in names})
    return services[0].capitalize() if len(services) == 1 else "Everywhere"


def _allow(
    sid: str, names: Iterable[str], resources: tuple[str, ...], condition: Mapping[str, Any] | None = None
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(names),
        "Resource": resources[0] if len(resources) == 1 else list(resources),
    }
    return {**statement, "Condition": condition} if condition else statement
