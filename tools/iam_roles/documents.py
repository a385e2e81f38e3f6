"""Write IAM documents from recorded calls: one set per role and account, as narrow as IAM allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dualsync.components.config.model import PairModel
from dualsync.components.config.prefixes import policy_patterns
from dualsync.runtime.settings import SideName
from tools.iam_roles.actions import CHANGING, READING, actions, resource_kinds
from tools.iam_roles.boundary import boundary
from tools.iam_roles.identities import boundary_stays, identities, keys, passing
from tools.iam_roles.machines import machines
from tools.iam_roles.options import options
from tools.iam_roles.recording import Call, Phase, Recorder
from tools.iam_roles.scopes import Scopes
from tools.iam_roles.statements import Document, Statement, allow, packed

PREVIEW = {"s3": ("GetBucketNotification",)}
"""What the subscription's provider reads in a preview: the bucket's other notifications."""

LOOKUPS = {"ec2": ("DescribeImages", "DescribePrefixLists", "DescribeVpcEndpoints")}
"""What a preview looks up for options (`machineImage`, `gatewayEndpoints`) with the provider's further calls."""

SMOKE = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
"""What `dualsync smoke` does under its own prefix; a test records its calls."""

SMOKE_PREFIX = "dualsync-smoke/"

HAND_OVER = "secretsmanager"
"""The service that the peer's stack writes to in this side's account."""

SECRET_READS = ("secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy", "secretsmanager:GetSecretValue")


def roles(recorder: Recorder, pair: PairModel, side: SideName) -> Mapping[str, Sequence[Document]]:
    """Return the side's documents by role: deploy, hand-over, drift, preview, smoke, and the boundary.

    A role takes several documents, because IAM limits the length of each.
    """
    scopes = Scopes(pair, side)
    calls = {phase: [c for c in found if c.side == side] for phase, found in recorder.calls.items()}
    preview = calls[Phase.PREVIEW]
    read = [*preview, *calls[Phase.REFRESH]]
    # Of a hand-over by config the secret is the own stack's, whose calls are those that the peer's makes otherwise.
    deploy = [c for c in (*read, *calls[Phase.CHANGE]) if c.stack == side or c.service == HAND_OVER]
    peer = [c for c in (*read, *calls[Phase.CHANGE]) if c.stack == side.peer]
    found = {
        "deploy": [*_grants(scopes, deploy, LOOKUPS, READING, CHANGING), *passing(scopes), *boundary_stays(scopes)],
        "hand-over": _grants(scopes, peer, _only(READING), _only(CHANGING)),
        "drift": _grants(scopes, read, LOOKUPS, READING),
    }
    return {
        **{role: packed([*statements, *options(scopes, role)]) for role, statements in found.items()},
        "preview": packed(_grants(scopes, preview, LOOKUPS)),
        "smoke": packed(_smoke(scopes)),
        "boundary": [boundary(pair, side)],
    }


def _only(table: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    return {HAND_OVER: table[HAND_OVER]}


def _grants(scopes: Scopes, calls: Iterable[Call], *more: Mapping[str, tuple[str, ...]]) -> list[Statement]:
    """Return a statement for each set of resources."""
    ours: set[str] = set()
    data: set[str] = set()
    for call in calls:
        (data if call.bucket else ours).update(actions(call.service, [call.operation]))
    for table in more:
        for service, operations in table.items():
            ours |= actions(service, operations)
    if any(c.service == "s3" and c.bucket for c in calls) or not more:
        for service, names in PREVIEW.items():
            data |= {f"{service}:{name}" for name in names}
    by_service: dict[str, set[str]] = defaultdict(set)
    for action in ours:
        by_service[action.partition(":")[0]].add(action)
    statements = []
    by_resources: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for service in sorted(by_service.keys() - {"ec2", "iam", "kms"}):
        for action in sorted(by_service[service]):
            by_resources[_resources(scopes, action)].add(action)
    statements = [allow(_sid(names), names, resources) for resources, names in sorted(by_resources.items())]
    statements += machines(scopes, by_service["ec2"])
    statements += identities(scopes, by_service["iam"])
    statements += keys(scopes, by_service["kms"])
    return [*statements, *([allow("DataBucket", data, (scopes.data_bucket,))] if data else [])]


def _resources(scopes: Scopes, action: str) -> tuple[str, ...]:
    """Return the pair's own resources of the action's kinds; `*` if it has none. Raises `LookupError`."""
    service = action.partition(":")[0]
    kinds = resource_kinds(action)
    if not kinds:
        return ("*",)
    table = scopes.table()
    found = tuple(sorted(arn for kind in kinds if (service, kind) in table for arn in table[service, kind]))
    if not found:
        raise LookupError(f"{action} has the kinds {', '.join(kinds)}: add one of them to tools/iam_roles/scopes.py")
    return found


def _smoke(scopes: Scopes) -> list[Statement]:
    model = scopes.pair.side(scopes.side)
    patterns = policy_patterns(model.prefix + SMOKE_PREFIX)
    objects = tuple(model.partition.arn("s3", f"{model.bucket}/{pattern}*") for pattern in patterns)
    return [
        allow("Objects", set(SMOKE), objects),
        allow("Bucket", {"s3:ListBucket"}, (scopes.data_bucket,)),
    ]


def _sid(names: Iterable[str]) -> str:
    services = sorted({a.partition(":")[0] for a in names})
    return services[0].capitalize() if len(services) == 1 else "Everywhere"
